// How an image and its map are drawn with WebGL2: integer textures, window and colours in one pass per pane.

import { table } from './colours.js';
import { cellsFromPixels } from './geometry.js';

/** @typedef {import('./types.js').SeriesMeta} SeriesMeta */
/** @typedef {import('./types.js').Pixels} Pixels */
/** @typedef {import('./geometry.js').View} View */
/** @typedef {import('./colours.js').MapName} MapName */

/**
 * What is drawn over the image: one map at a time.
 * @typedef {Object} Overlay
 * @property {Float32Array} values height × width cells of this frame, logit units
 * @property {number} height
 * @property {number} width
 * @property {number[]} toPixels
 * @property {number} scale
 * @property {number} floor share of the scale
 * @property {number} opacity
 * @property {MapName} colours
 * @property {boolean} signed what is below 0 is drawn too, in the lower half of the colours
 */

/**
 * @typedef {Object} Look
 * @property {number} low value that is black
 * @property {number} high value that is white
 * @property {boolean} inverted
 */

const VERTEX = `#version 300 es
const vec2 P[3] = vec2[3](vec2(-1., -1.), vec2(3., -1.), vec2(-1., 3.));
void main() { gl_Position = vec4(P[gl_VertexID], 0., 1.); }`;

/** @param {'isampler2D'|'usampler2D'} sampler */
const fragment = (sampler) => `#version 300 es
precision highp float;
precision highp int;
precision highp ${sampler};
uniform ${sampler} image;
uniform sampler2D heat, lut;
uniform vec2 size, heatSize, line;
uniform vec3 toColumn, toRow;
uniform vec3 toI, toJ;
uniform vec2 window;
uniform float floorShare, heatScale, opacity;
uniform bool inverted, rgb, drawn, both;
out vec4 colour;
vec3 pixel(ivec2 at) {
  vec3 v = vec3(texelFetch(image, clamp(at, ivec2(0), ivec2(size) - 1), 0).rgb);
  return rgb ? v : vec3(v.r);
}
float cell(ivec2 at) { return texelFetch(heat, clamp(at, ivec2(0), ivec2(heatSize) - 1), 0).r; }
void main() {
  vec3 here = vec3(gl_FragCoord.xy, 1.);
  vec2 p = vec2(dot(toColumn, here), dot(toRow, here));
  if (p.x < -.5 || p.y < -.5 || p.x > size.x - .5 || p.y > size.y - .5) { colour = vec4(0., 0., 0., 1.); return; }
  ivec2 b = ivec2(floor(p)); vec2 t = p - vec2(b);
  vec3 v = mix(mix(pixel(b), pixel(b + ivec2(1, 0)), t.x), mix(pixel(b + ivec2(0, 1)), pixel(b + ivec2(1, 1)), t.x), t.y);
  vec3 g = rgb ? v / 255. : clamp((v * line.x + line.y - window.x) / max(window.y - window.x, 1e-6), 0., 1.);
  if (inverted) g = 1. - g;
  if (drawn) {
    vec2 c = vec2(dot(toJ, vec3(p.y, p.x, 1.)), dot(toI, vec3(p.y, p.x, 1.)));
    if (c.x > -.5 && c.y > -.5 && c.x < heatSize.x - .5 && c.y < heatSize.y - .5) {
      ivec2 d = ivec2(floor(c)); vec2 u = c - vec2(d);
      float h = mix(mix(cell(d), cell(d + ivec2(1, 0)), u.x), mix(cell(d + ivec2(0, 1)), cell(d + ivec2(1, 1)), u.x), u.y) / heatScale;
      float size = both ? abs(h) : h;
      if (size >= floorShare) {
        float step = clamp((size - floorShare) / (1. - floorShare), 0., 1.);
        if (both) step = .5 + sign(h) * step / 2.;
        vec3 paint = texelFetch(lut, ivec2(int(round(step * 255.)), 0), 0).rgb;
        g = mix(g, paint, opacity * min(size, 1.));
      }
    }
  }
  colour = vec4(g, 1.);
}`;

/** Draws one pane's canvas. Throws where WebGL2 is missing, so that the caller can fall back. */
export class GlPainter {
  /** @param {HTMLCanvasElement} canvas @param {SeriesMeta} meta */
  constructor(canvas, meta) {
    const gl = canvas.getContext('webgl2', { antialias: false, alpha: false, powerPreference: 'low-power' });
    if (!gl) throw new Error('WebGL2 is missing');
    this.gl = gl;
    this.canvas = canvas;
    this.meta = meta;
    this.signed = meta.dtype === 'int16';
    this.program = link(gl, VERTEX, fragment(this.signed ? 'isampler2D' : 'usampler2D'));
    this.image = texture(gl);
    this.heat = texture(gl);
    this.lut = texture(gl);
    /** @type {Pixels|null} */
    this.shown = null;
    /** @type {MapName|null} */
    this.colours = null;
    /** @type {Float32Array|null} */
    this.heatShown = null;
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.useProgram(this.program);
    const largest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    if (Math.max(meta.rows, meta.columns) > largest) throw new Error('the image is larger than WebGL takes');
  }

