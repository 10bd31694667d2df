// What lies over the image: outlines of maps, redrawn regions, lengths and angles, the scale bar.

import { angle, distance } from './geometry.js';
import { segments } from './contour.js';
import { ink } from './colours.js';
import { slice } from './source.js';

/** @typedef {import('./pane.js').Pane} Pane */
/** @typedef {import('./pane.js').Shown} Shown */
/** @typedef {import('./pane.js').Mark} Mark */
/** @typedef {import('./geometry.js').View} View */
/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */

const DASHES = [[], [6, 4], [2, 3], [10, 4, 2, 4]];

/** Everything over the image of a pane, drawn anew. @param {Pane} pane */
export function drawOver(pane) {
  const context = pane.over.getContext('2d');
  const view = pane.view;
  if (!context || !view) return;
  const ratio = pane.over.width / view.width;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  const shown = pane.hidden ? [] : [...(pane.map ? [pane.map] : []), ...pane.lines];
  shown.forEach((one, index) => contour(context, pane, one, DASHES[index % DASHES.length], index > 0));
  for (const one of pane.kept) {
    if (one.series === pane.meta?.uid && one.frame === pane.frame) redrawn(context, pane, one);
  }
  for (const one of [...pane.marks, ...(pane.drawing ? [pane.drawing] : [])]) {
    if (one.frame === pane.frame) measure(context, pane, one);
  }
  scaleBar(context, pane);
}

/** @param {CanvasRenderingContext2D} context @param {Pane} pane @param {Shown} shown @param {number[]} dash @param {boolean} named */
function contour(context, pane, { finding, heat }, dash, named) {
  const view = /** @type {View} */ (pane.view);
  if (finding.only_frame !== undefined && finding.only_frame !== pane.frame) return;
  const level = pane.floor(finding) * finding.display_scale;
  const cells = slice(heat, pane.frame);
  const lines = segments(cells, heat.height, heat.width, level);
  if (finding.signed) lines.push(...segments(cells.map((value) => -value), heat.height, heat.width, level));
  if (!lines.length) return;
  const [a, b, c, d, e, f] = finding.to_pixels;
  /** @param {number} i @param {number} j */
  const place = (i, j) => view.toScreen(a * i + b * j + c, d * i + e * j + f);
  context.beginPath();
  for (const [i, j, k, l] of lines) {
    context.moveTo(...place(i, j));
    context.lineTo(...place(k, l));
  }
  context.setLineDash([]);
  context.lineWidth = 3.5;
  context.strokeStyle = 'rgb(0 0 0 / .75)';
  context.stroke();
  context.setLineDash(dash);
  context.lineWidth = 1.5;
  context.strokeStyle = ink(finding.signed ? 'change' : pane.paint.colours);
  context.stroke();
  context.setLineDash([]);
  if (named) label(context, finding.label, ...place(lines[0][0], lines[0][1]));
}

/** @param {CanvasRenderingContext2D} context @param {Pane} pane @param {import('./types.js').Redrawn} one */
function redrawn(context, pane, one) {
  context.save();
  context.setLineDash([5, 4]);
  measure(context, pane, { kind: 'region', frame: one.frame, points: one.points });
  context.restore();
  const [x, y] = /** @type {View} */ (pane.view).toScreen(...one.points[0]);
  label(context, one.label, x, y);
}

/** @param {CanvasRenderingContext2D} context @param {Pane} pane @param {Mark} mark */
function measure(context, pane, mark) {
  const [view, meta] = [/** @type {View} */ (pane.view), /** @type {SeriesMeta} */ (pane.meta)];
  const places = mark.points.map(([row, column]) => view.toScreen(row, column));
  context.beginPath();
  places.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (mark.kind === 'region' && mark !== pane.drawing) context.closePath();
  for (const [width, colour] of /** @type {[number, string][]} */ ([[3.5, 'rgb(0 0 0 / .75)'], [1.5, '#7fd4ff']])) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
  const last = places[places.length - 1];
  if (mark.kind === 'length' && mark.points.length === 2) {
    const long = distance(mark.points[0], mark.points[1], meta.spacing_mm);
    label(context, meta.spacing_mm ? `${long.toFixed(1)} mm` : `${long.toFixed(0)} px (no spacing)`, last[0], last[1]);
  } else if (mark.kind === 'angle' && mark.points.length === 3) {
    label(context, `${angle(mark.points, [meta.pixel_aspect, 1]).toFixed(1)}°`, places[1][0], places[1][1]);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Pane} pane */
function scaleBar(context, pane) {
  const [view, meta] = [/** @type {View} */ (pane.view), /** @type {SeriesMeta} */ (pane.meta)];
  if (!meta.spacing_mm) return;
  const mm = [200, 100, 50, 20, 10, 5, 2].find((size) => (size / (meta.spacing_mm?.[1] ?? 1)) * view.scale < view.width / 3) ?? 1;
  const long = (mm / meta.spacing_mm[1]) * view.scale;
  const [x, y] = [view.width / 2 - long / 2, view.height - 8];
  for (const [width, colour] of /** @type {[number, string][]} */ ([[4, '#000'], [2, '#fff']])) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + long, y);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
  label(context, `${mm} mm`, x + long / 2 - 16, y - 8);
}

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y */
function label(context, text, x, y) {
  context.font = '12px system-ui, sans-serif';
  context.lineWidth = 3;
  context.strokeStyle = '#000';
  context.strokeText(text, x + 6, y - 4);
  context.fillStyle = '#fff';
  context.fillText(text, x + 6, y - 4);
}
