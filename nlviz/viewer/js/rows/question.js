// Question: from a place, a region or a token to the rows it stands for, and the places it leaves
// out.

import { cellAt, cellsInside, centreOf, indexOf, sizeOf } from "./grid.js";
import { present, reachable } from "./reach.js";

export const EXCLUDED = 1; // by the person's choice
export const UNREACHED = 2; // no link can exist

/**
 * {own, other, cells, indices, absent}: the cells asked on one grid, the grid of the answer; no
 * index where nothing is asked. `absent` says that the block has no query (`reverse`: no key) at
 * any of the cells, or for the token; a region is about those of its cells that have one.
 */
export function questionAt(block, place, reverse) {
  const [own, other] = reverse ? [block.key, block.query] : [block.query, block.key];
  const there = present(block, reverse);
  const isThere = (index) => !there || there[index] === 1;
  if (place.token) {
    const at = (block.tokens ?? []).indexOf(place.token);
    const named = at < 0 ? [] : [sizeOf(own) + at];
    const indices = named.filter(isThere);
    return { own, other, cells: [], indices, absent: named.length > indices.length };
  }
  const asked = place.region ? cellsInside(own, place) : [cellAt(own, place)];
  const cells = asked.filter((cell) => isThere(indexOf(own, cell)));
  const indices = cells.map((cell) => indexOf(own, cell));
  return { own, other, cells, indices, absent: asked.length > 0 && !cells.length };
}

/** The tokens that can be asked: those with a query, or in reverse with a key. */
export function tokensOf(block, reverse) {
  const there = present(block, reverse);
  const size = sizeOf(reverse ? block.key : block.query);
  return (block.tokens ?? []).filter((_, token) => !there || there[size + token]);
}

/** The tokens that some of the places or tokens asked reach (`reverse`: that reach some of them). */
export function tokensReached(block, { indices, other }, reverse) {
  if (!indices.length) return [];
  const reached = reachable(block, indices, reverse);
  return (block.tokens ?? []).filter((_, token) => !reached || reached[sizeOf(other) + token]);
}

/** How many cells of a grid have a query (`reverse`: a key), and the frames of the clip with one. */
export function whereabouts(block, reverse, clip) {
  const grid = reverse ? block.key : block.query;
  const there = present(block, reverse);
  const area = grid.rows * grid.cols;
  const counts = grid.frames.map((_, step) =>
    there ? there.subarray(step * area, (step + 1) * area).reduce((sum, one) => sum + one, 0) : area
  );
  const on = new Set(grid.frames.flatMap((frames, step) => (counts[step] ? frames : [])));
  return {
    count: counts.reduce((sum, count) => sum + count, 0),
    frames: clip.frames.filter((_, t) => on.has(t)),
    everywhere: on.size === clip.frames.length,
  };
}

/**
 * For each place of the other grid 0, or why no link leads there. Follows
 * nlviz.ask.rows.allowed_keys. Where nothing is asked nothing is told of any place.
 */
export function leftOut(block, { own, other, cells, indices, absent }, { exclude, reverse }, clip) {
  const left = new Uint8Array(sizeOf(other));
  if (absent) return left.fill(EXCLUDED);
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
  const all = [...Array(area).keys()];
  for (const step of steps) {
    for (const at of within ?? all) left[step * area + at] ||= EXCLUDED;
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
