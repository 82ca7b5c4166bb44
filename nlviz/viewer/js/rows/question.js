// Question: from a place, a region or a token to the rows it stands for, and the places it leaves
// out.

import { cellAt, cellsInside, centreOf, indexOf, sizeOf } from "./grid.js";
import { reachable } from "./reach.js";

export const EXCLUDED = 1; // by the person's choice
export const UNREACHED = 2; // no link can exist

/**
 * {own, other, cells, indices}: the cells asked on one grid, the grid of the answer; no index where
 * nothing is asked.
 */
export function questionAt(block, place, reverse) {
  const [own, other] = reverse ? [block.key, block.query] : [block.query, block.key];
  if (place.token) {
    const at = (block.tokens ?? []).indexOf(place.token);
    return { own, other, cells: [], indices: at < 0 ? [] : [sizeOf(own) + at] };
  }
  const cells = place.region ? cellsInside(own, place) : [cellAt(own, place)];
  return { own, other, cells, indices: cells.map((cell) => indexOf(own, cell)) };
}

/**
 * For each place of the other grid 0, or why no link leads there. Follows
 * nlviz.ask.rows.allowed_keys.
 */
export function leftOut(block, { own, other, cells, indices }, { exclude, reverse }, clip) {
  const left = new Uint8Array(sizeOf(other));
  const reached = reachable(block, indices, reverse);
  if (reached) { for (let j = 0; j < left.length; j++) left[j] = reached[j] ? 0 : UNREACHED; }
  if (exclude === "none" || !cells.length) return left;
  const area = other.rows * other.cols;
  const frames = own.frames[cells[0].step];
  const steps = [...other.frames.keys()].filter((s) =>
    other.frames[s].some((frame) => frames.includes(frame))
  );
  const within = exclude === "cell"
    ? cells.flatMap((cell) => shared(own, other, cell, clip))
    : null;
  for (const step of steps) {
    if (within) { for (const at of within) left[step * area + at] = EXCLUDED; }
    else left.fill(EXCLUDED, step * area, (step + 1) * area);
  }
  return left;
}

/**
 * Places of the other grid's steps that hold a cell's centre, or lie in the cell where the other
 * grid is finer.
 */
function shared(own, other, cell, clip) {
  const centre = cellAt(other, centreOf(own, cell, clip));
  const fine = other.rows * other.cols > own.rows * own.cols;
  const inside = (count, axis) =>
    [...Array(count).keys()].filter((at) => {
      const there = centreOf(other, { step: 0, row: 0, col: 0, [axis]: at }, clip);
      return fine && cellAt(own, there)[axis] === cell[axis];
    });
  const rows = inside(other.rows, "row");
  const cols = inside(other.cols, "col");
  const orCentre = (list, at) => (list.length ? list : [at]);
  return orCentre(rows, centre.row).flatMap((row) =>
    orCentre(cols, centre.col).map((col) => row * other.cols + col)
  );
}
