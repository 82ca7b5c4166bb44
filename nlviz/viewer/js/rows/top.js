// Top: the extremes of a row and its k strongest entries; `left` is not 0 where a place is left
// out.

/** Lowest and highest weight among the places that are not left out. */
export function rangeOf(row, left) {
  let low = Infinity, high = -Infinity;
  for (let j = 0; j < left.length; j++) {
    if (left[j]) continue;
    if (row[j] < low) low = row[j];
    if (row[j] > high) high = row[j];
  }
  return low > high ? { low: 0, high: 0, empty: true } : { low, high, empty: false };
}

/**
 * Indices of the k strongest places that are not left out, strongest first, the lower index first
 * on ties.
 */
export function strongest(row, left, k) {
  const heap = []; // the weakest of the kept ones on top
  for (let j = 0; j < left.length; j++) {
    if (left[j] || (heap.length === k && !(row[j] > row[heap[0]]))) continue;
    if (heap.length < k) pushUp(heap, j, row);
    else if (k > 0) sinkDown(heap, j, row);
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
