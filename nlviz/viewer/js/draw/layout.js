// Layout: the frames as a grid that fills the width, as large as the height allows.

const CAPTION = 20;
const NARROWEST = 108;

/**
 * Boxes of the frames in CSS pixels, each with room for its caption below; {frames, height,
 * columns}.
 */
export function arrange({ count, aspect, width, tallest, ratio }) {
  const gap = width < 560 ? 6 : 10;
  const most = Math.max(1, Math.min(count, Math.floor((width + gap) / (NARROWEST + gap))));
  const columns = chooseColumns({ count, aspect, width, tallest, gap, most });
  const room = (width - gap * (columns - 1)) / columns;
  const rows = Math.ceil(count / columns);
  const highest = Math.max(24, rows === 1 ? tallest - CAPTION : tallest);
  const w = Math.min(room, highest * aspect);
  const h = Math.max(w / aspect, 4);
  const sharp = (value) => Math.round(value * ratio) / ratio;
  const frames = Array.from({ length: count }, (_, i) => ({
    x: sharp((i % columns) * (room + gap) + (room - w) / 2),
    y: sharp(Math.floor(i / columns) * (h + CAPTION + gap)),
    w: sharp(w),
    h: sharp(h),
  }));
  return { frames, columns, width, height: Math.ceil(rows * (h + CAPTION) + gap * (rows - 1)) };
}

/** The fewest columns that fit the height; one more where that leaves fewer empty places. */
function chooseColumns({ count, aspect, width, tallest, gap, most }) {
  const height = (columns) => {
    const rows = Math.ceil(count / columns);
    return rows * ((width - gap * (columns - 1)) / columns / aspect + CAPTION) + gap * (rows - 1);
  };
  const empty = (columns) => Math.ceil(count / columns) * columns - count;
  let columns = 1;
  while (columns < most && height(columns) > tallest) columns++;
  return columns < most && empty(columns + 1) < empty(columns) ? columns + 1 : columns;
}

/**
 * One frame alone, as large as there is room; all frames have its box, and `only` says which one is
 * shown.
 */
export function arrangeOne({ count, aspect, width, tallest, ratio, only }) {
  const sharp = (value) => Math.round(value * ratio) / ratio;
  const w = Math.min(width, Math.max(24, tallest - CAPTION) * aspect);
  const box = { x: sharp((width - w) / 2), y: 0, w: sharp(w), h: sharp(Math.max(w / aspect, 4)) };
  return {
    frames: Array(count).fill(box),
    columns: 1,
    width,
    height: Math.ceil(box.h + CAPTION),
    only,
  };
}

/** Whether a frame is on the stage. */
export const isVisible = ({ only }, t) => only === undefined || only === t;

/** Place of the clip under a point of the stage, or null between the frames. */
export function placeAt(layout, clip, x, y) {
  const t = layout.frames.findIndex((f, i) =>
    isVisible(layout, i) && x >= f.x && x < f.x + f.w && y >= f.y && y < f.y + f.h
  );
  if (t < 0) return null;
  const frame = layout.frames[t];
  return {
    t,
    x: ((x - frame.x) / frame.w) * clip.width,
    y: ((y - frame.y) / frame.h) * clip.height,
  };
}

/** Point of the stage of a place of the clip. */
export function pointAt(layout, clip, { t, x, y }) {
  const frame = layout.frames[t];
  return { x: frame.x + (x / clip.width) * frame.w, y: frame.y + (y / clip.height) * frame.h };
}
