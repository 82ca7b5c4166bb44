// Rows and columns of f/C, Eqs. (2) to (5), from θ and φ: of one head, or the mean over all heads.

import { toFloats } from "../data/blob.js";
import { reachable, reachCounts } from "./reach.js";

/** @typedef {import("../data/blob.js").Block} Block */

const SOFTMAX = new Set(["gaussian", "embedded_gaussian"]);
const decoded = new WeakMap(); // block → its θ and φ as 32-bit floats, and how they are cut

function factors(block) {
  if (!decoded.has(block)) {
    const heads = block.heads ?? 1;
    const phi = toFloats(block.parts.phi);
    const theta = block.parts.theta ? toFloats(block.parts.theta) : turned(phi, block.width);
    const [queries, keys] = [theta.length / block.width, phi.length / block.width];
    decoded.set(block, { theta, phi, queries, keys, heads, channels: block.width / heads });
  }
  return decoded.get(block);
}

/** θ where it is φ: position by position instead of channel by channel. */
function turned(phi, width) {
  const positions = phi.length / width;
  const theta = new Float32Array(phi.length);
  for (let c = 0, from = 0; c < width; c++) {
    for (let i = 0, to = c; i < positions; i++, to += width) theta[to] = phi[from++];
  }
  return theta;
}

/** Decode a block now, so that its first row does not have to wait for it. */
export const prepare = (block) => void factors(block);

/**
 * The constants of a softmax's rows, which columns need: of the block itself, or of a blob that
 * came later.
 */
export const constantsOf = (block) => block.parts.constants ?? block.later?.parts.constants ?? null;

/** Whether columns of the block can be had yet. */
export const hasColumns = (block) => !SOFTMAX.has(block.function) || constantsOf(block) !== null;

const chosen = (
  heads,
  head,
) => (head === null || head >= heads ? [...Array(heads).keys()] : [head]);

/**
 * Row `query` of f/C: the keys of the grid, then the tokens. `head` null is the mean over all.
 * @param {Block} block
 * @param {number} query
 * @param {number | null} head
 */
export function affinityRow(block, query, head = null) {
  const { theta, phi, keys, heads, channels } = factors(block);
  const reached = reachable(block, [query], false);
  const which = chosen(heads, head);
  const row = new Float32Array(keys);
  const mean = new Float32Array(keys);
  for (const h of which) {
    logits(
      theta,
      query * block.width + h * channels,
      phi,
      h * channels * keys,
      row,
      channels,
      block.scale ?? 1,
    );
    const soft = SOFTMAX.has(block.function);
    const constant = soft
      ? exponentials(row, reached)
      : divisor(block, cut(row, reached, block.function === "concatenation"));
    const factor = 1 / (constant * which.length);
    for (let j = 0; j < keys; j++) mean[j] += row[j] * factor;
  }
  return mean;
}

/** φ lies channel by channel, so the inner loop runs along memory; four channels share one pass. */
function logits(theta, start, phi, from, row, channels, scale) {
  const keys = row.length;
  row.fill(0);
  let c = 0;
  for (; c + 4 <= channels; c += 4) {
    const a0 = theta[start + c] * scale, a1 = theta[start + c + 1] * scale;
    const a2 = theta[start + c + 2] * scale, a3 = theta[start + c + 3] * scale;
    let p0 = from + c * keys, p1 = p0 + keys, p2 = p1 + keys, p3 = p2 + keys;
    for (let j = 0; j < keys; j++) {
      row[j] += a0 * phi[p0++] + a1 * phi[p1++] + a2 * phi[p2++] + a3 * phi[p3++];
    }
  }
  for (; c < channels; c++) {
    const a = theta[start + c] * scale;
    for (let j = 0, p = from + c * keys; j < keys; j++) row[j] += a * phi[p++];
  }
}

/** Logits become exponentials, less the highest so that none overflows; gives their sum. */
function exponentials(row, reached) {
  if (reached) { for (let j = 0; j < row.length; j++) if (!reached[j]) row[j] = -Infinity; }
  let highest = -Infinity;
  for (let j = 0; j < row.length; j++) if (row[j] > highest) highest = row[j];
  if (highest === -Infinity) { // a query that reaches nothing
    row.fill(0);
    return 1;
  }
  let sum = 0;
  for (let j = 0; j < row.length; j++) sum += row[j] = Math.exp(row[j] - highest);
  return sum;
}

/**
 * Zero where nothing is reached, and below zero where `rectified`; gives the number of keys
 * reached.
 */
function cut(row, reached, rectified) {
  let count = 0;
  for (let j = 0; j < row.length; j++) {
    const able = !reached || reached[j];
    count += able;
    if (!able || (rectified && row[j] < 0)) row[j] = 0;
  }
  return Math.max(count, 1);
}

/** What weights are divided by where no softmax is taken: a derived block's are as they are. */
const divisor = (block, keys) => block.function === "derived" ? 1 : keys;

/**
 * Column `key` of f/C: what each query weighs it, by its own row's constant; then the tokens.
 * @param {Block} block
 * @param {number} key
 * @param {number | null} head
 */
export function affinityColumn(block, key, head = null) {
  const { theta, phi, queries, keys, heads, channels } = factors(block);
  const constants = constantsOf(block);
  const soft = SOFTMAX.has(block.function);
  const rectified = block.function === "concatenation";
  const reached = reachable(block, [key], true);
  const counts = soft ? null : reachCounts(block, queries);
  const which = chosen(heads, head);
  const column = new Float32Array(queries);
  const vector = new Float32Array(channels);
  for (const h of which) {
    for (let c = 0; c < channels; c++) {
      vector[c] = phi[(h * channels + c) * keys + key] * (block.scale ?? 1);
    }
    for (let i = 0; i < queries; i++) {
      if (reached && !reached[i]) continue;
      let logit = 0;
      for (let c = 0, p = i * block.width + h * channels; c < channels; c++) {
        logit += vector[c] * theta[p++];
      }
      if (soft) column[i] += Math.exp(logit - constants[h * queries + i]) / which.length;
      else if (!rectified || logit > 0) {
        column[i] += logit / divisor(block, counts ? counts[i] : keys) / which.length;
      }
    }
  }
  return column;
}
