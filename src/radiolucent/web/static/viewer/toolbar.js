// The row of controls above the panes: tools, presets, window and level as numbers, how maps are drawn, series.

import { MAPS } from './colours.js';

/** @typedef {import('./viewer.js').Viewer} Viewer */
/** @typedef {import('./pane.js').Pane} Pane */
/** @typedef {import('./pane.js').Paint} Paint */

/** @type {Record<string, [string, number, number][]>} name, centre, width */
export const PRESETS = {
  CT: [['soft tissue', 40, 400], ['lung', -600, 1500], ['mediastinum', 50, 350], ['bone', 480, 2500], ['brain', 40, 80], ['subdural', 75, 215]],
};
const TOOLS = [['window', 'Window'], ['zoom', 'Zoom'], ['pan', 'Pan'], ['length', 'Length'], ['angle', 'Angle'], ['region', 'Redraw region']];
const ACTS = [['invert', 'Invert', 'I'], ['fit', 'Fit', '='], ['reset', 'Reset', 'Space'], ['clear', 'Clear marks', '']];

export class Toolbar {
  /** @param {HTMLElement} bar @param {Viewer} viewer */
  constructor(bar, viewer) {
    this.bar = bar;
    this.viewer = viewer;
    bar.setAttribute('role', 'toolbar');
    bar.setAttribute('aria-label', 'Viewer');
    for (const [tool, text] of TOOLS) this.#button(`tool-${tool}`, text).setAttribute('aria-pressed', String(tool === 'window'));
    for (const [act, text, key] of ACTS) this.#button(act, text, key);
    this.#comparing();
    this.presets = this.#choice('Preset', [], (value) => (Number(value) < 0 ? viewer.pane.reset() : viewer.preset(Number(value))));
    const width = () => viewer.pane.look.high - viewer.pane.look.low;
    const level = () => (viewer.pane.look.low + viewer.pane.look.high) / 2;
    this.width = this.#number('Width', (value) => viewer.pane.preset(level(), value));
    this.level = this.#number('Level', (value) => viewer.pane.preset(value, width()));
    this.#range('Opacity', 0, 1, viewer.pane.paint.opacity, (value) => (paint) => (paint.opacity = value));
    this.#range('Threshold', 0.3, 0.95, 0.3, (value) => (paint) => (paint.threshold = value <= 0.3 ? null : value));
    const maps = MAPS.map((name) => new Option(name, name));
    this.#choice('Map', maps, (name) => viewer.paint((paint) => (paint.colours = /** @type {import('./colours.js').MapName} */ (name))));
    const series = viewer.study.panes[0].series;
    const names = series.map((one, index) => new Option(one.description || `${one.modality} ${index + 1}`, String(index)));
    if (series.length > 1) this.#choice('Series', names, (index) => viewer.open(series[Number(index)]));
  }

  /** The button of an act. @param {string} act */
  button(act) {
    return this.bar.querySelector(`[data-act=${act}]`);
  }

  /** @param {string} act @param {boolean} on */
  press(act, on) {
    this.button(act)?.setAttribute('aria-pressed', String(on));
  }

  /** Which tool the mouse has. @param {string} tool */
  take(tool) {
    for (const [one] of TOOLS) this.press(`tool-${one}`, one === tool);
  }

  /** Offer the presets of a modality. @param {string} modality */
  offer(modality) {
    if (this.presets.dataset.of === modality) return;
    this.presets.dataset.of = modality;
    const names = (PRESETS[modality] ?? []).map(([name], index) => new Option(`${index + 1} ${name}`, String(index)));
    this.presets.replaceChildren(new Option('as stored', '-1'), ...names);
  }

  /** Show the window of a pane in the fields, but not under the hands of who types. @param {Pane} pane */
  show(pane) {
    const { low, high } = pane.look;
    for (const [field, value] of /** @type {[HTMLInputElement, number][]} */ ([[this.width, high - low], [this.level, (low + high) / 2]])) {
      field.disabled = pane.meta?.samples === 3;
      if (document.activeElement !== field) field.value = field.disabled ? '' : String(Math.round(value * 100) / 100);
    }
  }

  #comparing() {
    const { panes, study } = this.viewer;
    if (panes.length < 2) return;
    this.#button('link', 'Linked', 'L');
    this.#button('prior', 'Prior', 'P').setAttribute('aria-pressed', 'true');
    if (study.panes[0].findings.some((one) => one.change_url)) {
      this.#button('change', 'Change', 'D: now minus before').setAttribute('aria-pressed', 'false');
    }
  }

  /** @param {string} act @param {string} text @param {string} [title] */
  #button(act, text, title = '') {
    const made = /** @type {HTMLButtonElement} */ (element(this.bar, 'button', 'viewer-button'));
    made.type = 'button';
    made.dataset.act = act;
    made.textContent = text;
    if (title) made.title = title;
    made.addEventListener('click', () => this.viewer.act(act, true));
    return made;
  }

  /** @param {string} text @param {HTMLOptionElement[]} options @param {(value: string) => void} choose */
  #choice(text, options, choose) {
    const made = /** @type {HTMLSelectElement} */ (element(labelled(this.bar, text), 'select', ''));
    made.append(...options);
    made.addEventListener('change', () => choose(made.value));
    return made;
  }

  /** @param {string} text @param {(value: number) => void} set */
  #number(text, set) {
    const field = /** @type {HTMLInputElement} */ (element(labelled(this.bar, text), 'input', 'viewer-number'));
    field.type = 'number';
    field.step = 'any';
    field.addEventListener('change', () => Number.isFinite(field.valueAsNumber) && set(field.valueAsNumber));
    field.addEventListener('focus', () => field.select());
    return field;
  }

  /** @param {string} text @param {number} low @param {number} high @param {number} value @param {(value: number) => (paint: Paint) => void} change */
  #range(text, low, high, value, change) {
    const field = /** @type {HTMLInputElement} */ (element(labelled(this.bar, text), 'input', ''));
    Object.assign(field, { type: 'range', min: String(low), max: String(high), step: '0.05', value: String(value) });
    field.dataset.range = text.toLowerCase();
    field.addEventListener('input', () => this.viewer.paint(change(field.valueAsNumber)));
  }
}

/** @param {HTMLElement} parent @param {string} tag @param {string} name @returns {HTMLElement} */
export function element(parent, tag, name) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  parent.append(made);
  return made;
}

/** @param {HTMLElement} parent @param {string} text */
function labelled(parent, text) {
  const made = element(parent, 'label', 'viewer-label');
  made.append(`${text} `);
  return made;
}
