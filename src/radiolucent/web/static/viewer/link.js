// Scrolling current and prior together: in mm where their space is known, else by share of the stack; and saying which.

import { inverseRigid, samePlace } from './geometry.js';

/** @typedef {import('./pane.js').Pane} Pane */
/** @typedef {import('./types.js').StudyView} StudyView */

export class Link {
  /** @param {StudyView} study @param {Pane[]} panes current, and prior where there is one */
  constructor(study, panes) {
    this.study = study;
    this.panes = panes;
    this.on = true;
    this.moving = false;
  }

  /** Take the other pane along. @param {Pane} pane */
  follow(pane) {
    const index = this.panes.indexOf(pane);
    if (!this.on || this.moving || this.panes.length < 2 || index < 0) return;
    const other = this.panes[1 - index];
    if (!pane.meta || !other.meta) return;
    this.moving = true;
    other.go(samePlace(pane.meta, pane.frame, other.meta, this.#matrix(index)).frame);
    this.moving = false;
  }

  /** How the two series on screen are registered, if they are. */
  get pair() {
    const [here, there] = [this.panes[0].meta?.uid, this.panes[1]?.meta?.uid];
    return this.study.alignments.find((one) => one.current === here && one.prior === there);
  }

  /** From the space of pane `index` into the other's; null where nothing is known or both share one. @param {number} index */
  #matrix(index) {
    const found = this.pair?.matrix;
    return found ? (index === 0 ? inverseRigid(found) : found) : null;
  }

  /** Write on the button, the pane and the viewer how they are linked. @param {Element|null} button @param {HTMLElement} root */
  say(button, root) {
    if (!(button instanceof HTMLElement) || this.panes.length < 2) return;
    const [here, there] = [this.panes[0].meta, this.panes[1].meta];
    const pair = this.pair;
    const how = here && there ? samePlace(here, 0, there, this.#matrix(0)).how : 'fraction';
    const exact = how === 'mm' && (pair ? 'Linked in mm, registered' : this.study.same_space && 'Linked in mm');
    button.textContent = !this.on ? 'Not linked' : exact || 'Linked, approximate';
    button.title = pair?.note ?? (exact ? 'one frame of reference' : 'not registered: by mm or share of the stack');
    root.dataset.link = !this.on ? 'off' : pair ? 'registered' : exact ? 'same-space' : 'approximate';
    this.panes[1].link = this.on ? pair?.note ?? '' : '';
    button.setAttribute('aria-pressed', String(this.on));
    if (this.on) this.follow(this.panes[0]);
  }
}
