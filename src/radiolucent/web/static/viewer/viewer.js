// The viewer on a page: panes side by side, linked in mm, the findings' maps on request, tools, keys, legend.
//
// Reads a StudyView as JSON from `<script type="application/json" data-viewer-study>` inside the mounted element.
// Buttons `[data-viewer-finding=ID]` anywhere on the page switch a finding's map; `[data-viewer-region]` (an input)
// receives a redrawn region as JSON. What was shown is told to `views_url`.

import { Keys } from './keys.js';
import { Pane } from './pane.js';
import { Link } from './link.js';
import { PRESETS, Toolbar, element } from './toolbar.js';
import { Withheld, heat } from './source.js';
import { legend } from './legend.js';

/** @typedef {import('./types.js').StudyView} StudyView */
/** @typedef {import('./types.js').FindingView} FindingView */

export class Viewer {
  /** @param {HTMLElement} root @param {StudyView} study */
  constructor(root, study) {
    this.root = root;
    this.study = study;
    /** when each overlay came on @type {Map<string, number>} */
    this.since = new Map();
    /** maps that were asked for: other methods, changes @type {Map<string, FindingView>} */
    this.extra = new Map();
    const bar = element(root, 'div', 'viewer-bar');
    this.row = element(root, 'div', 'viewer-panes');
    this.status = element(root, 'p', 'viewer-status');
    this.status.setAttribute('role', 'status');
    this.panes = study.panes.map((about) => new Pane(element(this.row, 'section', ''), about, (pane) => this.link?.follow(pane)));
    this.link = new Link(study, this.panes);
    this.panes.forEach((pane) => (pane.kept = study.regions ?? []));
    this.panes.forEach((pane, index) => {
      pane.root.setAttribute('aria-label', study.panes[index].role);
      pane.root.addEventListener('focusin', () => this.#focus(index));
      pane.onRegion = (mark) => this.#region(pane, mark);
      pane.onDraw = () => pane === this.pane && this.bar?.show(pane);
    });
    this.active = 0;
    this.bar = new Toolbar(bar, this);
    this.legend = element(root, 'div', 'viewer-legend');
    this.#legend();
    this.keys = new Keys((id, down) => this.act(id, down));
    document.addEventListener('click', (event) => {
      const button = /** @type {HTMLElement} */ (event.target).closest?.('[data-viewer-finding]');
      if (button instanceof HTMLElement) void this.toggle(button.dataset.viewerFinding || '', event.shiftKey);
    });
    document.addEventListener('viewer:explanation', (event) => {
      const { view, show } = /** @type {CustomEvent} */ (event).detail;
      this.extra.set(view.id, view);
      if (show) void this.toggle(view.id);
    });
    const opened = performance.now();
    const leave = () => {
      for (const id of [...this.since.keys()]) this.#tell('overlay-hidden', id);
      this.#send({ event: 'page-left', finding: '', ms: Math.round(performance.now() - opened), method: '' });
    };
    window.addEventListener('pagehide', leave);
    this.#focus(0);
    this.#sayLink();
    root.dataset.mounted = 'true';
  }

  get pane() {
    return this.panes[this.active];
  }

  /** @param {number} index */
  #focus(index) {
    this.active = Math.min(index, this.panes.length - 1);
    this.panes.forEach((pane, at) => pane.root.classList.toggle('viewer-active', at === this.active));
    this.bar.offer(this.pane.meta?.modality ?? '');
    this.bar.show(this.pane);
  }

  // --- findings and their maps

  /** @param {string} id @returns {FindingView|undefined} */
  finding(id) {
    return this.study.panes[0].findings.find((one) => one.id === id) ?? this.extra.get(id);
  }

  /** Switch a finding's map on or off; with `add` as a further contour. @param {string} id @param {boolean} [add] */
  async toggle(id, add = false) {
    const finding = this.finding(id);
    const pane = this.panes[0];
    if (!finding) return;
    if (pane.map?.finding === finding) {
      pane.map = pane.lines.shift() ?? null; // a legend stands with every overlay, and it is the map's
      this.#tell('overlay-hidden', id);
    } else if (pane.lines.some((one) => one.finding === finding)) {
      pane.lines = pane.lines.filter((one) => one.finding !== finding);
      this.#tell('overlay-hidden', id);
    } else {
      await this.#show(finding, add);
    }
    this.#afterMaps();
  }

