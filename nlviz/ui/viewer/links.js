// Links: what a place looks at in one block, computed in the page from θ and φ, and what pins were told.

import { cellAt, cellOf, centreOf, exclusion, indexOf } from "./grid.js";
import { affinityRow, rowRange, strongest } from "./rows.js";

/**
 * The row of a place and its k strongest links:
 * {cell, index, left (what is excluded), range {total, low, high, empty}, links, covered}.
 * A link is {rank, weight, share, t, x, y, cell}; `row` is lent, see affinityRow.
 */
export function look(block, clip, place, { k, exclude }) {
  const cell = cellAt(block.query, place);
  const index = indexOf(block.query, cell);
  const left = exclusion(block, cell, exclude, clip);
  const row = affinityRow(block, index);
  const range = rowRange(row, block.key, left);
  const links = strongest(row, block.key, left, k).map((j, i) => {
    const target = cellOf(block.key, j);
    const share = range.total > 0 ? Math.abs(row[j]) / range.total : 0;
    return { rank: i + 1, weight: row[j], share, ...centreOf(block.key, target, clip), cell: target };
  });
  const covered = links.reduce((sum, link) => sum + link.share, 0);
  return { cell, index, left, row, range, links, covered };
}

/** The host's exact links of a pin, or null where they answer another block, k or exclusion. */
export function exactLinks(pin, block, { k, exclude }) {
  const exact = pin.exact;
  if (!exact || exact.block !== block.label) return null;
  if ((exact.k ?? k) !== k || (exact.exclude ?? exclude) !== exclude) return null;
  const links = exact.links.map((link) => ({ ...link, cell: cellAt(block.key, link) }));
  return { links, covered: exact.covered };
}

const MOST_KEPT = 64; // answers for pins; eight pins in eight settings

/** Remembers what was seen last, and what each pin was answered, until the block, k or exclusion changes. */
export function createMemory() {
  const answers = new Map();
  let seen = null;
  let seenKey = "";
  const keyOf = (parts, block, { k, exclude }) => JSON.stringify([...parts, block.tag, k, exclude]);

  return {
    /** What look() gives for a place, and a key that is the same for the same cell and settings. */
    focus(block, clip, place, options) {
      const key = keyOf([indexOf(block.query, cellAt(block.query, place))], block, options);
      if (key !== seenKey) seen = look(block, clip, place, options);
      seenKey = key;
      return { seen, key };
    },

    /** A pin's links and the share they cover: the host's exact ones, else ours. */
    answer(block, clip, pin, options) {
      const exact = exactLinks(pin, block, options);
      if (exact) return exact;
      const key = keyOf([pin.t, pin.x, pin.y], block, options);
      if (!answers.has(key)) {
        if (answers.size >= MOST_KEPT) answers.clear();
        const { links, covered } = look(block, clip, pin, options);
        answers.set(key, { links, covered });
        seenKey = ""; // the row that `seen` borrowed is overwritten
      }
      return answers.get(key);
    },

    forget() {
      seenKey = "";
      answers.clear();
    },
  };
}
