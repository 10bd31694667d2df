// Which colours a map has: the upper three quarters of maps whose lightness only rises, as the server draws them.

const STEPS = {
  inferno: '57106e61136e6a176e741a6e7d1e6d87216b9025689a2865a32c61ad305db63458bf3952c73e4ccf4446d74b3fde5238e45a31e9612bee6a24f2741cf67e14f8890cfa9407fc9f07fcaa0ffbb61afac228f8cd37f5d949f3e55df1ef75f4f88efcffa4',
  viridis: '3b528b38598c355f8d32658e2f6b8e2d718e2a768e287c8e26828e24878e228d8d20928c1f988b1f9e8920a38623a98328ae802eb37c37b87840bd724cc26c58c76565cb5e73d05681d34d90d743a0da39b0dd2fc0df25d0e11cdfe318efe51cfde725',
  cividis: '434e6c49536c4f576c555b6d5a5f6e5f636f6568706a6c716f70737474757979777e7d788482798a8678908b78958f779b9476a09875a69c74aca172b3a670b9ab6dbfb06bc5b568ccba64d2c060d9c55cdfca57e6d051edd54af3db42fbe138fee838',
  hot: 'b30000c20000d20000e20000f20000ff0200ff1200ff2200ff3200ff4100ff5100ff6100ff7100ff8000ff9000ffa000ffb000ffbd00ffcc00ffdc00ffec00fffc00ffff13ffff2affff42ffff5affff71ffff89ffffa0ffffb8ffffd0ffffe7ffffff',
  // less to more, for what has changed: blue and yellow stay apart for every eye
  change: 'd6f0ff8fcbff3f8fe01a5aa6143a66' + '5c43007f5e00b58a10e6bd3dfff0b0',
};

/** @typedef {keyof typeof STEPS} MapName */
export const MAPS = /** @type {MapName[]} */ (Object.keys(STEPS).filter((name) => name !== 'change'));

/** @type {Map<MapName, Uint8Array>} */
const tables = new Map();

/** 256 colours, RGB, from the floor to the end of the scale. @param {MapName} name @returns {Uint8Array} */
export function table(name) {
  const known = tables.get(name);
  if (known) return known;
  const hex = STEPS[name];
  const steps = hex.length / 6;
  const found = new Uint8Array(256 * 3);
  for (let index = 0; index < 256; index++) {
    const place = (index / 255) * (steps - 1);
    const low = Math.min(Math.floor(place), steps - 2);
    for (let part = 0; part < 3; part++) {
      const [a, b] = [low, low + 1].map((step) => parseInt(hex.slice(step * 6 + part * 2, step * 6 + part * 2 + 2), 16));
      found[index * 3 + part] = Math.round(a + (b - a) * (place - low));
    }
  }
  tables.set(name, found);
  return found;
}

/** The brightest colour as CSS. @param {MapName} name */
export function ink(name) {
  const all = table(name);
  return `rgb(${all[765]} ${all[766]} ${all[767]})`;
}

/** A CSS gradient over the whole table. @param {MapName} name */
export function gradient(name) {
  const all = table(name);
  const stops = [0, 51, 102, 153, 204, 255].map((i) => `rgb(${all[i * 3]} ${all[i * 3 + 1]} ${all[i * 3 + 2]})`);
  return `linear-gradient(to right, ${stops.join(', ')})`;
}
