// The evidence of one finding slice by slice, beside the scroll bar: where it peaks, where the reader is.

const SVG = 'http://www.w3.org/2000/svg';
const QUIET = 'place in the stack; no map is on';

/** @param {string} name @param {Record<string, string|number>} attributes @returns {SVGElement} */
function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

/** A narrow upright chart; a click goes to that slice. */
export class Curve {
  /** @param {HTMLElement} parent @param {number} frames @param {(frame: number) => void} go */
  constructor(parent, frames, go) {
    this.frames = frames;
    this.svg = shape('svg', { viewBox: '0 0 32 100', preserveAspectRatio: 'none', class: 'viewer-curve', role: 'img', 'aria-label': QUIET });
    this.area = shape('path', { class: 'viewer-curve-area' });
    this.peak = shape('rect', { class: 'viewer-curve-peak', x: 0, width: 32, height: 0 });
    this.here = shape('rect', { class: 'viewer-curve-here', x: 0, width: 32 });
    this.svg.append(this.area, this.peak, this.here);
    /** @param {Event} event */
    const there = (event) => {
      const box = this.svg.getBoundingClientRect();
      const share = (/** @type {PointerEvent} */ (event).clientY - box.top) / box.height;
      go(Math.min(frames - 1, Math.max(0, Math.floor(share * frames))));
    };
    this.svg.addEventListener('pointerdown', (event) => {
      this.svg.setPointerCapture(/** @type {PointerEvent} */ (event).pointerId);
      there(event);
    });
    this.svg.addEventListener('pointermove', (event) => {
      if (/** @type {PointerEvent} */ (event).buttons & 1) there(event);
    });
    parent.append(this.svg);
    this.at(0);
  }

  /** @param {number[]} logits one per frame @param {number} peak @param {string} label */
  show(logits, peak, label) {
    const step = 100 / this.frames;
    const chance = logits.map((value) => 1 / (1 + Math.exp(-value)));
    const points = chance.flatMap((value, index) => [`${32 * value},${index * step}`, `${32 * value},${(index + 1) * step}`]);
    this.area.setAttribute('d', `M0,0 L${points.join(' L')} L0,100 Z`);
    this.peak.setAttribute('y', String(peak * step));
    this.peak.setAttribute('height', String(Math.max(step, 1)));
    this.svg.setAttribute('aria-label', `${label}: model attention by slice, peak at slice ${peak + 1} of ${this.frames}`);
  }

  hide() {
    this.area.removeAttribute('d');
    this.peak.setAttribute('height', '0');
    this.svg.setAttribute('aria-label', QUIET);
  }

  /** @param {number} frame */
  at(frame) {
    const step = 100 / this.frames;
    this.here.setAttribute('y', String(frame * step));
    this.here.setAttribute('height', String(Math.max(step, 1)));
  }
}
