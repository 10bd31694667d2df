// How places lead from one space to another: screen, image, cells of a map, patient (mm, LPS).

/** @typedef {import('./types.js').Plane} Plane */
/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */

/** How an image lies in its pane; sizes in CSS pixels. */
export class View {
  /**
   * @param {number} rows @param {number} columns
   * @param {number} aspect a pixel's height over its width
   */
  constructor(rows, columns, aspect) {
    this.rows = rows;
    this.columns = columns;
    this.aspect = aspect;
    this.width = 1;
    this.height = 1;
    this.zoom = 1;
    this.panX = 0;
    this.panY = 0;
  }

  /** CSS pixels per image column. */
  get scale() {
    return this.zoom * Math.min(this.width / this.columns, this.height / (this.rows * this.aspect));
  }

  /** @param {number} x @param {number} y @returns {[number, number]} (row, column), pixel centres are whole numbers */
  toImage(x, y) {
    const s = this.scale;
    const column = (x - this.width / 2 - this.panX) / s + (this.columns - 1) / 2;
    const row = (y - this.height / 2 - this.panY) / (s * this.aspect) + (this.rows - 1) / 2;
    return [row, column];
  }

  /** @param {number} row @param {number} column @returns {[number, number]} (x, y) in the pane */
  toScreen(row, column) {
    const s = this.scale;
    return [
      (column - (this.columns - 1) / 2) * s + this.width / 2 + this.panX,
      (row - (this.rows - 1) / 2) * s * this.aspect + this.height / 2 + this.panY,
    ];
  }

  /** Zoom by a factor around a place in the pane. @param {number} factor @param {number} x @param {number} y */
  zoomAt(factor, x, y) {
    const zoom = Math.min(32, Math.max(0.2, this.zoom * factor));
    const done = zoom / this.zoom;
    this.panX = x - this.width / 2 - (x - this.width / 2 - this.panX) * done;
    this.panY = y - this.height / 2 - (y - this.height / 2 - this.panY) * done;
    this.zoom = zoom;
  }

  fit() {
    this.zoom = 1;
    this.panX = 0;
    this.panY = 0;
  }
}

/** @param {number[]} a @param {number[]} b */
export function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** @param {Plane} plane @returns {number[]} */
export function normal(plane) {
  const [r, c] = [plane.row, plane.column];
  return [r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]];
}

/** Patient coordinates of an image place. @param {Plane} plane @param {[number, number]} spacing @param {number} row @param {number} column */
export function toPatient(plane, spacing, row, column) {
  return [0, 1, 2].map(
    (axis) => plane.position[axis] + column * spacing[1] * plane.row[axis] + row * spacing[0] * plane.column[axis],
  );
}

/** Move a point by a 4 × 4 matrix given row by row. @param {number[]} matrix @param {number[]} point */
export function move(matrix, point) {
  return [0, 1, 2].map((axis) => dot(matrix.slice(4 * axis, 4 * axis + 3), point) + matrix[4 * axis + 3]);
}

/** The inverse of a rigid 4 × 4 matrix. @param {number[]} m @returns {number[]} */
export function inverseRigid(m) {
  const turn = [m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]];
  const shift = [m[3], m[7], m[11]];
  const back = [0, 1, 2].map((axis) => -dot(turn.slice(3 * axis, 3 * axis + 3), shift));
  return [...turn.slice(0, 3), back[0], ...turn.slice(3, 6), back[1], ...turn.slice(6, 9), back[2], 0, 0, 0, 1];
}

/**
 * The other series' frame that shows the same place.
 * @param {SeriesMeta} from @param {number} frame @param {SeriesMeta} to
 * @param {number[]|null} matrix brings points of `from` into the space of `to`; null leaves them
 * @returns {{frame: number, how: 'mm'|'fraction'}}
 */
export function samePlace(from, frame, to, matrix) {
  const plane = from.planes[frame];
  const others = to.planes;
  const first = others[0];
  if (plane && first && from.spacing_mm && others.every(Boolean) && Math.abs(dot(normal(plane), normal(first))) > 0.98) {
    let middle = toPatient(plane, from.spacing_mm, (from.rows - 1) / 2, (from.columns - 1) / 2);
    if (matrix) middle = move(matrix, middle);
    let best = 0;
    let least = Infinity;
    others.forEach((other, index) => {
      const near = /** @type {Plane} */ (other);
      const away = Math.abs(dot(normal(near), middle.map((value, axis) => value - near.position[axis])));
      if (away < least) [best, least] = [index, away];
    });
    return { frame: best, how: 'mm' };
  }
  const share = from.frames > 1 ? frame / (from.frames - 1) : 0;
  return { frame: Math.round(share * (to.frames - 1)), how: 'fraction' };
}

/** Letters at left, right, top, bottom of a plane. @param {Plane} plane @returns {string[]} */
export function edgeLetters(plane) {
  /** @param {number[]} axis */
  const names = (axis) => {
    const sizes = axis.map(Math.abs);
    const which = sizes.indexOf(Math.max(...sizes));
    const pair = [['R', 'L'], ['A', 'P'], ['F', 'H']][which];
    return axis[which] > 0 ? pair : [pair[1], pair[0]];
  };
  return [...names(plane.row), ...names(plane.column)];
}

/** Inverse of the map cell → pixel: from (row, column) to (i, j). @param {number[]} m a b c d e f @returns {number[]} */
export function cellsFromPixels(m) {
  const [a, b, c, d, e, f] = m;
  const det = a * e - b * d;
  return [e / det, -b / det, (b * f - e * c) / det, -d / det, a / det, (d * c - a * f) / det];
}

/** Length in mm (or pixels) between two image places. @param {[number, number]} from @param {[number, number]} to @param {[number, number]|null} spacing */
export function distance(from, to, spacing) {
  const [rows, columns] = spacing ?? [1, 1];
  return Math.hypot((to[0] - from[0]) * rows, (to[1] - from[1]) * columns);
}

/** Angle at the middle of three image places, degrees. @param {[number, number][]} points @param {[number, number]} sizes of a pixel, in any unit */
export function angle(points, sizes) {
  const [rows, columns] = sizes;
  const [first, middle, last] = points.map(([row, column]) => [row * rows, column * columns]);
  const a = Math.atan2(first[0] - middle[0], first[1] - middle[1]);
  const b = Math.atan2(last[0] - middle[0], last[1] - middle[1]);
  const turn = Math.abs(a - b) * (180 / Math.PI);
  return turn > 180 ? 360 - turn : turn;
}
