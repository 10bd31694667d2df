// What the viewer is told by the server: the shapes of its JSON. Types only; nothing runs here.

/**
 * Where one frame lies in the patient (mm, LPS): centre of the first pixel, direction of growing columns, of growing rows.
 * @typedef {{position: number[], row: number[], column: number[]}} Plane
 */

/**
 * One series as it is drawn. Stored values come as little-endian frames, rows × columns × samples.
 * @typedef {Object} SeriesMeta
 * @property {string} uid
 * @property {string} description
 * @property {string} modality
 * @property {number} frames
 * @property {number} rows
 * @property {number} columns
 * @property {1|3} samples 3: RGB, 8 bits each
 * @property {'int16'|'uint16'|'uint8'} dtype
 * @property {number} slope value = stored × slope + intercept
 * @property {number} intercept
 * @property {string} unit HU, or empty
 * @property {{center: number, width: number}} window
 * @property {boolean} [inverted] low values are bright (MONOCHROME1 as stored)
 * @property {[number, number]|null} spacing_mm between rows, between columns
 * @property {number} pixel_aspect a pixel's height over its width
 * @property {(Plane|null)[]} planes one per frame
 * @property {[string, string, string, string]|null} [edges] letters at left, right, top, bottom
 * @property {string} frames_url frame k is at frames_url + k
 */

/**
 * One finding and its map. `heat_url` is null where the map is withheld; `heat_reason` then says why.
 * @typedef {Object} FindingView
 * @property {string} id
 * @property {string} label
 * @property {string} series uid of the series it was found in
 * @property {string} engine
 * @property {string} method
 * @property {boolean} positive
 * @property {number} score
 * @property {number} threshold
 * @property {number} peak_frame
 * @property {number[]} frame_logits
 * @property {number} display_scale logit units at which colours end
 * @property {number} floor share of it at which they start
 * @property {number[]} to_pixels six numbers a b c d e f: row = a·i + b·j + c, column = d·i + e·j + f for cell (i, j)
 * @property {string|null} heat_url
 * @property {string} [heat_reason]
 * @property {string|null} [change_url] evidence now minus before, of a registered prior
 * @property {boolean} [signed] values below 0 are drawn too
 * @property {number} [only_frame] the map is of this frame alone
 * @property {string} [unit] of the values; logit units where nothing is said
 * @property {string} [what] what a value means, for people
 */

/**
 * @typedef {Object} PaneView
 * @property {'current'|'prior'} role
 * @property {string} caption patient id and date, as text
 * @property {SeriesMeta[]} series
 * @property {FindingView[]} findings
 */

/**
 * An outline that a reader drew: pixels of one frame.
 * @typedef {{series: string, frame: number, points: [number, number][], label: string}} Redrawn
 */

/**
 * Two registered series (uids), 16 numbers row by row: prior mm → current mm, and one phrase on how well.
 * @typedef {{current: string, prior: string, matrix: number[], note: string}} Aligned
 */

/**
 * @typedef {Object} StudyView
 * @property {PaneView[]} panes current first, prior second where there is one
 * @property {Aligned[]} alignments which series of both studies are registered
 * @property {boolean} same_space both studies share a frame of reference
 * @property {Redrawn[]} [regions] what readers have redrawn
 * @property {string} [views_url] where views are told to (POST)
 * @property {string} [csrf]
 */

/**
 * Evidence of one finding on all frames, in logit units.
 * @typedef {{frames: number, height: number, width: number, values: Float32Array}} Heat
 */

/** @typedef {Int16Array|Uint16Array|Uint8Array} Pixels */
/** @typedef {{x: number, y: number}} Point */

export {};
