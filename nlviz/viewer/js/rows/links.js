// Links: what a place looks at in one block, or who looks at it, computed in the page from θ and φ.

import { cellAt, cellOf, centreOf, indexOf, sizeOf } from "./grid.js";
import { leftOut, questionAt, tokensReached, UNREACHED, whereabouts } from "./question.js";
import { affinityColumn, affinityRow, hasColumns } from "./rows.js";
import { rangeOf, strongest } from "./top.js";

/**
 * Whether the block can answer now: constants of its rows and sizes of its values may still be on
 * their way.
 */
export const answers = (block, { reverse, rank_by }) =>
  (!reverse || hasColumns(block)) && (rank_by !== "contribution" || Boolean(block.sized));

/**
 * An answer that may take several turns, since a region is the mean over many rows. run(until)
 * works until that time (performance.now()), at least one row; `seen` is what is known so far:
 * {cells, indices, grid (of the row), row, ranked, left, reaches, there (how many places of the grid
 * have a key, in reverse a query), total, range {low, high, empty, unreached, tokens (that are
 * reached where no place is), none, absent}, links,
 * covered, shares (by frame), done}. `ranked` is what links and heat show: the
 * row, or with rank_by "contribution" each weight times the size of what its key adds. A link is
 * {rank, weight, contribution, share, t, x, y, cell}; done rises to 1.
 */
function createAnswer(block, clip, place, options) {
  const { k, reverse } = options;
  const question = questionAt(block, place, reverse);
  const { other: grid, cells, indices } = question;
  const left = leftOut(block, question, options, clip);
  const reaches = left.reduce((sum, why) => sum + Number(why !== UNREACHED), 0);
  const ask = reverse ? affinityColumn : affinityRow;
  const size = sizeOf(grid);
  const order = scattered(indices);
  const sizes = options.rank_by === "contribution" ? block.sized.parts.sizes : null;
  // of row and ranked
  const sums = [1, ...(sizes ? [1] : [])].map(() => new Float64Array(order.length > 1 ? size : 0));
  const others = (block.tokens ?? []).map(() => 0); // what the tokens weigh
  let taken = 0;
  let seen = {
    cells,
    indices,
    grid,
    left,
    reaches,
    there: whereabouts(block, !reverse, clip).count,
    row: new Float32Array(size),
    ranked: new Float32Array(size),
    total: 0,
    shares: [],
    done: indices.length ? 0 : 1,
  };
  seen = {
    ...seen,
    range: {
      ...rangeOf(seen.row, left),
      none: !indices.length && !question.absent,
      absent: question.absent ? whereabouts(block, reverse, clip) : null,
    },
    links: [],
    covered: 0,
  };

  function take() {
    const index = order[taken++];
    const whole = ask(block, index, options.head);
    if (!reverse) others.forEach((_, token) => (others[token] += whole[size + token]));
    const row = whole.subarray(0, size);
    const both = sizes ? [row, row.map((weight, j) => weight * sizes[reverse ? index : j])] : [row];
    if (order.length === 1) return both;
    both.forEach((part, i) => addTo(sums[i], part));
    return null;
  }

  function run(until = Infinity) {
    if (taken === order.length) return seen;
    let both = take();
    while (taken < order.length && performance.now() < until) take();
    both ??= sums.map((sum) => Float32Array.from(sum, (value) => value / taken));
    const [row, ranked = row] = both;
    return (seen = { ...seen, row, ranked, ...summary(row, ranked), done: taken / order.length });
  }

  function summary(row, ranked) {
    const steps = sumsByStep(row, grid);
    const total = [...steps, ...others.map((sum) => Math.abs(sum) / taken)].reduce(
      (all, part) => all + part,
      0,
    );
    const links = strongest(ranked, left, k).map((j, i) => {
      const cell = cellOf(grid, j);
      const contribution = sizes ? ranked[j] : null;
      return {
        rank: i + 1,
        weight: row[j],
        contribution,
        share: total > 0 ? Math.abs(row[j]) / total : 0,
        ...centreOf(grid, cell, clip),
        cell,
      };
    });
    const covered = links.reduce((all, link) => all + link.share, 0);
    return {
      total,
      range: {
        ...rangeOf(ranked, left),
        unreached: reaches === 0,
        tokens: reaches === 0 ? tokensReached(block, question, reverse) : [],
      },
      links,
      covered,
      shares: byFrame(steps, total, grid, clip),
    };
  }

  return {
    run,
    get seen() {
      return seen;
    },
  };
}

function addTo(sum, part) {
  for (let j = 0; j < sum.length; j++) sum[j] += part[j];
}

/** In an order in which the first few already stand for all: a stride near the golden ratio. */
function scattered(indices) {
  const count = indices.length;
  const divisor = (a, b) => (b ? divisor(b, a % b) : a);
  let stride = Math.max(1, Math.round(count * 0.618));
  while (divisor(stride, count) > 1) stride++;
  return indices.map((_, i) => indices[(i * stride) % count]);
}

function sumsByStep(row, grid) {
  const area = grid.rows * grid.cols;
  return grid.frames.map((_, step) => {
    let sum = 0;
    for (let j = step * area, end = j + area; j < end; j++) sum += row[j] < 0 ? -row[j] : row[j];
    return sum;
  });
}

/** Share of the row on each frame; the frames that one step covers share its weight. */
function byFrame(steps, total, grid, clip) {
  const shares = clip.frames.map(() => 0);
  steps.forEach((sum, step) => {
    for (const t of grid.frames[step]) {
      shares[t] += total > 0 ? sum / total / grid.frames[step].length : 0;
    }
  });
  return shares;
}

/** The host's exact links of a pin, or null where they answer another question. */
export function exactLinks(pin, block, { k, exclude, head, reverse, rank_by }) {
  const exact = pin.exact;
  if (!exact || exact.block !== block.label) return null;
  if ((exact.k ?? k) !== k || (exact.exclude ?? exclude) !== exclude) return null;
  if ((exact.head ?? null) !== head || (exact.reverse ?? false) !== reverse) return null;
  if ((exact.rank_by ?? "affinity") !== rank_by) return null;
  const grid = reverse ? block.query : block.key;
  const links = exact.links.map((link) => ({ ...link, cell: cellAt(grid, link) }));
  return { links, covered: exact.covered };
}

const MOST_KEPT = 32; // rows; eight pins, and a pointer that wanders

/**
 * The last answers, so that of pins and a moving pointer only the new row is computed. get(block,
 * clip, place, options, until): what is seen, further along where it takes several turns, and its
 * key.
 */
export function createMemory() {
  const kept = new Map(); // the oldest first

  function keyOf(block, place, { k, exclude, head, reverse, rank_by }) {
    const grid = reverse ? block.key : block.query;
    const at = place.token ??
      (place.region ? [place.t, place.region] : indexOf(grid, cellAt(grid, place)));
    return JSON.stringify([at, block.tag, k, exclude, head, reverse, rank_by]);
  }

  return {
    get(block, clip, place, options, until) {
      const key = keyOf(block, place, options);
      const answer = kept.get(key) ?? createAnswer(block, clip, place, options);
      kept.delete(key);
      kept.set(key, answer);
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
      const seen = answer.seen.done < 1 && until > 0 ? answer.run(until) : answer.seen;
      return { seen, key: `${key} ${seen.done}` };
    },

    forget: () => kept.clear(),
  };
}
