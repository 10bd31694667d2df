// What the mouse does in a pane: window and level, zoom, pan, scroll, and the drawing of lengths, angles and regions.

/** @typedef {import('./pane.js').Pane} Pane */
/** @typedef {import('./pane.js').Tool} Tool */
/** @typedef {import('./geometry.js').View} View */

/** Let a pane follow the mouse, with the bindings that readers know. @param {Pane} pane */
export function listen(pane) {
  const stage = pane.stage;
  /** @type {{tool: Tool, x: number, y: number}|null} */
  let drag = null;
  stage.addEventListener('contextmenu', (event) => event.preventDefault());
  stage.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        const box = stage.getBoundingClientRect();
        pane.view?.zoomAt(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
        pane.redraw();
      } else pane.go(pane.frame + Math.sign(event.deltaY));
    },
    { passive: false },
  );
  stage.addEventListener('pointerdown', (event) => {
    pane.root.focus({ preventScroll: true });
    stage.setPointerCapture(event.pointerId);
    const tool = event.button === 1 || event.shiftKey ? 'pan' : event.button === 2 ? 'zoom' : pane.tool;
    drag = { tool, x: event.clientX, y: event.clientY };
    if (tool === 'length' || tool === 'angle' || tool === 'region') point(pane, tool, event);
  });
  stage.addEventListener('pointermove', (event) => {
    const box = stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const value = pane.readout(x, y);
    if (pane.meta) pane.corner.tr.textContent = `${pane.meta.description || pane.meta.modality}${value ? `\n${value}` : ''}`;
    if (pane.drawing && pane.drawing.kind !== 'region') {
      pane.drawing.points[pane.drawing.points.length - 1] = /** @type {View} */ (pane.view).toImage(x, y);
      pane.redraw();
    }
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.x = event.clientX;
    drag.y = event.clientY;
    move(pane, drag.tool, dx, dy, x, y);
  });
  stage.addEventListener('pointerup', () => {
    if (drag?.tool === 'region' && pane.drawing) finish(pane);
    drag = null;
  });
  stage.addEventListener('pointercancel', () => (drag = null));
}

/** @param {Pane} pane @param {Tool} tool @param {number} dx @param {number} dy @param {number} x @param {number} y */
function move(pane, tool, dx, dy, x, y) {
  const view = /** @type {View} */ (pane.view);
  if (tool === 'window') {
    const width = pane.look.high - pane.look.low;
    const middle = pane.look.low + width / 2 + (dy * width) / 300;
    pane.preset(middle, Math.max(1e-3, width * Math.exp(dx / 200)));
  } else if (tool === 'pan') {
    view.panX += dx;
    view.panY += dy;
  } else if (tool === 'zoom') {
    view.zoomAt(Math.exp(-dy / 150), view.width / 2, view.height / 2);
  } else if (tool === 'region' && pane.drawing) {
    pane.drawing.points.push(view.toImage(x, y));
  }
  pane.redraw();
}

/** @param {Pane} pane @param {'length'|'angle'|'region'} kind @param {PointerEvent} event */
function point(pane, kind, event) {
  const box = pane.stage.getBoundingClientRect();
  const place = /** @type {View} */ (pane.view).toImage(event.clientX - box.left, event.clientY - box.top);
  if (!pane.drawing || pane.drawing.kind !== kind) {
    pane.drawing = { kind, frame: pane.frame, points: kind === 'region' ? [place] : [place, place] };
    return;
  }
  if (kind === 'angle' && pane.drawing.points.length === 2) pane.drawing.points.push(place);
  else finish(pane);
}

/** @param {Pane} pane */
function finish(pane) {
  const mark = pane.drawing;
  pane.drawing = null;
  if (mark && (mark.kind !== 'region' || mark.points.length > 3)) {
    if (mark.kind === 'region') pane.marks = pane.marks.filter((other) => other.kind !== 'region');
    pane.marks.push(mark);
    if (mark.kind === 'region') pane.onRegion?.(mark);
  }
  pane.redraw();
}
