// The report: a sentence of the AI's draft comes into the text only where the reader puts it; text outlives a refusal.

export {};

const form = /** @type {HTMLFormElement|null} */ (document.querySelector('form[data-report]'));

/** @param {string} words */
function say(words) {
  const place = form?.querySelector('[data-report-words]');
  if (place) place.textContent = words;
}

/** @param {string} name */
function insert(name) {
  const text = /** @type {HTMLTextAreaElement|null} */ (form?.elements.namedItem(name));
  const draft = document.querySelector(`[data-draft="${name}"]`)?.textContent?.trim();
  if (!text || !draft) return;
  const before = text.value.slice(0, text.selectionStart).trimEnd();
  const after = text.value.slice(text.selectionEnd).trimStart();
  text.value = [before, draft, after].filter(Boolean).join('\n');
  text.focus();
  const end = (before ? before.length + 1 : 0) + draft.length;
  text.setSelectionRange(end, end);
  say(`The AI's ${name} are in your text: check them.`);
}

/** @param {SubmitEvent} event */
async function keep(event) {
  event.preventDefault();
  const body = new FormData(/** @type {HTMLFormElement} */ (form), event.submitter);
  try {
    const answer = await fetch(location.pathname + '/report', { method: 'POST', body, headers: { Accept: 'application/json' } });
    if (answer.ok) {
      location.hash = 'report';
      return location.reload();
    }
    say(`Not kept: ${(await answer.json()).reason}`);
  } catch {
    say('Not kept: the server could not be reached. Your text is still here.');
  }
}

if (form) {
  for (const button of form.querySelectorAll('[data-insert]')) {
    if (!(button instanceof HTMLElement)) continue;
    button.hidden = false;
    button.addEventListener('click', () => insert(button.dataset.insert ?? ''));
  }
  form.addEventListener('submit', (event) => void keep(event));
}
