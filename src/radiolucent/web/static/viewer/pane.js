// One pane: a series, where the reader is in it, how it is windowed, what lies over it, what was measured in it.

import { GlPainter } from './gl.js';
import { PlainPainter } from './canvas2d.js';
import { Frames } from './source.js';
import { View, angle, distance, edgeLetters } from './geometry.js';
import { segments } from './contour.js';
import { ink } from './colours.js';
import { Curve } from './curve.js';

/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */
/** @typedef {import('./types.js').FindingView} FindingView */
/** @typedef {import('./types.js').Heat} Heat */
/** @typedef {import('./colours.js').MapName} MapName */

/** @typedef {{finding: FindingView, heat: Heat}} Shown */
/** @typedef {{colours: MapName, opacity: number, threshold: number|null, style: 'map'|'contour'}} Paint */
/** @typedef {'window'|'zoom'|'pan'|'length'|'angle'|'region'} Tool */
/** @typedef {{kind: 'length'|'angle'|'region', frame: number, points: [number, number][]}} Mark */

const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];

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
    this.#listen();
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
    this.view = new View(meta.rows, meta.columns, meta.spacing_mm);
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
    this.#drawMarks();
    this.#words();
    this.root.dataset.frame = String(this.frame);
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

  #drawMarks() {
    const context = this.over.getContext('2d');
    const view = this.view;
    if (!context || !view) return;
    const ratio = this.over.width / view.width;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, view.width, view.height);
    const shown = this.hidden ? [] : [...(this.map ? [this.map] : []), ...this.lines];
    shown.forEach((one, index) => this.#contour(context, one, DASHES[index % DASHES.length], index > 0));
    for (const one of this.kept) {
      if (one.series === this.meta?.uid && one.frame === this.frame) this.#kept(context, one);
    }
    for (const mark of [...this.marks, ...(this.drawing ? [this.drawing] : [])]) {
      if (mark.frame === this.frame) this.#mark(context, mark);
    }
    this.#scaleBar(context);
  }

  /** @param {CanvasRenderingContext2D} context @param {Shown} shown @param {number[]} dash @param {boolean} named */
  #contour(context, { finding, heat }, dash, named) {
    const view = /** @type {View} */ (this.view);
    if (finding.only_frame !== undefined && finding.only_frame !== this.frame) return;
    const level = this.floor(finding) * finding.display_scale;
    const cells = slice(heat, this.frame);
    const lines = segments(cells, heat.height, heat.width, level);
    if (finding.signed) lines.push(...segments(cells.map((value) => -value), heat.height, heat.width, level));
    if (!lines.length) return;
    const [a, b, c, d, e, f] = finding.to_pixels;
    /** @param {number} i @param {number} j */
    const place = (i, j) => view.toScreen(a * i + b * j + c, d * i + e * j + f);
    context.beginPath();
    for (const [i, j, k, l] of lines) {
      context.moveTo(...place(i, j));
      context.lineTo(...place(k, l));
    }
    context.setLineDash([]);
    context.lineWidth = 3.5;
    context.strokeStyle = 'rgb(0 0 0 / .75)';
    context.stroke();
    context.setLineDash(dash);
    context.lineWidth = 1.5;
    context.strokeStyle = ink(finding.signed ? 'change' : this.paint.colours);
    context.stroke();
    context.setLineDash([]);
    if (named) label(context, finding.label, ...place(lines[0][0], lines[0][1]));
  }

  /** @param {CanvasRenderingContext2D} context @param {import('./types.js').Redrawn} one */
  #kept(context, one) {
    context.save();
    context.setLineDash([5, 4]);
    this.#mark(context, { kind: 'region', frame: one.frame, points: one.points });
    context.restore();
    const [x, y] = /** @type {View} */ (this.view).toScreen(...one.points[0]);
    label(context, one.label, x, y);
  }

  /** @param {CanvasRenderingContext2D} context @param {Mark} mark */
  #mark(context, mark) {
    const [view, meta] = [/** @type {View} */ (this.view), /** @type {SeriesMeta} */ (this.meta)];
    const places = mark.points.map(([row, column]) => view.toScreen(row, column));
    context.beginPath();
    places.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (mark.kind === 'region' && mark !== this.drawing) context.closePath();
    for (const [width, colour] of /** @type {[number, string][]} */ ([[3.5, 'rgb(0 0 0 / .75)'], [1.5, '#7fd4ff']])) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
    const last = places[places.length - 1];
    if (mark.kind === 'length' && mark.points.length === 2) {
      const long = distance(mark.points[0], mark.points[1], meta.spacing_mm);
      label(context, meta.spacing_mm ? `${long.toFixed(1)} mm` : `${long.toFixed(0)} px (no spacing)`, last[0], last[1]);
    } else if (mark.kind === 'angle' && mark.points.length === 3) {
      label(context, `${angle(mark.points, meta.spacing_mm).toFixed(1)}°`, places[1][0], places[1][1]);
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  #scaleBar(context) {
    const [view, meta] = [/** @type {View} */ (this.view), /** @type {SeriesMeta} */ (this.meta)];
    if (!meta.spacing_mm) return;
    const mm = [200, 100, 50, 20, 10, 5, 2].find((size) => (size / (meta.spacing_mm?.[1] ?? 1)) * view.scale < view.width / 3) ?? 1;
    const long = (mm / meta.spacing_mm[1]) * view.scale;
    const [x, y] = [view.width / 2 - long / 2, view.height - 8];
    for (const [width, colour] of /** @type {[number, string][]} */ ([[4, '#000'], [2, '#fff']])) {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + long, y);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
    label(context, `${mm} mm`, x + long / 2 - 16, y - 8);
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
        if (finding.signed) return `AI: ${finding.label}, ${finding.method}, here ${Math.min(...cells).toFixed(1)} to +${Math.max(0, max(cells)).toFixed(1)}`;
        const largest = max(cells);
        const all = max(heat.values);
        const empty = all < this.floor(finding) * finding.display_scale;
        const what = empty ? 'no focus above threshold' : `largest here ${largest.toFixed(1)}`;
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

  #listen() {
    const stage = this.stage;
    /** @type {{tool: Tool, x: number, y: number}|null} */
    let drag = null;
    stage.addEventListener('contextmenu', (event) => event.preventDefault());
    stage.addEventListener(
      'wheel',
      (event) => {
        event.preventDefault();
        if (event.ctrlKey) {
          const box = stage.getBoundingClientRect();
          this.view?.zoomAt(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
          this.redraw();
        } else this.go(this.frame + Math.sign(event.deltaY));
      },
      { passive: false },
    );
    stage.addEventListener('pointerdown', (event) => {
      this.root.focus({ preventScroll: true });
      stage.setPointerCapture(event.pointerId);
      const tool = event.button === 1 || event.shiftKey ? 'pan' : event.button === 2 ? 'zoom' : this.tool;
      drag = { tool, x: event.clientX, y: event.clientY };
      if (tool === 'length' || tool === 'angle' || tool === 'region') this.#point(tool, event);
    });
    stage.addEventListener('pointermove', (event) => {
      const box = stage.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const value = this.readout(x, y);
      if (this.meta) this.corner.tr.textContent = `${this.meta.description || this.meta.modality}${value ? `\n${value}` : ''}`;
      if (this.drawing && this.drawing.kind !== 'region') {
        this.drawing.points[this.drawing.points.length - 1] = /** @type {View} */ (this.view).toImage(x, y);
        this.redraw();
      }
      if (!drag) return;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      drag.x = event.clientX;
      drag.y = event.clientY;
      this.#drag(drag.tool, dx, dy, x, y);
    });
    stage.addEventListener('pointerup', () => {
      if (drag?.tool === 'region' && this.drawing) this.#finish();
      drag = null;
    });
    stage.addEventListener('pointercancel', () => (drag = null));
  }

  /** @param {Tool} tool @param {number} dx @param {number} dy @param {number} x @param {number} y */
  #drag(tool, dx, dy, x, y) {
    const view = /** @type {View} */ (this.view);
    if (tool === 'window') {
      const width = this.look.high - this.look.low;
      const middle = this.look.low + width / 2 + (dy * width) / 300;
      this.preset(middle, Math.max(1e-3, width * Math.exp(dx / 200)));
    } else if (tool === 'pan') {
      view.panX += dx;
      view.panY += dy;
    } else if (tool === 'zoom') {
      view.zoomAt(Math.exp(-dy / 150), view.width / 2, view.height / 2);
    } else if (tool === 'region' && this.drawing) {
      this.drawing.points.push(view.toImage(x, y));
    }
    this.redraw();
  }

  /** @param {'length'|'angle'|'region'} kind @param {PointerEvent} event */
  #point(kind, event) {
    const box = this.stage.getBoundingClientRect();
    const place = /** @type {View} */ (this.view).toImage(event.clientX - box.left, event.clientY - box.top);
    if (!this.drawing || this.drawing.kind !== kind) {
      this.drawing = { kind, frame: this.frame, points: kind === 'region' ? [place] : [place, place] };
      return;
    }
    if (kind === 'angle' && this.drawing.points.length === 2) this.drawing.points.push(place);
    else this.#finish();
  }

  #finish() {
    const mark = this.drawing;
    this.drawing = null;
    if (mark && (mark.kind !== 'region' || mark.points.length > 3)) {
      if (mark.kind === 'region') this.marks = this.marks.filter((other) => other.kind !== 'region');
      this.marks.push(mark);
      if (mark.kind === 'region') this.onRegion?.(mark);
    }
    this.redraw();
  }

  clearMarks() {
    this.marks = [];
    this.drawing = null;
    this.redraw();
  }
}

/** One frame of a map; a map of one frame serves all. @type {WeakMap<Heat, Map<number, Float32Array>>} */
const slices = new WeakMap();

/** @param {Heat} heat @param {number} frame @returns {Float32Array} */
function slice(heat, frame) {
  const index = Math.min(frame, heat.frames - 1);
  const known = slices.get(heat) ?? new Map();
  slices.set(heat, known);
  const size = heat.height * heat.width;
  const found = known.get(index) ?? heat.values.subarray(index * size, (index + 1) * size);
  known.set(index, found);
  return found;
}

/** @param {Float32Array} values */
function max(values) {
  let most = -Infinity;
  for (const value of values) if (value > most) most = value;
  return most;
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

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y */
function label(context, text, x, y) {
  context.font = '12px system-ui, sans-serif';
  context.lineWidth = 3;
  context.strokeStyle = '#000';
  context.strokeText(text, x + 6, y - 4);
  context.fillStyle = '#fff';
  context.fillText(text, x + 6, y - 4);
}
