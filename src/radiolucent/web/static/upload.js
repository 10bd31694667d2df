// The upload: a file that is dropped or chosen, how much of it is sent, how far its reading is, and then the study.
//
// Without this script the form works as forms do; the zone is shown by it alone.

const EVERY_MS = 150;
const form = /** @type {HTMLFormElement|null} */ (document.querySelector('form[data-upload]'));

/** @template {HTMLElement} T @param {string} name @returns {T} */
function part(name) {
  return /** @type {T} */ (form?.querySelector(`[data-upload-${name}]`));
}

/** @param {string} words @param {number|null} [share] of the bar; null where it isn't known */
function tell(words, share = null) {
  part('running').hidden = false;
  part('refused').hidden = true;
  part('words').textContent = words;
  const bar = /** @type {HTMLProgressElement} */ (part('running').querySelector('progress'));
  if (share === null) bar.removeAttribute('value');
  else bar.value = share;
}

/** @param {string} words */
function refuse(words) {
  part('running').hidden = true;
  part('refused').hidden = false;
  part('refused').textContent = words;
  busy(false);
}

/** @param {boolean} on */
function busy(on) {
  for (const one of form?.querySelectorAll('button, input[type=file]') ?? []) one.toggleAttribute('disabled', on);
}

/** Send a file; where to ask how far it is. @param {File} file @param {string} csrf @returns {Promise<string>} */
function send(file, csrf) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch can't tell how much is sent
    const body = new FormData();
    body.append('csrf', csrf);
    body.append('file', file, 'upload');
    request.open('POST', '/upload');
    request.setRequestHeader('Accept', 'application/json');
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => tell(`sending, ${Math.floor((100 * loaded) / total)} %`, loaded / total);
    request.onload = () =>
      request.status === 202 ? done(request.response.address) : fail(new Error(request.response?.reason ?? `refused (${request.status})`));
    request.onerror = () => fail(new Error('The server could not be reached.'));
    request.send(body);
  });
}

/** Ask until it is over. @param {string} address */
async function follow(address) {
  for (;;) {
    const answer = await fetch(address, { headers: { Accept: 'application/json' }, credentials: 'same-origin' });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.reason ?? `refused (${answer.status})`);
    if (told.refused) throw new Error(`Not read: ${told.reason}`);
    if (told.address) return location.assign(told.address);
    tell(`reading: ${told.what}`, told.total ? told.done / told.total : null);
    await new Promise((later) => setTimeout(later, EVERY_MS));
  }
}

/** @param {FileList|null|undefined} files */
async function take(files) {
  const file = files?.[0];
  if (!form || !file) return;
  if (files.length > 1) return refuse('One file at a time: put the images of a study into one zip.');
  if (!file.size) return refuse('This is empty, or a folder: put its images into a zip.');
  if (file.size > Number(form.dataset.most)) return refuse('This is larger than what is taken here.');
  busy(true);
  tell('sending', 0);
  try {
    await follow(await send(file, /** @type {HTMLInputElement} */ (form.elements.namedItem('csrf')).value));
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error));
  }
}

export {};

if (form) {
  const zone = form;
  part('drop').hidden = false;
  zone.addEventListener('dragenter', () => zone.classList.add('drop-over'));
  zone.addEventListener('dragleave', (event) => {
    if (!zone.contains(/** @type {Node|null} */ (event.relatedTarget))) zone.classList.remove('drop-over');
  });
  zone.addEventListener('drop', (event) => {
    zone.classList.remove('drop-over');
    void take(event.dataTransfer?.files);
  });
  // beside the zone a browser would open the file in place of the page
  for (const kind of ['dragover', 'drop']) window.addEventListener(kind, (event) => event.preventDefault());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void take(/** @type {HTMLInputElement} */ (form.elements.namedItem('file')).files);
  });
}
