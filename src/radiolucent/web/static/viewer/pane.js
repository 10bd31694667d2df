// One pane: a series, where the reader is in it, how it is windowed, which maps lie over it, and what its corners say.

import { GlPainter } from './gl.js';
import { PlainPainter } from './canvas2d.js';
import { Frames, largest, slice } from './source.js';
import { View, edgeLetters } from './geometry.js';
import { Curve } from './curve.js';
import { drawOver } from './marks.js';
import { listen } from './mouse.js';

/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */
/** @typedef {import('./types.js').FindingView} FindingView */
/** @typedef {import('./types.js').Heat} Heat */
/** @typedef {import('./colours.js').MapName} MapName */

/** @typedef {{finding: FindingView, heat: Heat}} Shown */
/** @typedef {{colours: MapName, opacity: number, threshold: number|null, style: 'map'|'contour'}} Paint */
/** @typedef {'window'|'zoom'|'pan'|'length'|'angle'|'region'} Tool */
/** @typedef {{kind: 'length'|'angle'|'region', frame: number, points: [number, number][]}} Mark */

export class Pane {
  /**
   * @param {HTMLElement} root @param {import('./types.js').PaneView} about
   * @param {(pane: Pane) => void} moved told when the frame changes
   */
  constructor(root, about, moved) {
    this.root = root;
    this.about = about;
    this.moved = moved;
    this.frame = 0;
    this.look = { low: 0, high: 1, inverted: false };
    /** @type {Tool} */
    this.tool = 'window';
    /** @type {Shown|null} */
    this.map = null;
    /** @type {Shown[]} */
    this.lines = [];
    /** @type {Paint} */
    this.paint = { colours: 'inferno', opacity: 0.6, threshold: null, style: 'map' };
    this.hidden = false;
    /** @type {Mark[]} */
    this.marks = [];
    /** outlines of earlier decisions @type {import('./types.js').Redrawn[]} */
    this.kept = [];
    /** how well the series is registered */
    this.link = '';
    /** @type {Mark|null} */
    this.drawing = null;
    /** @type {((mark: Mark) => void)|null} */
    this.onRegion = null;
    /** told after each drawing @type {(() => void)|null} */
    this.onDraw = null;
    this.waiting = false;
    root.classList.add('viewer-pane');
    root.tabIndex = 0;
    this.stage = part(root, 'viewer-stage');
    this.canvas = /** @type {HTMLCanvasElement} */ (part(this.stage, 'viewer-image', 'canvas'));
    this.canvas.setAttribute('role', 'img');
    this.over = /** @type {HTMLCanvasElement} */ (part(this.stage, 'viewer-marks', 'canvas'));
    this.over.setAttribute('aria-hidden', 'true');
    this.corner = Object.fromEntries(['tl', 'tr', 'bl', 'br'].map((name) => [name, part(this.stage, `viewer-corner viewer-${name}`)]));
    this.letters = ['left', 'right', 'top', 'bottom'].map((name) => part(this.stage, `viewer-edge viewer-edge-${name}`));
    this.note = part(this.stage, 'viewer-note');
    this.note.setAttribute('role', 'status');
    this.side = part(root, 'viewer-side');
    /** @type {Curve|null} */
    this.curve = null;
    new ResizeObserver(() => this.resize()).observe(this.stage);
    listen(this);
    this.open(about.series[0]);
  }