  /** @param {FindingView} finding @param {boolean} add */
  async #show(finding, add) {
    const pane = this.panes[0];
    const meta = this.study.panes[0].series.find((one) => one.uid === finding.series);
    try {
      const found = { finding, heat: await heat(finding) };
      if (meta && pane.meta !== meta) this.open(meta);
      if (add && pane.map) pane.lines.push(found);
      else {
        if (pane.map) this.#tell('overlay-hidden', pane.map.finding.id);
        pane.map = found;
        pane.go(finding.only_frame ?? finding.peak_frame);
        await this.#showPrior(finding);
      }
      this.since.set(finding.id, performance.now());
      this.#tell('overlay-shown', finding.id);
      this.status.textContent = '';
    } catch (error) {
      this.status.textContent =
        error instanceof Withheld && error.code === 'training_required'
          ? 'Heatmaps open once the training is done: see Training.'
          : error instanceof Error ? error.message : String(error);
      this.status.dataset.code = error instanceof Withheld ? error.code : 'failed';
    }
  }

  /** The same finding of the same engine on the prior, on the same scale. @param {FindingView} finding */
  async #showPrior(finding) {
    const prior = this.panes[1];
    if (!prior) return;
    if (this.extra.has(finding.id)) {
      prior.map = null;
      prior.redraw();
      return;
    }
    const before = this.study.panes[1].findings.find((one) => one.label === finding.label && one.engine === finding.engine);
    prior.map = before?.heat_url ? { finding: { ...before, display_scale: finding.display_scale }, heat: await heat(before) } : null;
    const other = this.study.panes[1].findings.find((one) => one.label === finding.label);
    prior.say(!before && other ? 'Different engine version: not compared.' : '');
    prior.redraw();
  }

  #afterMaps() {
    const pane = this.panes[0];
    if (!pane.map && this.panes[1]) this.panes[1].map = null;
    const shown = [pane.map?.finding.id, ...pane.lines.map((one) => one.finding.id)];
    for (const button of document.querySelectorAll('[data-viewer-finding]')) {
      button.setAttribute('aria-pressed', String(shown.includes(/** @type {HTMLElement} */ (button).dataset.viewerFinding)));
    }
    const first = pane.map?.finding;
    if (first && !this.extra.has(first.id)) pane.curve?.show(first.frame_logits, first.peak_frame, first.label);
    else pane.curve?.hide();
    this.root.dataset.overlay = first?.id ?? '';
    this.bar.press('change', Boolean(first?.signed));
    this.#legend();
    this.panes.forEach((one) => one.redraw());
  }

  /** @param {'overlay-shown'|'overlay-hidden'} what @param {string} id */
  #tell(what, id) {
    const started = this.since.get(id);
    const ms = started === undefined ? 0 : Math.round(performance.now() - started);
    if (what === 'overlay-hidden') this.since.delete(id);
    const detail = { event: what, finding: id, ms, method: this.finding(id)?.method ?? '' };
    this.root.dispatchEvent(new CustomEvent('viewer:view', { detail, bubbles: true }));
    this.#send(detail);
  }

  /** @param {{event: string, finding: string, ms: number, method: string}} detail */
  #send(detail) {
    if (!this.study.views_url) return;
    void fetch(this.study.views_url, {
      method: 'POST',
      keepalive: true,
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': this.study.csrf ?? '' },
      body: JSON.stringify(detail),
    }).catch(() => undefined);
  }

  // --- series and how they are drawn

  /** Show a series, and beside it the prior's that belongs to it. @param {import('./types.js').SeriesMeta} meta */
  open(meta) {
    this.panes[0].open(meta);
    const prior = this.panes[1];
    if (!prior) return;
    const uid = this.study.alignments.find((one) => one.current === meta.uid)?.prior;
    const series = prior.about.series;
    const found = series.find((one) => one.uid === uid) ?? series.find((one) => one.description === meta.description);
    if (found && found !== prior.meta) prior.open(found);
    this.#sayLink();
  }

  /** @param {(paint: import('./pane.js').Paint) => void} change */
  paint(change) {
    this.panes.forEach((pane) => {
      change(pane.paint);
      pane.redraw();
    });
    this.#legend();
  }

  #legend() {
    const shown = this.panes[0].map;
    this.legend.hidden = !shown;
    if (shown) this.legend.replaceChildren(...legend(shown, this.panes[0], this.link.pair?.note ?? 'registered'));
  }

  #sayLink() {
    this.link.say(this.bar.button('link'), this.root);
  }

  // --- keys and buttons

  /** @param {string} id @param {boolean} down @returns {boolean} */
  act(id, down) {
    const pane = this.pane;
    if (id === 'hide') {
      this.panes.forEach((one) => ((one.hidden = down), one.redraw()));
      return true;
    }
    if (!down) return false;
    const [kind, number] = [id.replace(/-\d$/, ''), Number(id.slice(-1))];
    if (kind === 'finding') return this.#finding(number - 1);
    if (kind === 'preset') return this.preset(number - 1);
    if (id.startsWith('tool-')) return this.#tool(/** @type {import('./pane.js').Tool} */ (id.slice(5)));
    /** @type {Record<string, () => void>} */
    const acts = {
      up: () => pane.go(pane.frame - 1),
      down: () => pane.go(pane.frame + 1),
      first: () => pane.go(0),
      last: () => pane.go(Infinity),
      'series-next': () => this.#series(1),
      'series-previous': () => this.#series(-1),
      'pane-left': () => this.panes[0].root.focus(),
      'pane-right': () => this.panes[this.panes.length - 1].root.focus(),
      'toggle-hidden': () => this.panes.forEach((one) => ((one.hidden = !one.hidden), one.redraw())),
      'opacity-up': () => this.paint((paint) => (paint.opacity = Math.min(1, paint.opacity + 0.1))),
      'opacity-down': () => this.paint((paint) => (paint.opacity = Math.max(0, paint.opacity - 0.1))),
      style: () => this.paint((paint) => (paint.style = paint.style === 'map' ? 'contour' : 'map')),
      invert: () => ((pane.look.inverted = !pane.look.inverted), pane.redraw()),
      fit: () => (pane.view?.fit(), pane.redraw()),
      reset: () => pane.reset(),
      clear: () => this.#clear(),
      zoom: () => void this.#tool('zoom'),
      link: () => ((this.link.on = !this.link.on), this.#sayLink()),
      prior: () => this.#prior(),
      change: () => void this.#change(),
      'peak-previous': () => this.#peak(-1),
      'peak-next': () => this.#peak(1),
      help: () => this.#help(),
      cancel: () => this.#cancel(),
    };
    if (!(id in acts)) {
      const asked = new CustomEvent('viewer:key', { detail: id, bubbles: true, cancelable: true });
      return !this.root.dispatchEvent(asked);
    }
    acts[id]();
    return true;
  }

  /** What has changed since the registered prior, in place of the map that is on, and back. */
  async #change() {
    const on = this.panes[0].map?.finding;
    if (on?.signed) return this.toggle(on.id.split('~')[0]);
    const finding = on?.change_url ? on : this.study.panes[0].findings.find((one) => one.change_url);
    if (!finding) return undefined;
    const id = `${finding.id}~change`;
    this.extra.set(id, { ...finding, id, method: 'change since prior', heat_url: finding.change_url ?? null, signed: true });
    return this.toggle(id);
  }

  /** @param {number} index */
  #finding(index) {
    const shown = this.study.panes[0].findings.filter((one) => one.positive);
    if (!shown[index]) return false;
    void this.toggle(shown[index].id);
    return true;
  }

  /** @param {number} index */
  preset(index) {
    const found = (PRESETS[this.pane.meta?.modality ?? ''] ?? [])[index];
    if (found) this.pane.preset(found[1], found[2]);
    return Boolean(found);
  }

  /** @param {import('./pane.js').Tool} tool */
  #tool(tool) {
    const next = this.pane.tool === tool ? 'window' : tool;
    this.panes.forEach((pane) => ((pane.tool = next), (pane.drawing = null)));
    this.bar.take(next);
    return true;
  }

  /** @param {number} step */
  #series(step) {
    const series = this.pane.about.series;
    const at = series.indexOf(/** @type {import('./types.js').SeriesMeta} */ (this.pane.meta));
    const next = series[at + step];
    if (next && this.active === 0) this.open(next);
    else if (next) this.pane.open(next);
  }

  /** @param {number} step */
  #peak(step) {
    const positive = this.study.panes[0].findings.filter((one) => one.positive && one.heat_url);
    if (!positive.length) return;
    const at = positive.findIndex((one) => one === this.panes[0].map?.finding);
    const next = positive[(at + step + positive.length) % positive.length];
    if (next === this.panes[0].map?.finding) this.panes[0].go(next.peak_frame);
    else void this.toggle(next.id);
  }

  #prior() {
    const prior = this.panes[1];
    if (!prior) return;
    prior.root.hidden = !prior.root.hidden;
    this.bar.press('prior', !prior.root.hidden);
  }

  /** Take all marks away, a redrawn region with them. */
  #clear() {
    this.panes.forEach((pane) => pane.clearMarks());
    this.root.dispatchEvent(new CustomEvent('viewer:region', { detail: null, bubbles: true }));
  }

  /** Leave what was begun: a mark, a tool, the list of keys. */
  #cancel() {
    this.#tool('window');
    this.panes.forEach((pane) => pane.redraw());
    const dialog = document.querySelector('dialog[data-viewer-help]');
    if (dialog instanceof HTMLDialogElement) dialog.close();
  }

  #help() {
    const dialog = document.querySelector('dialog[data-viewer-help]');
    if (!(dialog instanceof HTMLDialogElement)) return;
    const list = dialog.querySelector('dl');
    if (list instanceof HTMLElement) this.keys.list(list, dialog);
    if (dialog.open) dialog.close();
    else dialog.show();
  }

  /** @param {Pane} pane @param {import('./pane.js').Mark} mark */
  #region(pane, mark) {
    const detail = { series: pane.meta?.uid, frame: mark.frame, points: mark.points.map((place) => place.map((value) => Number(value.toFixed(1)))) };
    const field = document.querySelector('[data-viewer-region]');
    if (field instanceof HTMLInputElement) field.value = JSON.stringify(detail);
    this.root.dispatchEvent(new CustomEvent('viewer:region', { detail, bubbles: true }));
  }
}

/** Mount on every `[data-viewer]` of the page. */
export function mount() {
  for (const root of document.querySelectorAll('[data-viewer]')) {
    const told = root.querySelector('script[data-viewer-study]');
    if (root instanceof HTMLElement && told?.textContent) new Viewer(root, JSON.parse(told.textContent));
  }
}

mount();
