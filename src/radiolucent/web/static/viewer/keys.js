// Which key does what: one table, remappable and switchable, silent while somebody types.

/** @typedef {{id: string, key: string, says: string}} Shortcut key: "KeyH", "Shift+Digit1", … by `event.code` */

/** @type {Shortcut[]} */
export const SHORTCUTS = [
  { id: 'up', key: 'ArrowUp', says: 'previous slice' },
  { id: 'down', key: 'ArrowDown', says: 'next slice' },
  { id: 'first', key: 'Home', says: 'first slice' },
  { id: 'last', key: 'End', says: 'last slice' },
  { id: 'series-next', key: 'PageDown', says: 'next series' },
  { id: 'series-previous', key: 'PageUp', says: 'previous series' },
  { id: 'pane-left', key: 'ArrowLeft', says: 'current pane' },
  { id: 'pane-right', key: 'ArrowRight', says: 'prior pane' },
  ...[1, 2, 3, 4, 5].map((n) => ({ id: `preset-${n}`, key: `Digit${n}`, says: `window preset ${n}` })),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => ({ id: `finding-${n}`, key: `Shift+Digit${n}`, says: `overlay of finding ${n}` })),
  { id: 'hide', key: 'KeyH', says: 'hide the overlay while held' },
  { id: 'toggle-hidden', key: 'Shift+KeyH', says: 'hide the overlay, or show it again' },
  { id: 'opacity-up', key: 'KeyO', says: 'more opaque' },
  { id: 'opacity-down', key: 'Shift+KeyO', says: 'less opaque' },
  { id: 'style', key: 'KeyC', says: 'colours or contour' },
  { id: 'invert', key: 'KeyI', says: 'invert' },
  { id: 'fit', key: 'Equal', says: 'fit to the pane' },
  { id: 'reset', key: 'Space', says: 'reset window, zoom and place' },
  { id: 'zoom', key: 'KeyZ', says: 'zoom with the left button' },
  { id: 'link', key: 'KeyL', says: 'link scrolling' },
  { id: 'prior', key: 'KeyP', says: 'show or hide the prior' },
  { id: 'change', key: 'KeyD', says: 'what has changed since a registered prior' },
  { id: 'peak-previous', key: 'BracketLeft', says: "previous finding's peak slice" },
  { id: 'peak-next', key: 'BracketRight', says: "next finding's peak slice" },
  { id: 'accept', key: 'KeyA', says: 'choose accept' },
  { id: 'modify', key: 'KeyM', says: 'choose modify' },
  { id: 'reject', key: 'KeyR', says: 'choose reject' },
  { id: 'cancel', key: 'Escape', says: 'cancel what is being drawn or chosen; nothing typed is lost' },
  { id: 'study-next', key: 'KeyJ', says: 'next study of the worklist' },
  { id: 'study-previous', key: 'KeyK', says: 'previous study of the worklist' },
  { id: 'help', key: 'Shift+Slash', says: 'this list' },
];

const STORE = 'viewer-keys';

/** @returns {{off: boolean, own: Record<string, string>}} */
function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) || '{}');
    return { off: Boolean(found.off), own: found.own ?? {} };
  } catch {
    return { off: false, own: {} };
  }
}

/** @param {KeyboardEvent} event */
export function nameOf(event) {
  return (event.shiftKey ? 'Shift+' : '') + event.code;
}

export class Keys {
  /** @param {(id: string, down: boolean) => boolean} act true where the key was used */
  constructor(act) {
    this.settings = kept();
    /** a shortcut that waits for its new key @type {{id: string, done: () => void}|null} */
    this.waiting = null;
    /** @param {KeyboardEvent} event @param {boolean} down */
    const heard = (event, down) => {
      const target = /** @type {HTMLElement|null} */ (event.target);
      if (down && this.waiting) {
        event.preventDefault();
        if (/^(Shift|Control|Alt|Meta)/.test(event.code)) return;
        const { id, done } = this.waiting;
        this.waiting = null;
        if (event.code !== 'Escape') this.remap(id, nameOf(event));
        done();
        return;
      }
      if (this.settings.off || event.ctrlKey || event.altKey || event.metaKey) return;
      if (target?.closest('input, select, textarea, button, a, summary, [contenteditable]') && target.getAttribute('type') !== 'range') {
        // letters and Shift+digit don't mean anything to a button; Space, Enter and arrows do
        if (!target.closest('button, a, summary') || !/^(Shift\+)?(Key|Digit|Bracket|Equal)/.test(nameOf(event))) return;
      }
      const found = SHORTCUTS.find((one) => (this.settings.own[one.id] ?? one.key) === nameOf(event));
      if (found && act(found.id, down)) event.preventDefault();
      else if (!down && event.code === (this.settings.own.hide ?? 'KeyH')) act('hide', false);
    };
    document.addEventListener('keydown', (event) => heard(event, true));
    document.addEventListener('keyup', (event) => heard(event, false));
  }

  /** @param {boolean} off */
  switch(off) {
    this.settings.off = off;
    localStorage.setItem(STORE, JSON.stringify(this.settings));
  }

  /** @param {string} id @param {string} key */
  remap(id, key) {
    this.settings.own[id] = key;
    localStorage.setItem(STORE, JSON.stringify(this.settings));
  }

  /** The list for people: a key is changed by its button, all are switched off by the box. @param {HTMLElement} into @param {HTMLElement} dialog */
  list(into, dialog) {
    if (!dialog.querySelector('[data-keys-on]')) {
      const [label, box] = [document.createElement('label'), document.createElement('input')];
      label.className = 'check';
      box.type = 'checkbox';
      box.dataset.keysOn = '';
      box.checked = !this.settings.off;
      box.addEventListener('change', () => this.switch(!box.checked));
      label.append(box, ' Keys are on');
      into.before(label);
    }
    into.replaceChildren(
      ...SHORTCUTS.flatMap((one) => {
        const [key, says, button] = [document.createElement('dt'), document.createElement('dd'), document.createElement('button')];
        button.type = 'button';
        button.textContent = (this.settings.own[one.id] ?? one.key).replace(/Key|Digit/, '').replace('Slash', '/').replace('Equal', '=');
        button.setAttribute('aria-label', `${button.textContent}: ${one.says}; change the key`);
        button.addEventListener('click', () => {
          button.textContent = 'press a key';
          this.waiting = { id: one.id, done: () => this.list(into, dialog) };
        });
        key.append(button);
        says.textContent = one.says;
        return [key, says];
      }),
    );
  }
}