  /** Show another series. @param {SeriesMeta} meta */
  open(meta) {
    this.frames?.stop();
    this.painter?.release();
    const canvas = /** @type {HTMLCanvasElement} */ (this.canvas.cloneNode());
    this.canvas.replaceWith(canvas);
    this.canvas = canvas;
    this.meta = meta;
    this.root.dataset.series = meta.uid;
    this.frames = new Frames(meta);
    this.view = new View(meta.rows, meta.columns, meta.pixel_aspect);
    this.frame = Math.floor((meta.frames - 1) / 2);
    this.preset(meta.window.center, meta.window.width);
    this.look.inverted = Boolean(meta.inverted);
    this.#painter();
    canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault();
      this.say('The graphics context was lost; drawing without it.');
      this.#fallback();
    });
    this.side.replaceChildren();
    this.curve = meta.frames > 1 ? new Curve(this.side, meta.frames, (frame) => this.go(frame)) : null;
    this.map = null;
    this.lines = [];
    this.resize();
    void this.#load(true);
  }

  #painter() {
    const meta = /** @type {SeriesMeta} */ (this.meta);
    try {
      if (new URLSearchParams(location.search).has('nogl')) throw new Error('asked for');
      this.painter = new GlPainter(this.canvas, meta);
      this.root.dataset.painter = 'webgl2';
    } catch {
      this.#fallback();
    }
  }

  #fallback() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.canvas.cloneNode());
    this.canvas.replaceWith(canvas);
    this.canvas = canvas;
    this.painter = new PlainPainter(canvas, /** @type {SeriesMeta} */ (this.meta));
    this.root.dataset.painter = 'canvas2d';
    this.resize();
  }

  /** @param {boolean} first bring the others once the first is there */
  async #load(first = false) {
    const [frames, frame] = [/** @type {Frames} */ (this.frames), this.frame];
    try {
      await frames.get(frame);
      if (this.frames !== frames) return;
      this.say('');
      this.redraw();
      if (first) {
        this.root.dataset.ready = 'true';
        void frames.prefetch(frame, (done) => (this.root.dataset.kept = String(done)));
      }
    } catch (error) {
      if (!frames.stopper.signal.aborted) this.say(error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {string} text */
  say(text) {
    this.note.textContent = text;
  }

  /** @param {number} frame */
  go(frame) {
    const last = /** @type {SeriesMeta} */ (this.meta).frames - 1;
    const next = Math.min(last, Math.max(0, frame));
    if (next === this.frame) return;
    this.frame = next;
    this.moved(this);
    if (this.frames?.have(next)) this.redraw();
    else void this.#load();
  }

  /** @param {number} center @param {number} width */
  preset(center, width) {
    this.look.low = center - Math.max(width, 1e-3) / 2;
    this.look.high = center + Math.max(width, 1e-3) / 2;
    this.redraw();
  }

  reset() {
    const meta = /** @type {SeriesMeta} */ (this.meta);
    this.view?.fit();
    this.look.inverted = Boolean(meta.inverted);
    this.preset(meta.window.center, meta.window.width);
  }

  resize() {
    const box = this.stage.getBoundingClientRect();
    if (!this.view || box.width < 2) return;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.view.width = box.width;
    this.view.height = box.height;
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
    }
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.#draw();
    });
  }

  #draw() {
    const { view, meta } = this;
    const pixels = this.frames?.have(this.frame);
    if (!view || !meta || !pixels || !this.painter) return;
    this.painter.draw(view, pixels, this.look, this.#overlay());
    drawOver(this);
    this.#words();
    this.root.dataset.frame = String(this.frame);
    this.onDraw?.();
    this.root.dataset.drawn = String(Number(this.root.dataset.drawn || 0) + 1);
  }

  /** @returns {import('./gl.js').Overlay|null} */
  #overlay() {
    if (!this.map || this.hidden || this.paint.style === 'contour') return null;
    const { finding, heat } = this.map;
    if (finding.only_frame !== undefined && finding.only_frame !== this.frame) return null;
    return {
      values: slice(heat, this.frame),
      height: heat.height,
      width: heat.width,
      toPixels: finding.to_pixels,
      scale: finding.display_scale,
      floor: this.floor(finding),
      opacity: this.paint.opacity,
      colours: finding.signed ? 'change' : this.paint.colours,
      signed: Boolean(finding.signed),
    };
  }

  /** Share of the scale at which colours and lines start. @param {FindingView} finding */
  floor(finding) {
    return this.paint.threshold ?? finding.floor;
  }

  #words() {
    const meta = /** @type {SeriesMeta} */ (this.meta);
    const role = this.about.role === 'prior' ? 'PRIOR' : 'CURRENT';
    this.corner.tl.textContent = `${role}\n${this.about.caption}${this.link ? `\n${this.link}` : ''}`;
    this.corner.tr.textContent = `${meta.description || meta.modality}`;
    const width = this.look.high - this.look.low;
    this.corner.bl.textContent =
      `${this.frame + 1}/${meta.frames}` +
      (meta.samples === 3 ? '  colour' : `  W ${round(width)} L ${round(this.look.low + width / 2)}`) +
      (this.look.inverted ? '  inverted' : '');
    const plane = meta.planes[this.frame];
    const letters = plane ? edgeLetters(plane) : (meta.edges ?? ['', '', '', '']);
    // letters come as [row-from, row-to, column-from, column-to]
    this.letters.forEach((element, index) => (element.textContent = letters[index] ?? ''));
    this.#overlayWords();
    this.curve?.at(this.frame);
    const on = this.map && !this.hidden ? `, overlay ${this.map.finding.label}` : '';
    this.canvas.setAttribute('aria-label', `${role.toLowerCase()} ${meta.description}, image ${this.frame + 1} of ${meta.frames}${on}`);
  }

  #overlayWords() {
    const lines = this.map && !this.hidden ? [this.map, ...this.lines] : this.hidden ? [] : this.lines;
    this.corner.br.textContent = lines
      .map(({ finding, heat }) => {
        if (finding.only_frame !== undefined && finding.only_frame !== this.frame) return `AI: ${finding.label}, ${finding.method}: made for image ${finding.only_frame + 1} only`;
        const cells = slice(heat, this.frame);
        if (finding.signed) return `AI: ${finding.label}, ${finding.method}, here ${Math.min(...cells).toFixed(1)} to +${Math.max(0, largest(cells)).toFixed(1)}`;
        const here = largest(cells);
        const all = largest(heat.values);
        const empty = all < this.floor(finding) * finding.display_scale;
        const what = empty ? 'no focus above threshold' : `largest here ${here.toFixed(1)}`;
        return `AI: ${finding.label}, ${finding.method} ${heat.height} x ${heat.width}, ${what}`;
      })
      .join('\n');
  }

  /** Value under a place in the pane, as text. @param {number} x @param {number} y */
  readout(x, y) {
    const [view, meta] = [/** @type {View} */ (this.view), /** @type {SeriesMeta} */ (this.meta)];
    const pixels = this.frames?.have(this.frame);
    const [row, column] = view.toImage(x, y).map(Math.round);
    if (!pixels || row < 0 || column < 0 || row >= meta.rows || column >= meta.columns || meta.samples === 3) return '';
    return `${round(pixels[row * meta.columns + column] * meta.slope + meta.intercept)} ${meta.unit}`.trim();
  }

  clearMarks() {
    this.marks = [];
    this.drawing = null;
    this.redraw();
  }
}

/** @param {number} value */
function round(value) {
  return Math.abs(value) >= 10 ? String(Math.round(value)) : value.toFixed(2);
}

/** @param {HTMLElement} parent @param {string} name @param {string} [tag] */
function part(parent, name, tag = 'div') {
  const made = document.createElement(tag);
  made.className = name;
  parent.append(made);
  return made;
}
