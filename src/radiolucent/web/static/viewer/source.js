// How frames and maps arrive: several at a time, nearest first, kept while there is room.

/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */
/** @typedef {import('./types.js').FindingView} FindingView */
/** @typedef {import('./types.js').Heat} Heat */
/** @typedef {import('./types.js').Pixels} Pixels */

const AT_ONCE = 6;
const ROOM_BYTES = 256 * 2 ** 20;

/** Frames of one series. */
export class Frames {
  /** @param {SeriesMeta} meta */
  constructor(meta) {
    this.meta = meta;
    /** @type {Map<number, Pixels>} */
    this.kept = new Map();
    /** @type {Map<number, Promise<Pixels>>} */
    this.coming = new Map();
    this.stopper = new AbortController();
    this.bytes = meta.rows * meta.columns * meta.samples * (meta.dtype === 'uint8' ? 1 : 2);
  }

  /** A frame that is here already. @param {number} index */
  have(index) {
    return this.kept.get(index);
  }

  /** @param {number} index @returns {Promise<Pixels>} */
  get(index) {
    const kept = this.kept.get(index);
    if (kept) return Promise.resolve(kept);
    let coming = this.coming.get(index);
    if (!coming) {
      coming = this.#fetch(index).finally(() => this.coming.delete(index));
      this.coming.set(index, coming);
    }
    return coming;
  }

  /** Bring the rest, nearest to `middle` first. @param {number} middle @param {(done: number) => void} tell */
  async prefetch(middle, tell) {
    const wanted = [...Array(this.meta.frames).keys()]
      .sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle))
      .slice(0, Math.max(1, Math.floor(ROOM_BYTES / this.bytes)));
    const worker = async () => {
      for (let next = wanted.shift(); next !== undefined; next = wanted.shift()) {
        if (this.stopper.signal.aborted) return;
        await this.get(next).catch(() => undefined);
        tell(this.kept.size);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  }

  stop() {
    this.stopper.abort();
  }

  /** @param {number} index @returns {Promise<Pixels>} */
  async #fetch(index) {
    const answer = await fetch(this.meta.frames_url + index, {
      signal: this.stopper.signal,
      credentials: 'same-origin',
    });
    if (!answer.ok) throw new Error(`image ${index + 1} did not come (${answer.status})`);
    const data = await answer.arrayBuffer();
    if (data.byteLength !== this.bytes) throw new Error(`image ${index + 1} has ${data.byteLength} bytes, not ${this.bytes}`);
    const pixels =
      this.meta.dtype === 'uint8' ? new Uint8Array(data)
      : this.meta.dtype === 'int16' ? new Int16Array(data)
      : new Uint16Array(data);
    this.kept.set(index, pixels);
    return pixels;
  }
}

/** A refusal of the server, with its code (`training_required`, …). */
export class Withheld extends Error {
  /** @param {string} code @param {string} reason */
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
}

/** @type {Map<string, Promise<Heat>>} */
const heats = new Map();

/** A finding's map over all frames. @param {FindingView} finding @returns {Promise<Heat>} */
export function heat(finding) {
  const url = finding.heat_url;
  if (!url) return Promise.reject(new Withheld('withheld', finding.heat_reason || 'The heatmap is withheld.'));
  let coming = heats.get(url);
  if (!coming) {
    coming = fetchHeat(url);
    heats.set(url, coming);
    coming.catch(() => heats.delete(url));
  }
  return coming;
}

/**
 * uint8 cells with X-Shape "frames,height,width", X-Vmin and X-Vmax in logit units: value = vmin + byte / 255 × (vmax − vmin).
 * @param {string} url @returns {Promise<Heat>}
 */
async function fetchHeat(url) {
  const answer = await fetch(url, { credentials: 'same-origin' });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    const detail = typeof told.detail === 'object' && told.detail ? told.detail : told;
    throw new Withheld(detail.code || String(answer.status), detail.message || detail.reason || `the heatmap did not come (${answer.status})`);
  }
  const [frames, height, width] = (answer.headers.get('X-Shape') || '').split(/[,x ]+/).map(Number);
  const low = Number(answer.headers.get('X-Vmin'));
  const high = Number(answer.headers.get('X-Vmax'));
  if (answer.headers.get('X-Scale') !== 'absolute') throw new Error('the heatmap has no absolute scale');
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (!frames || bytes.length !== frames * height * width) throw new Error('the heatmap is incomplete');
  const values = Float32Array.from(bytes, (byte) => low + (byte / 255) * (high - low));
  return { frames, height, width, values };
}

/** One frame of a map; a map of one frame serves all. @type {WeakMap<Heat, Map<number, Float32Array>>} */
const slices = new WeakMap();

/** @param {Heat} heat @param {number} frame @returns {Float32Array} */
export function slice(heat, frame) {
  const index = Math.min(frame, heat.frames - 1);
  const known = slices.get(heat) ?? new Map();
  slices.set(heat, known);
  const size = heat.height * heat.width;
  const found = known.get(index) ?? heat.values.subarray(index * size, (index + 1) * size);
  known.set(index, found);
  return found;
}

/** The largest value. @param {Float32Array} values */
export function largest(values) {
  let most = -Infinity;
  for (const value of values) if (value > most) most = value;
  return most;
}
