// Grids: which place of the clip is which cell, in source pixels and positions of the sampled frames.
// A place is {t, x, y}, a cell {step, row, col}, a grid {t, rows, cols, x0, y0, dx, dy, frames}.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The cell whose centre is nearest to a place. */
export function cellAt(grid, { t, x, y }) {
  return {
    step: stepAt(grid, t),
    row: clamp(Math.floor((y - grid.y0) / grid.dy + 0.5), 0, grid.rows - 1),
    col: clamp(Math.floor((x - grid.x0) / grid.dx + 0.5), 0, grid.cols - 1),
  };
}

/** The time step that stands for a frame: the middle one of those that cover it, else the nearest. */
function stepAt(grid, t) {
  const covering = grid.frames.flatMap((frames, step) => (frames.includes(t) ? [step] : []));
  if (covering.length) return covering[covering.length >> 1];
  const distance = (frames) => Math.min(...frames.map((frame) => Math.abs(frame - t)));
  const distances = grid.frames.map(distance);
  return distances.indexOf(Math.min(...distances));
}

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

/**
 * Which keys a query cell leaves out: whole time steps (1 in `steps`), or one index (`within`) in each
 * of the steps marked 2. "frame": steps that share a frame with the cell. "cell": the key that holds
 * the cell's centre, in those steps. Follows nlviz.links.allowed_keys.
 */
export function exclusion({ query, key }, cell, exclude, clip) {
  const own = query.frames[cell.step];
  const shared = (frames) => frames.some((frame) => own.includes(frame));
  const mark = { none: 0, frame: 1, cell: 2 }[exclude];
  const steps = Uint8Array.from(key.frames, (frames) => (shared(frames) ? mark : 0));
  const { row, col } = cellAt(key, centreOf(query, cell, clip));
  return { steps, within: row * key.cols + col };
}
