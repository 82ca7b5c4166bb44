// Reach: which links can exist, in blocks that look only within a window, a frame, a row or a
// group. A block's `reach` counts its groupings; key j can be reached from query i if any puts both
// into one group.

const groupings = (block) =>
  Array.from(
    { length: block.reach ?? 0 },
    (_, g) => [block.parts[`query${g}`], block.parts[`key${g}`]],
  );

/**
 * 1 for each key that any of some queries reaches (`reverse`: query that reaches any of some keys),
 * or null for all.
 */
export function reachable(block, indices, reverse) {
  if (!block.reach) return null;
  let reached = null;
  for (const [query, key] of groupings(block)) {
    const [own, other] = reverse ? [key, query] : [query, key];
    reached ??= new Uint8Array(other.length);
    const wanted = new Set(indices.map((index) => own[index]));
    const only = wanted.size === 1 ? own[indices[0]] : null;
    for (let j = 0; j < other.length; j++) {
      if (only === null ? wanted.has(other[j]) : other[j] === only) reached[j] = 1;
    }
  }
  return reached;
}

const counted = new WeakMap(); // block → how many keys each query reaches

/** How many keys each query can reach, at least 1; null where all can. */
export function reachCounts(block, queries) {
  if (!block.reach) return null;
  if (!counted.has(block)) {
    const counts = new Float32Array(queries);
    const of = new Map(); // queries of the same groups reach the same keys
    const parts = groupings(block);
    for (let i = 0; i < queries; i++) {
      const groups = parts.map(([query]) => query[i]).join();
      if (!of.has(groups)) {
        of.set(
          groups,
          Math.max(1, reachable(block, [i], false).reduce((sum, one) => sum + one, 0)),
        );
      }
      counts[i] = of.get(groups);
    }
    counted.set(block, counts);
  }
  return counted.get(block);
}

const known = new WeakMap(); // block → what is there, of the queries and of the keys

/**
 * 1 for each cell, then token, where the block has a query (`reverse`: a key), or null where it has
 * one everywhere. What can reach nothing is not there. Follows nlviz.ask.places.Side.present.
 */
export function present(block, reverse) {
  if (!block.reach) return null;
  if (!known.has(block)) known.set(block, [false, true].map((side) => found(block, side)));
  return known.get(block)[Number(reverse)];
}

const NO_QUERY = -1; // the group of a cell without a query, as in nlviz.groups

/** Whether the block can be asked from places of the clip, as nlviz.Analysis.default_block has it. */
export function isAsked(block) {
  if (!block.reach) return true;
  const { t, rows, cols } = block.query;
  return block.parts.query0.subarray(0, t * rows * cols).some((group) => group !== NO_QUERY);
}

function found(block, reverse) {
  let there = null;
  for (const [query, key] of groupings(block)) {
    const [own, other] = reverse ? [key, query] : [query, key];
    const reachedBy = new Set(other);
    there ??= new Uint8Array(own.length);
    for (let i = 0; i < own.length; i++) if (reachedBy.has(own[i])) there[i] = 1;
  }
  return there.includes(0) ? there : null;
}