  /** @param {string} name */
  #at(name) {
    return this.gl.getUniformLocation(this.program, name);
  }

  /** @param {View} view @param {Pixels} pixels @param {Look} look @param {Overlay|null} overlay */
  draw(view, pixels, look, overlay) {
    const { gl, meta } = this;
    const ratio = this.canvas.width / view.width;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.useProgram(this.program);
    if (this.shown !== pixels) this.#upload(pixels);
    const s = view.scale * ratio;
    const height = this.canvas.height;
    // device pixels grow upwards in GL: row = (height − y − middle) / (s × aspect) + …
    gl.uniform3f(this.#at('toColumn'), 1 / s, 0, (meta.columns - 1) / 2 - ((view.width / 2 + view.panX) * ratio) / s);
    const down = s * view.aspect;
    gl.uniform3f(this.#at('toRow'), 0, -1 / down, (meta.rows - 1) / 2 + (height - (view.height / 2 + view.panY) * ratio) / down);
    gl.uniform2f(this.#at('size'), meta.columns, meta.rows);
    gl.uniform2f(this.#at('line'), meta.slope, meta.intercept);
    gl.uniform2f(this.#at('window'), look.low, look.high);
    gl.uniform1i(this.#at('inverted'), look.inverted ? 1 : 0);
    gl.uniform1i(this.#at('rgb'), meta.samples === 3 ? 1 : 0);
    gl.uniform1i(this.#at('image'), 0);
    gl.uniform1i(this.#at('heat'), 1);
    gl.uniform1i(this.#at('lut'), 2);
    gl.uniform1i(this.#at('drawn'), overlay ? 1 : 0);
    if (overlay) this.#overlay(overlay);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.image);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.heat);
    gl.activeTexture(gl.TEXTURE2);
    gl.bindTexture(gl.TEXTURE_2D, this.lut);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** @param {Pixels} pixels */
  #upload(pixels) {
    const { gl, meta } = this;
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.image);
    const [inside, format, type] =
      meta.samples === 3 ? [gl.RGB8UI, gl.RGB_INTEGER, gl.UNSIGNED_BYTE]
      : meta.dtype === 'int16' ? [gl.R16I, gl.RED_INTEGER, gl.SHORT]
      : meta.dtype === 'uint16' ? [gl.R16UI, gl.RED_INTEGER, gl.UNSIGNED_SHORT]
      : [gl.R8UI, gl.RED_INTEGER, gl.UNSIGNED_BYTE];
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, meta.columns, meta.rows, 0, format, type, pixels);
    this.shown = pixels;
  }

  /** @param {Overlay} overlay */
  #overlay(overlay) {
    const { gl } = this;
    if (this.colours !== overlay.colours) {
      gl.activeTexture(gl.TEXTURE2);
      gl.bindTexture(gl.TEXTURE_2D, this.lut);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, table(overlay.colours));
      this.colours = overlay.colours;
    }
    if (this.heatShown !== overlay.values) {
      gl.activeTexture(gl.TEXTURE1);
      gl.bindTexture(gl.TEXTURE_2D, this.heat);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, overlay.width, overlay.height, 0, gl.RED, gl.FLOAT, overlay.values);
      this.heatShown = overlay.values;
    }
    const m = cellsFromPixels(overlay.toPixels);
    gl.uniform3f(this.#at('toI'), m[0], m[1], m[2]);
    gl.uniform3f(this.#at('toJ'), m[3], m[4], m[5]);
    gl.uniform2f(this.#at('heatSize'), overlay.width, overlay.height);
    gl.uniform1f(this.#at('heatScale'), overlay.scale);
    gl.uniform1f(this.#at('floorShare'), overlay.floor);
    gl.uniform1f(this.#at('opacity'), overlay.opacity);
    gl.uniform1i(this.#at('both'), overlay.signed ? 1 : 0);
  }

  /** Give the context back: browsers keep about sixteen. */
  release() {
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }
}

/** @param {WebGL2RenderingContext} gl @returns {WebGLTexture} */
function texture(gl) {
  const made = gl.createTexture();
  if (!made) throw new Error('WebGL gives no texture');
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  return made;
}

/** @param {WebGL2RenderingContext} gl @param {string} vertex @param {string} pixel @returns {WebGLProgram} */
function link(gl, vertex, pixel) {
  const program = gl.createProgram();
  if (!program) throw new Error('WebGL gives no program');
  for (const [kind, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, pixel]])) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error('WebGL gives no shader');
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) || 'shader');
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || 'program');
  return program;
}
