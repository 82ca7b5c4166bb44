// Grids: which place of the clip is which cell, in source pixels and positions of the sampled
// frames. A place is {t, x, y}, and may have a region: [[x, y]…] around it, or be {token: name} and
// nowhere. A cell is {step, row, col}, a grid {t, rows, cols, x0, y0, dx, dy, frames, steps}.

/** @typedef {import("../data/blob.js").Grid} Grid */

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * The cell whose centre is nearest to a place.
 * @param {Grid} grid
 * @param {{t: number, x: number, y: number}} place
 */
export function cellAt(grid, { t, x, y }) {
  return {
    step: grid.steps[t],
    row: clamp(Math.floor((y - grid.y0) / grid.dy + 0.5), 0, grid.rows - 1),
    col: clamp(Math.floor((x - grid.x0) / grid.dx + 0.5), 0, grid.cols - 1),
  };
}

export const sizeOf = (grid) => grid.t * grid.rows * grid.cols;

export function indexOf(grid, { step, row, col }) {
  return (step * grid.rows + row) * grid.cols + col;
}

export function cellOf(grid, index) {
  const col = index % grid.cols;
  const rest = (index - col) / grid.cols;
  return { step: Math.floor(rest / grid.rows), row: rest % grid.rows, col };
}

/** Centre of a cell as a place: inside the frame, on the middle one of the frames it covers. */
export function centreOf(grid, cell, clip) {
  const frames = grid.frames[cell.step];
  return {
    t: frames[(frames.length - 1) >> 1],
    x: clamp(grid.x0 + grid.dx * cell.col, 0, clip.width - 1e-3),
    y: clamp(grid.y0 + grid.dy * cell.row, 0, clip.height - 1e-3),
  };
}

/** Box of source pixels that a cell stands for, clipped to the frame. */
export function boxOf(grid, { row, col }, clip) {
  const x = grid.x0 + grid.dx * col;
  const y = grid.y0 + grid.dy * row;
  return {
    x0: clamp(x - grid.dx / 2, 0, clip.width),
    y0: clamp(y - grid.dy / 2, 0, clip.height),
    x1: clamp(x + grid.dx / 2, 0, clip.width),
    y1: clamp(y + grid.dy / 2, 0, clip.height),
  };
}

/** Whether one key stands for more of the clip than one query. */
export function isPooled({ query, key }) {
  return key.t < query.t || key.rows < query.rows || key.cols < query.cols;
}

/** The cells whose centres lie in a region, at its frame's time step, row by row. */
export function cellsInside(grid, { t, region }) {
  const step = grid.steps[t];
  const cells = [];
  for (let row = 0; row < grid.rows; row++) {
    for (let col = 0; col < grid.cols; col++) {
      if (holds(region, grid.x0 + grid.dx * col, grid.y0 + grid.dy * row)) {
        cells.push({ step, row, col });
      }
    }
  }
  return cells;
}

/** Whether a place lies inside an outline: a ray to the right leaves it an odd number of times. */
function holds(outline, x, y) {
  let inside = false;
  for (let i = 0, j = outline.length - 1; i < outline.length; j = i++) {
    const [ax, ay] = outline[j];
    const [bx, by] = outline[i];
    if (ay > y !== by > y && x < ax + ((y - ay) * (bx - ax)) / (by - ay)) inside = !inside;
  }
  return inside;
}

/** The middle of a region's bounds: where its links are drawn from. */
export function middleOf(outline) {
  const ends = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  return { x: ends(outline.map(([x]) => x)), y: ends(outline.map(([, y]) => y)) };
}
