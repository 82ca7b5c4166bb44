// Memory: the last looks, so that of pins and a moving pointer only the new row is computed.

import { cellAt, indexOf } from "./grid.js";
import { createLook } from "./links.js";

const MOST_KEPT = 32; // rows; eight pins, and a pointer that wanders

/** get(block, clip, place, options, until): the look, further along where it takes several turns, and its key. */
export function createMemory() {
  const looks = new Map(); // the oldest first

  function keyOf(block, place, { k, exclude, head, reverse, rank_by }) {
    const grid = reverse ? block.key : block.query;
    const at = place.token ?? (place.region ? [place.t, place.region] : indexOf(grid, cellAt(grid, place)));
    return JSON.stringify([at, block.tag, k, exclude, head, reverse, rank_by]);
  }

  return {
    get(block, clip, place, options, until) {
      const key = keyOf(block, place, options);
      const look = looks.get(key) ?? createLook(block, clip, place, options);
      looks.delete(key);
      looks.set(key, look);
      if (looks.size > MOST_KEPT) looks.delete(looks.keys().next().value);
      const seen = look.seen.done < 1 && until > 0 ? look.run(until) : look.seen;
      return { seen, key: `${key} ${seen.done}` };
    },

    forget: () => looks.clear(),
  };
}
