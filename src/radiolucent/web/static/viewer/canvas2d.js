// The same picture without WebGL: window and colours in JavaScript, at image resolution, then scaled by the browser.

import { table } from './colours.js';
import { cellsFromPixels } from './geometry.js';

/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */
/** @typedef {import('./types.js').Pixels} Pixels */
/** @typedef {import('./geometry.js').View} View */
/** @typedef {import('./gl.js').Overlay} Overlay */
/** @typedef {import('./gl.js').Look} Look */

/** Draws one pane's canvas. */
export class PlainPainter {
  /** @param {HTMLCanvasElement} canvas @param {SeriesMeta} meta */
  constructor(canvas, meta) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('this browser draws no canvas');
    this.context = context;
    this.canvas = canvas;
    this.meta = meta;
    this.hidden = document.createElement('canvas');
    this.hidden.width = meta.columns;
    this.hidden.height = meta.rows;
    const inner = this.hidden.getContext('2d');
    if (!inner) throw new Error('this browser draws no canvas');
    this.inner = inner;
    this.data = inner.createImageData(meta.columns, meta.rows);
    /** what is in the hidden canvas */
    this.key = '';
    /** @type {Pixels|null} */
    this.shown = null;
    /** @type {Float32Array|null} */
    this.heatShown = null;
  }

  /** @param {View} view @param {Pixels} pixels @param {Look} look @param {Overlay|null} overlay */
  draw(view, pixels, look, overlay) {
    const key = [look.low, look.high, look.inverted, overlay?.opacity, overlay?.floor, overlay?.colours].join();
    if (this.shown !== pixels || this.key !== key || this.heatShown !== (overlay?.values ?? null)) {
      this.#paint(pixels, look, overlay);
      this.shown = pixels;
      this.key = key;
      this.heatShown = overlay?.values ?? null;
    }
    const ratio = this.canvas.width / view.width;
    const [left, top] = view.toScreen(-0.5, -0.5);
    const { context, meta } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = true;
    const [width, height] = [meta.columns * view.scale * ratio, meta.rows * view.scale * view.aspect * ratio];
    context.drawImage(this.hidden, left * ratio, top * ratio, width, height);
  }

  /** @param {Pixels} pixels @param {Look} look @param {Overlay|null} overlay */
  #paint(pixels, look, overlay) {
    const { meta } = this;
    const out = this.data.data;
    const range = Math.max(look.high - look.low, 1e-6);
    const count = meta.rows * meta.columns;
    for (let index = 0; index < count; index++) {
      for (let part = 0; part < 3; part++) {
        let grey =
          meta.samples === 3
            ? pixels[index * 3 + part]
            : ((pixels[index] * meta.slope + meta.intercept - look.low) / range) * 255;
        if (look.inverted) grey = 255 - grey;
        out[index * 4 + part] = grey;
      }
      out[index * 4 + 3] = 255;
    }
    if (overlay) blend(out, meta, overlay);
    this.inner.putImageData(this.data, 0, 0);
  }

  release() {}
}

/** @param {Uint8ClampedArray} out @param {SeriesMeta} meta @param {Overlay} overlay */
function blend(out, meta, overlay) {
  const lut = table(overlay.colours);
  const m = cellsFromPixels(overlay.toPixels);
  const { values, height, width } = overlay;
  /** @param {number} i @param {number} j */
  const cell = (i, j) => values[Math.min(Math.max(i, 0), height - 1) * width + Math.min(Math.max(j, 0), width - 1)];
  for (let row = 0; row < meta.rows; row++) {
    for (let column = 0; column < meta.columns; column++) {
      const i = m[0] * row + m[1] * column + m[2];
      const j = m[3] * row + m[4] * column + m[5];
      if (i <= -0.5 || j <= -0.5 || i >= height - 0.5 || j >= width - 0.5) continue;
      const [a, b] = [Math.floor(i), Math.floor(j)];
      const [s, t] = [i - a, j - b];
      const above = cell(a, b) * (1 - t) + cell(a, b + 1) * t;
      const below = cell(a + 1, b) * (1 - t) + cell(a + 1, b + 1) * t;
      const share = (above * (1 - s) + below * s) / overlay.scale;
      const size = overlay.signed ? Math.abs(share) : share;
      if (size < overlay.floor) continue;
      let along = Math.min(1, (size - overlay.floor) / (1 - overlay.floor));
      if (overlay.signed) along = 0.5 + (Math.sign(share) * along) / 2;
      const step = Math.round(along * 255) * 3;
      const alpha = overlay.opacity * Math.min(1, size);
      const at = (row * meta.columns + column) * 4;
      for (let part = 0; part < 3; part++) out[at + part] = out[at + part] * (1 - alpha) + lut[step + part] * alpha;
    }
  }
}
