// A click on a practice picture sets the place: a cross is drawn and both number fields are filled; they can be typed too.

const place = document.querySelector('[data-place=on]');
const form = document.querySelector('[data-place-form]');
if (place instanceof HTMLElement && form instanceof HTMLFormElement) {
  const image = /** @type {HTMLImageElement} */ (place.querySelector('img'));
  const cross = /** @type {HTMLElement} */ (place.querySelector('.cross'));
  const down = /** @type {HTMLInputElement} */ (form.elements.namedItem('down'));
  const across = /** @type {HTMLInputElement} */ (form.elements.namedItem('across'));

  const draw = () => {
    cross.hidden = !(Number.isFinite(down.valueAsNumber) && Number.isFinite(across.valueAsNumber));
    cross.style.top = `${down.value}%`;
    cross.style.left = `${across.value}%`;
  };
  /** Nothing to mark where nothing is seen. */
  const ask = () => {
    const chosen = /** @type {RadioNodeList} */ (form.elements.namedItem('finding')).value;
    const needed = chosen !== '' && chosen !== 'nothing';
    down.required = needed;
    across.required = needed;
  };
  image.addEventListener('click', (event) => {
    const box = image.getBoundingClientRect();
    down.value = (((event.clientY - box.top) / box.height) * 100).toFixed(1);
    across.value = (((event.clientX - box.left) / box.width) * 100).toFixed(1);
    draw();
  });
  down.addEventListener('input', draw);
  across.addEventListener('input', draw);
  form.addEventListener('change', ask);
  draw();
}
