// Where a map crosses a level: lines through cell sides, by linear interpolation (marching squares).

/**
 * @param {Float32Array} values height × width
 * @param {number} height @param {number} width @param {number} level
 * @returns {[number, number, number, number][]} segments from (i, j) to (i, j), in cells
 */
export function segments(values, height, width, level) {
  /** @type {[number, number, number, number][]} */
  const found = [];
  /** @param {number} i @param {number} j */
  const at = (i, j) => (i < 0 || j < 0 || i >= height || j >= width ? -1e9 : values[i * width + j]);
  /** @param {number} a @param {number} b */
  const cut = (a, b) => (Math.min(a, b) < -1e8 ? 0.5 : (level - a) / (b - a));
  for (let i = -1; i < height; i++) {
    for (let j = -1; j < width; j++) {
      const corners = [at(i, j), at(i, j + 1), at(i + 1, j + 1), at(i + 1, j)];
      const above = corners.map((value) => value >= level);
      const count = above.filter(Boolean).length;
      if (count === 0 || count === 4) continue;
      /** @type {[number, number][]} */
      const crossings = [];
      if (above[0] !== above[1]) crossings.push([i, j + cut(corners[0], corners[1])]);
      if (above[1] !== above[2]) crossings.push([i + cut(corners[1], corners[2]), j + 1]);
      if (above[3] !== above[2]) crossings.push([i + 1, j + cut(corners[3], corners[2])]);
      if (above[0] !== above[3]) crossings.push([i + cut(corners[0], corners[3]), j]);
      if (crossings.length === 4 && above[0]) crossings.push(/** @type {[number, number]} */ (crossings.shift()));
      for (let k = 0; k + 1 < crossings.length; k += 2) found.push([...crossings[k], ...crossings[k + 1]]);
    }
  }
  return found;
}
