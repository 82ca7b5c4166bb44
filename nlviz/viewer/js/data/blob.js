// Blobs: a JSON header and its binary parts, one after the other, as every host of the viewer sends
// them.

/**
 * A blob that is read: its header, its tag and its parts as typed arrays.
 * @template Header
 * @typedef {Header & {tag: string, parts: Record<string, any>}} Unpacked
 */
/** @typedef {Unpacked<import("../protocol.d.ts").ClipHeader>} Clip */
/** @typedef {Unpacked<import("../protocol.d.ts").ConstantsHeader>} Constants */
/** @typedef {Unpacked<import("../protocol.d.ts").SizesHeader>} Sizes */
/** @typedef {Unpacked<import("../protocol.d.ts").MaskHeader>} Mask */
/** @typedef {Unpacked<import("../protocol.d.ts").ComponentsHeader>} Components */
/**
 * A block, and what came later of it.
 * @typedef {Unpacked<import("../protocol.d.ts").BlockHeader> &
 *   {later?: Constants, sized?: Sizes, extremes?: [number, number][]}} Block
 */
/** @typedef {import("../protocol.d.ts").GridHeader} Grid */

const PART_TYPES = { f16: Uint16Array, f32: Float32Array, i32: Int32Array, u8: Uint8Array };
export const DAMAGED = "A part of this analysis arrived damaged; load the clip again.";

/**
 * Header and parts of a blob: {...header, parts: {name: typed array}}. Throws an Error with one
 * sentence.
 */
export function unpack(bytes) {
  try {
    return checked(split(new Uint8Array(bytes))); // a typed array is copied, so that it is aligned
  } catch (error) {
    throw new Error(DAMAGED, { cause: error });
  }
}

function split(bytes) {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(
    new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(4, 4 + length)),
  );
  const start = Math.ceil((4 + length) / 8) * 8;
  const parts = {};
  for (const { name, dtype, offset, length } of header.parts) {
    const Type = PART_TYPES[dtype];
    parts[name] = new Type(bytes.buffer, start + offset, length / Type.BYTES_PER_ELEMENT);
  }
  return { ...header, parts };
}

function checked(blob) {
  if (typeof blob.tag !== "string") throw new Error("no tag");
  if (blob.kind === "clip") checkClip(blob);
  else if (blob.kind === "block") checkBlock(blob);
  else if (blob.kind === "constants") checkConstants(blob);
  else if (blob.kind === "mask") checkMask(blob);
  else if (blob.kind === "components") checkComponents(blob);
  else if (blob.kind === "sizes") checkSizes(blob);
  else throw new Error(`unknown kind ${blob.kind}`);
  return blob;
}

function checkClip({ width, height, frames, times, parts }) {
  if (!(width > 0 && height > 0 && frames.length > 0)) throw new Error("an empty clip");
  if (frames.length !== times.length) throw new Error("frames and times differ in length");
  if (frames.some((_, i) => !(parts[`frame${i}`] instanceof Uint8Array))) {
    throw new Error("a frame is missing");
  }
}

function checkMask({ frames, parts }) {
  if (frames.some((_, i) => !(parts[`mask${i}`] instanceof Uint8Array))) {
    throw new Error("a mask is missing");
  }
}

function checkGrid(grid) {
  const whole = grid.frames.length === grid.t && grid.steps.every((step) => grid.frames[step]);
  if (!(grid.dx > 0 && grid.dy > 0) || !whole) throw new Error("a grid is not whole");
}

function checkComponents({ grid, words, parts }) {
  checkGrid(grid);
  const cells = 4 * grid.t * grid.rows * grid.cols;
  if (!(cells > 0) || parts.cells.length !== cells || !Array.isArray(words)) {
    throw new Error("the components do not fit their grid");
  }
}

function checkBlock({ query, key, width, parts, heads = 1, tokens = [], reach = 0 }) {
  [query, key].forEach(checkGrid);
  if (!(heads >= 1) || width % heads) throw new Error("the channels do not split into heads");
  const columns = (grid) => grid.t * grid.rows * grid.cols + tokens.length;
  const fits = (part, length) => {
    if (!(length > 0) || parts[part].length !== length) {
      throw new Error(`${part} does not fit its grid`);
    }
  };
  fits("phi", columns(key) * width);
  if (parts.theta) fits("theta", columns(query) * width);
  else if (columns(query) !== columns(key)) throw new Error("theta is missing");
  for (let g = 0; g < reach; g++) {
    if (parts[`bits${g}`]) {
      fits(`bits${g}`, columns(query) * Math.ceil(columns(key) / 8));
      continue;
    }
    fits(`query${g}`, columns(query));
    fits(`key${g}`, columns(key));
    if (parts[`until${g}`]) fits(`until${g}`, columns(query));
  }
  if (parts.constants) fits("constants", columns(query) * heads);
}

function checkConstants({ block, extremes, parts }) {
  if (typeof block !== "string" || !(extremes?.length > 0)) {
    throw new Error("constants of no block");
  }
  if (!(parts.constants instanceof Float32Array)) throw new Error("the constants are missing");
}

function checkSizes({ block, problem, parts }) {
  if (typeof block !== "string") throw new Error("sizes of no block");
  if (!problem && !(parts.sizes instanceof Float32Array)) throw new Error("the sizes are missing");
}

let halfValues = null;

/** Numbers of a part as a Float32Array; float16 arrives as its bit patterns. */
export function toFloats(part) {
  if (!(part instanceof Uint16Array)) return Float32Array.from(part);
  halfValues ??= Float32Array.from({ length: 65536 }, (_, bits) => halfValue(bits));
  const floats = new Float32Array(part.length);
  for (let i = 0; i < part.length; i++) floats[i] = halfValues[part[i]];
  return floats;
}

function halfValue(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
