// What pages do beside the viewer: times of a decision, the redrawn region, and signs of activity in the training.

const opened = performance.now();

/** @param {string} finding @returns {HTMLFormElement|null} */
function formOf(finding) {
  for (const form of document.querySelectorAll('form[data-decision]')) {
    if (form instanceof HTMLFormElement && form.dataset.decision === finding.split('~')[0]) return form;
  }
  return null;
}

/** @param {HTMLFormElement} form @param {string} name @returns {HTMLInputElement} */
function field(form, name) {
  return /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
}

let last = '';
/** since when a map is on @type {Map<string, number>} */
const shown = new Map();
document.addEventListener('viewer:view', (event) => {
  const { event: what, finding, ms } = /** @type {CustomEvent} */ (event).detail;
  last = finding;
  if (what === 'overlay-shown') shown.set(finding, performance.now());
  else shown.delete(finding);
  const form = formOf(finding);
  if (form) field(form, 'overlay_ms').value = String(Number(field(form, 'overlay_ms').value) + ms);
});

document.addEventListener('viewer:region', (event) => {
  const drawn = /** @type {CustomEvent} */ (event).detail;
  const forms = [...document.querySelectorAll('form[data-decision]')].filter((one) => one instanceof HTMLFormElement);
  if (!drawn) return forms.forEach((form) => keepRegion(form, '', ''));
  const { series, frame, points } = drawn;
  const own = forms.filter((form) => field(form, 'series').value === series);
  const form = formOf(last) ?? own[0];
  if (form) keepRegion(form, JSON.stringify({ frame, points }), `Region redrawn on image ${frame + 1}.`);
});

/** @param {HTMLFormElement} form @param {string} region @param {string} says */
function keepRegion(form, region, says) {
  field(form, 'region').value = region;
  const words = form.querySelector('[data-region-words]');
  if (words) words.textContent = says;
}

// a rejection needs its reason: asked for here, so that nothing that was typed is lost with the page
document.addEventListener('change', (event) => {
  const outcome = event.target;
  if (!(outcome instanceof HTMLInputElement) || outcome.name !== 'outcome' || !outcome.form) return;
  const reason = outcome.form.elements.namedItem('reason');
  if (reason instanceof HTMLSelectElement) reason.required = outcome.value === 'reject';
});

/** Take a choice back; what was typed stays. @param {HTMLFormElement} form */
function unchoose(form) {
  for (const one of form.querySelectorAll('input[name=outcome]')) /** @type {HTMLInputElement} */ (one).checked = false;
  const reason = form.elements.namedItem('reason');
  if (reason instanceof HTMLSelectElement) reason.required = false;
  const pane = document.querySelector('.viewer-pane');
  if (pane instanceof HTMLElement) pane.focus();
}

/** What a key chooses is chosen, never sent: that takes Ctrl+Enter or the button. */
document.addEventListener('viewer:key', (event) => {
  const id = /** @type {CustomEvent} */ (event).detail;
  if (id === 'study-next' || id === 'study-previous') {
    const link = document.querySelector(`[data-${id}]`);
    if (link instanceof HTMLAnchorElement) link.click();
    event.preventDefault();
    return;
  }
  const form = formOf(last) ?? document.querySelector('form[data-decision]');
  const choice = form?.querySelector(`input[name=outcome][value="${id}"]`);
  if (!(form instanceof HTMLFormElement) || !(choice instanceof HTMLInputElement)) return;
  for (let at = form.parentElement; at; at = at.parentElement) if (at instanceof HTMLDetailsElement) at.open = true;
  choice.checked = true;
  choice.dispatchEvent(new Event('change', { bubbles: true }));
  choice.focus();
  event.preventDefault();
});

document.addEventListener('keydown', (event) => {
  const own = /** @type {HTMLElement} */ (event.target).closest?.('form[data-decision]');
  if (event.key === 'Escape' && own instanceof HTMLFormElement) unchoose(own);
  if (event.key !== 'Enter' || !event.ctrlKey) return;
  const form = own ?? formOf(last);
  if (form instanceof HTMLFormElement && form.querySelector('input[name=outcome]:checked')) form.requestSubmit();
});

document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form instanceof HTMLFormElement && form.dataset.decision) {
    field(form, 'open_ms').value = String(Math.round(performance.now() - opened));
    let seen = Number(field(form, 'overlay_ms').value);
    for (const [finding, since] of shown) if (formOf(finding) === form) seen += performance.now() - since;
    field(form, 'overlay_ms').value = String(Math.round(seen));
  }
});

const beat = document.querySelector('[data-heartbeat]');
if (beat instanceof HTMLElement) {
  let active = true;
  for (const kind of ['pointermove', 'keydown', 'scroll', 'pointerdown']) {
    document.addEventListener(kind, () => { active = true; }, { passive: true });
  }
  /** @param {boolean} on */
  const tell = (on) =>
    void fetch(beat.dataset.heartbeat ?? '', {
      method: 'POST',
      keepalive: true,
      body: new URLSearchParams({ active: String(on), csrf: beat.dataset.csrf ?? '' }),
    }).catch(() => undefined);
  tell(true);
  setInterval(() => {
    if (active && document.visibilityState === 'visible') tell(true);
    active = false;
  }, 30000);
  document.addEventListener('visibilitychange', () => tell(document.visibilityState === 'visible'));
  window.addEventListener('pagehide', () => tell(false));
}
