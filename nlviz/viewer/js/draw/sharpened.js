// Sharpened: a row of weights drawn along the edges of the frames, for display only. One frame takes
// some milliseconds, so the work is cut into turns, between which the pointer is heard.

import { UNREACHED } from "../rows/question.js";
import { placesOf } from "../rows/scale.js";
import { createGuide, radiusOf } from "./guided.js";

const LARGEST = 81_920; // pixels of a frame in which edges are looked for
const MOST = 2 * LARGEST; // of all frames on the stage together
const KEPT = 4 * LARGEST; // of guides that are kept, about 56 bytes each

/** {frame(…), forget()}: guides are kept for the next rows. */
export function createSharpener() {
  let guides = new Map(); // frame → {guide, key, picture}, the oldest first

  function kept(t, picture, size, radius) {
    const key = `${size.width},${size.height},${radius}`;
    const found = guides.get(t);
    const same = found?.key === key && found.picture === picture;
    const guide = same ? found.guide : createGuide(pixelsOf(picture, size), radius);
    guides.delete(t);
    guides.set(t, { guide, key, picture });
    let pixels = 0;
    for (const [other, each] of [...guides].reverse()) {
      pixels += each.guide.width * each.guide.height;
      if (other !== t && pixels > KEPT) guides.delete(other);
    }
    return guide;
  }

  /**
   * Turns of work that give the pictures, one for each part of a guide or row: a generator whose
   * last value is a canvas that covers the whole frame. `frames` is how many there are on the
   * stage, `box` the frame's size there in pixels of the screen.
   */
  function* frame({ t, step, picture, box, frames, clip, seen, scale, lut }) {
    const { grid, ranked, left } = seen;
    const size = fitted(box, picture, frames);
    const radius = radiusOf(
      grid.dx * size.width / clip.width,
      grid.dy * size.height / clip.height,
    );
    const guide = kept(t, picture, size, radius);
    yield null;
    const area = grid.rows * grid.cols;
    const placed = placesOf(scale);
    const [values, allowed, unreached] = [0, 1, 2].map(() => new Float32Array(area));
    for (let i = 0, j = step * area; i < area; i++, j++) {
      allowed[i] = left[j] ? 0 : 1;
      values[i] = left[j] ? 0 : placed(ranked[j]);
      unreached[i] = left[j] === UNREACHED ? 1 : 0;
    }
    const spread = spreader(grid, size, clip);
    const [there, grey] = [allowed, unreached].map((cells) => cells.some(Boolean) && spread(cells));
    const drawn = guide.filtered(spread(values));
    return coloured(size, drawn, there, grey, scale.signed, lut);
  }

  return { frame, forget: () => (guides = new Map()) };
}

/** At most the frame's own pixels, those of the screen, and its share of all. */
function fitted(box, picture, frames) {
  const width = Math.min(box.w, picture.width);
  const height = width * box.h / box.w;
  const most = Math.min(LARGEST, MOST / frames);
  const shrink = Math.min(1, Math.sqrt(most / (width * height)));
  const [across, down] = [width, height].map((side) => Math.max(1, Math.round(side * shrink)));
  return { width: across, height: down };
}

function pixelsOf(picture, { width, height }) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return { rgba: context.getImageData(0, 0, width, height).data, width, height };
}

/** Spreads the values of one step's cells over a frame, smoothly from centre to centre. */
function spreader(grid, { width, height }, clip) {
  const columns = between(width, grid.cols, (x) => (x * clip.width / width - grid.x0) / grid.dx);
  const rows = between(height, grid.rows, (y) => (y * clip.height / height - grid.y0) / grid.dy);
  return (cells) => {
    const line = new Float32Array(grid.cols);
    const spread = new Float32Array(width * height);
    for (let y = 0, at = 0; y < height; y++) {
      const above = rows.from[y] * grid.cols, below = rows.to[y] * grid.cols, down = rows.share[y];
      for (let col = 0; col < grid.cols; col++) {
        line[col] = cells[above + col] * (1 - down) + cells[below + col] * down;
      }
      for (let x = 0; x < width; x++, at++) {
        const share = columns.share[x];
        spread[at] = line[columns.from[x]] * (1 - share) + line[columns.to[x]] * share;
      }
    }
    return spread;
  };
}

/** For the middle of each pixel the two cells that it lies between, and how near to the second. */
function between(length, cells, place) {
  const from = new Int32Array(length), to = new Int32Array(length);
  const share = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const at = Math.min(Math.max(place(i + 0.5), 0), cells - 1);
    from[i] = Math.floor(at);
    to[i] = Math.min(from[i] + 1, cells - 1);
    share[i] = at - from[i];
  }
  return { from, to, share };
}

const GREY = 0x80; // where no link can exist
const GREY_ALPHA = 0xa0;

/** A canvas with the colour of each pixel's place on the map; `there` is how far links are allowed. */
function coloured({ width, height }, drawn, there, grey, signed, lut) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; there && i < pixels.length; i++) {
    pixels[i] = lut[Math.round(signed ? 127.5 + 127.5 * drawn[i] : 255 * drawn[i])];
    if (there[i] < 1) image.data[4 * i + 3] *= there[i];
  }
  for (let i = 0, at = 0; grey && i < pixels.length; i++, at += 4) {
    const most = GREY_ALPHA * grey[i];
    const alpha = image.data[at + 3] + most;
    if (!most) continue;
    for (let c = 0; c < 3; c++) {
      image.data[at + c] = (image.data[at + c] * image.data[at + 3] + GREY * most) / alpha;
    }
    image.data[at + 3] = alpha;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
