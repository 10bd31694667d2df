// Other explanation methods on request: asks, shows how far it is and how long it takes, stops, lists what was made.

/**
 * @typedef {Object} Told
 * @property {string} job
 * @property {'waiting'|'running'|'done'|'failed'|'stopped'} state
 * @property {number} done
 * @property {number} total
 * @property {number|null} seconds_left
 * @property {string} reason
 * @property {string} finding
 * @property {string} [title]
 * @property {string} [what]
 * @property {number} [frame]
 * @property {number} [seconds]
 * @property {number} [passes]
 * @property {boolean} [from_cache]
 * @property {{words: string}} [agreement]
 * @property {import('./types.js').FindingView} [view]
 */

const EVERY_MS = 400;

export class Wish {
  /** @param {HTMLElement} root @param {string} csrf */
  constructor(root, csrf) {
    this.root = root;
    this.csrf = csrf;
    this.address = `/api/v1/results/${encodeURIComponent(root.dataset.explain ?? '')}/explanations`;
    this.id = `${root.dataset.series}/${root.dataset.finding}`;
    this.job = '';
    this.button('ask').addEventListener('click', () => void this.ask(/** @type {HTMLSelectElement} */ (this.button('method')).value));
    const compare = /** @type {HTMLElement|null} */ (root.querySelector('[data-explain-compare]'));
    compare?.addEventListener('click', () => void this.compare((compare.dataset.explainCompare ?? '').split(' ')));
    this.button('stop').addEventListener('click', () => void this.send(`${this.address}/${this.job}/stop`, {}));
  }

  /** @param {string} name @returns {HTMLElement} */
  button(name) {
    return /** @type {HTMLElement} */ (this.root.querySelector(`[data-explain-${name}]`));
  }

  /** The image on screen where it is of the finding's series, else the finding's peak. */
  frame() {
    const pane = /** @type {HTMLElement|null} */ (document.querySelector('.viewer-pane'));
    return Number(pane?.dataset.series === this.root.dataset.series ? pane?.dataset.frame : this.root.dataset.peak);
  }

  /** @param {string} address @param {unknown} body @returns {Promise<Told>} */
  async send(address, body) {
    const answer = await fetch(address, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'X-CSRF-Token': this.csrf },
      body: JSON.stringify(body),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.reason || `refused (${answer.status})`);
    return told;
  }

  /** One after the other, until one fails or is stopped. @param {string[]} methods */
  async compare(methods) {
    for (const method of methods) if (!(await this.ask(method))) return;
  }

  /** @param {string} method @returns {Promise<boolean>} whether it was made */
  async ask(method) {
    const { series, finding } = this.root.dataset;
    this.busy(true, 'asked');
    try {
      let told = await this.send(this.address, { series, finding, method, frame: this.frame() });
      this.job = told.job;
      while (told.state === 'waiting' || told.state === 'running') {
        this.progress(told);
        await new Promise((done) => setTimeout(done, EVERY_MS));
        const answer = await fetch(`${this.address}/${told.job}`, { credentials: 'same-origin' });
        if (!answer.ok) throw new Error(`it was lost (${answer.status})`);
        told = await answer.json();
      }
      if (told.state !== 'done') throw new Error(told.reason || told.state);
      this.busy(false, '');
      this.list(told, true);
      return true;
    } catch (error) {
      this.busy(false, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  /** @param {boolean} on @param {string} words */
  busy(on, words) {
    this.button('running').hidden = !on && !words;
    this.button('stop').hidden = !on;
    const bar = this.root.querySelector('progress');
    if (bar) bar.hidden = !on;
    for (const button of this.root.querySelectorAll('[data-explain-ask], [data-explain-compare]')) {
      /** @type {HTMLButtonElement} */ (button).disabled = on;
    }
    this.button('words').textContent = words;
  }

  /** @param {Told} told */
  progress(told) {
    const bar = this.root.querySelector('progress');
    if (bar) bar.value = told.total ? told.done / told.total : 0;
    const left = told.seconds_left === null ? '' : `, about ${Math.max(1, Math.round(told.seconds_left))} s left`;
    this.button('words').textContent = told.state === 'waiting' ? `waits for its turn${left}` : `${told.done} of ${told.total} passes${left}`;
  }

  /** A line for what was made; `show` puts it on the image. @param {Told} told @param {boolean} show */
  list(told, show) {
    const { view, agreement } = told;
    if (!view || !agreement) return;
    const list = this.button('made');
    for (const line of list.querySelectorAll('li')) if (line.dataset.id === view.id) line.remove();
    const line = document.createElement('li');
    line.dataset.id = view.id;
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = `${told.title}, image ${(told.frame ?? 0) + 1}`;
    button.setAttribute('aria-pressed', 'false');
    button.dataset.viewerFinding = view.id;
    const took = told.from_cache ? 'kept from before' : `${told.seconds} s, ${told.passes} passes`;
    line.append(button, ` ${told.what} [${view.unit}]. ${agreement.words} (${took}).`);
    list.append(line);
    document.dispatchEvent(new CustomEvent('viewer:explanation', { detail: { view, show } }));
  }
}

const page = document.querySelector('script[data-viewer-study]');
const csrf = page?.textContent ? String(JSON.parse(page.textContent).csrf ?? '') : '';
const requests = [...document.querySelectorAll('[data-explain]')].map((root) => new Wish(/** @type {HTMLElement} */ (root), csrf));
if (requests[0]) {
  void fetch(requests[0].address, { credentials: 'same-origin' })
    .then((answer) => (answer.ok ? answer.json() : { explanations: [] }))
    .then((told) => {
      for (const one of told.explanations) requests.find((request) => request.id === one.finding)?.list(one, false);
    })
    .catch(() => undefined);
}
