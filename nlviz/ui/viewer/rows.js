// Rows of f/C, Eqs. (2) to (5), from θ and φ, and the k strongest entries of a row.

import { toFloats } from "./blob.js";

const SOFTMAX = new Set(["gaussian", "embedded_gaussian"]);
const decoded = new WeakMap(); // block → its θ and φ as 32-bit floats, and room for one row

function factors(block) {
  if (!decoded.has(block)) {
    const { theta, phi } = block.parts;
    const keys = phi.length / block.width;
    decoded.set(block, { theta: toFloats(theta), phi: toFloats(phi), row: new Float32Array(keys) });
  }
  return decoded.get(block);
}

/** Decode a block now, so that its first row does not have to wait for it. */
export const prepare = (block) => void factors(block);

/** Row `query` of f/C on the key grid. The array is the block's own: the next call writes over it. */
export function affinityRow(block, query) {
  const { theta, phi, row } = factors(block);
  logits(theta, phi, row, query, block.width, block.scale ?? 1);
  if (SOFTMAX.has(block.function)) softmax(row);
  else divide(row, block.function === "concatenation");
  return row;
}

/** φ lies channel by channel, so the inner loop runs along memory; four channels share one pass. */
function logits(theta, phi, row, query, width, scale) {
  const keys = row.length;
  const start = query * width;
  row.fill(0);
  let c = 0;
  for (; c + 4 <= width; c += 4) {
    const a0 = theta[start + c] * scale, a1 = theta[start + c + 1] * scale;
    const a2 = theta[start + c + 2] * scale, a3 = theta[start + c + 3] * scale;
    let p0 = c * keys, p1 = p0 + keys, p2 = p1 + keys, p3 = p2 + keys;
    for (let j = 0; j < keys; j++) {
      row[j] += a0 * phi[p0++] + a1 * phi[p1++] + a2 * phi[p2++] + a3 * phi[p3++];
    }
  }
  for (; c < width; c++) {
    const a = theta[start + c] * scale;
    for (let j = 0, p = c * keys; j < keys; j++) row[j] += a * phi[p++];
  }
}

function softmax(row) {
  let highest = -Infinity;
  for (let j = 0; j < row.length; j++) if (row[j] > highest) highest = row[j];
  let sum = 0;
  for (let j = 0; j < row.length; j++) sum += row[j] = Math.exp(row[j] - highest);
  const factor = 1 / sum;
  for (let j = 0; j < row.length; j++) row[j] *= factor;
}

function divide(row, rectified) {
  const factor = 1 / row.length;
  for (let j = 0; j < row.length; j++) row[j] = rectified && row[j] < 0 ? 0 : row[j] * factor;
}

/** Σ|row|, and the lowest and highest weight among the keys that are not left out. */
export function rowRange(row, grid, { steps, within }) {
  const area = grid.rows * grid.cols;
  let total = 0, low = Infinity, high = -Infinity;
  for (let step = 0, j = 0; step < grid.t; step++) {
    const state = steps[step];
    for (let i = 0; i < area; i++, j++) {
      const weight = row[j];
      total += weight < 0 ? -weight : weight;
      if (state === 1 || (state === 2 && i === within)) continue;
      if (weight < low) low = weight;
      if (weight > high) high = weight;
    }
  }
  return low > high ? { total, low: 0, high: 0, empty: true } : { total, low, high, empty: false };
}

/** Indices of the k strongest keys that are not left out, strongest first, the lower index first on ties. */
export function strongest(row, grid, { steps, within }, k) {
  const area = grid.rows * grid.cols;
  const heap = []; // the weakest of the kept ones on top
  for (let step = 0; step < grid.t; step++) {
    const state = steps[step];
    if (state === 1) continue;
    const skip = state === 2 ? step * area + within : -1;
    for (let j = step * area, end = j + area; j < end; j++) {
      if (heap.length === k && !(row[j] > row[heap[0]])) continue;
      if (j === skip) continue;
      if (heap.length < k) pushUp(heap, j, row);
      else if (k > 0) sinkDown(heap, j, row);
    }
  }
  return heap.sort((a, b) => row[b] - row[a] || a - b);
}

const weaker = (row, a, b) => row[a] < row[b] || (row[a] === row[b] && a > b);

function pushUp(heap, item, row) {
  let at = heap.push(item) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!weaker(row, item, heap[parent])) break;
    heap[at] = heap[parent];
    at = parent;
  }
  heap[at] = item;
}

function sinkDown(heap, item, row) {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && weaker(row, heap[child + 1], heap[child])) child++;
    if (!weaker(row, heap[child], item)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = item;
}
