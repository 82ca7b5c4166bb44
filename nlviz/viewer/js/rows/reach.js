// Reach: which links can exist, in blocks that look only within a window, a frame, a row, a group
// or behind a mask. A block's `reach` counts its rules; key j can be reached from query i if any of
// them lets it: `query` and `key` hold the same group, or with `until` the key's number lies between
// the query's two, or `bits` has a 1 there. Follows nlviz.groups.

const rules = (block) =>
  Array.from({ length: block.reach ?? 0 }, (_, g) => {
    const { [`query${g}`]: query, [`key${g}`]: key, [`bits${g}`]: bits } = block.parts;
    return { query, key, until: block.parts[`until${g}`] ?? query, bits };
  });

const sizes = (block) => {
  const tokens = (block.tokens ?? []).length;
  return [block.query, block.key].map(({ t, rows, cols }) => t * rows * cols + tokens);
};

/** Whether one rule lets a query reach a key. */
function links({ query, key, until, bits }, keys, i, j) {
  if (bits) return (bits[i * Math.ceil(keys / 8) + (j >> 3)] >> (7 - (j & 7))) & 1;
  return query[i] <= key[j] && key[j] <= until[i];
}

/**
 * 1 for each key that any of some queries reaches (`reverse`: query that reaches any of some keys),
 * or null for all.
 */
export function reachable(block, indices, reverse) {
  if (!block.reach) return null;
  const [queries, keys] = sizes(block);
  const reached = new Uint8Array(reverse ? queries : keys);
  for (const rule of rules(block)) {
    if (rule.bits || rule.until !== rule.query) {
      for (let other = 0; other < reached.length; other++) {
        const linked = (own) =>
          reverse ? links(rule, keys, other, own) : links(rule, keys, own, other);
        if (!reached[other] && indices.some(linked)) reached[other] = 1;
      }
      continue;
    }
    const [own, other] = reverse ? [rule.key, rule.query] : [rule.query, rule.key];
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
    const each = rules(block);
    for (let i = 0; i < queries; i++) {
      const groups = each.map(({ query, until, bits }) => bits ? `bits ${i}` : [query[i], until[i]])
        .join();
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

/** Whether a block may open by itself, as nlviz.Analysis.default_block has it. */
export const isUsual = (block) => block.function !== "derived" && isAsked(block);

/** Whether the block can be asked from places of the clip. */
export function isAsked(block) {
  if (!block.reach) return true;
  const { t, rows, cols } = block.query;
  const [{ query, bits }] = rules(block);
  const size = t * rows * cols;
  if (bits) return bits.subarray(0, size * Math.ceil(sizes(block)[1] / 8)).some((byte) => byte);
  return query.subarray(0, size).some((group) => group !== NO_QUERY);
}

function found(block, reverse) {
  const [queries, keys] = sizes(block);
  const there = new Uint8Array(reverse ? keys : queries);
  for (const rule of rules(block)) {
    if (rule.bits || rule.until !== rule.query) {
      const others = reverse ? queries : keys;
      for (let own = 0; own < there.length; own++) {
        for (let other = 0; other < others && !there[own]; other++) {
          there[own] = Number(
            reverse ? links(rule, keys, other, own) : links(rule, keys, own, other),
          );
        }
      }
      continue;
    }
    const [own, other] = reverse ? [rule.key, rule.query] : [rule.query, rule.key];
    const reachedBy = new Set(other);
    for (let i = 0; i < own.length; i++) if (reachedBy.has(own[i])) there[i] = 1;
  }
  return there.includes(0) ? there : null;
}
