// Heat: one row of weights over the frames, each key at its own place, however the grid lies.

import { heatPixels } from "./colour.js";

/** A painter onto a 2-D context; it keeps one small canvas for each time step of the key grid. */
export function createHeat() {
  let tiles = [];
  let shape = "";
  let palette = null;
  let paletteKey = "";

  const fit = ({ t, rows, cols }) => {
    if (shape === `${t},${rows},${cols}`) return;
    shape = `${t},${rows},${cols}`;
    tiles = Array.from({ length: t }, () => {
      const canvas = new OffscreenCanvas(cols, rows);
      const context = canvas.getContext("2d");
      const image = context.createImageData(cols, rows);
      return { canvas, context, image, pixels: new Uint32Array(image.data.buffer) };
    });
  };

  const colour = (signed, opacity) => {
    if (paletteKey !== `${signed},${opacity}`) {
      paletteKey = `${signed},${opacity}`;
      palette = heatPixels(signed, opacity);
    }
    return palette;
  };

  return {
    /** Draw a row that look() gave. Steps and cells that are left out stay clear. */
    paint(context, layout, clip, block, { row, left, range }, opacity) {
      const key = block.key;
      const scale = heatScale(block, range);
      const area = key.rows * key.cols;
      fit(key);
      const lut = colour(scale.signed, opacity);
      if (!(scale.high > scale.low)) return;
      for (let step = 0; step < key.t; step++) {
        if (left.steps[step] === 1) continue;
        const tile = tiles[step];
        fill(tile.pixels, row, step * area, lut, scale);
        if (left.steps[step] === 2) tile.pixels[left.within] = 0;
        tile.context.putImageData(tile.image, 0, 0);
        for (const t of key.frames[step]) place(context, tile.canvas, layout.frames[t], key, clip);
      }
    },
  };
}

/** Ends of the colour scale: 0 to the row's highest weight, or the same distance both ways for signed rows. */
export function heatScale({ function: kind }, { low, high }) {
  if (kind !== "dot_product") return { low: 0, high, signed: false };
  const reach = Math.max(Math.abs(low), Math.abs(high));
  return { low: -reach, high: reach, signed: true };
}

function fill(pixels, row, start, lut, { low, high }) {
  const factor = 255 / (high - low);
  for (let i = 0; i < pixels.length; i++) {
    const level = ((row[start + i] - low) * factor + 0.5) | 0;
    pixels[i] = lut[level < 0 ? 0 : level > 255 ? 255 : level];
  }
}

/** Cell centres lie at x0 + dx·col, so the tile starts half a step before; the frame clips it. */
function place(context, tile, frame, key, clip) {
  const sx = frame.w / clip.width;
  const sy = frame.h / clip.height;
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.w, frame.h);
  context.clip();
  context.drawImage(
    tile,
    frame.x + (key.x0 - key.dx / 2) * sx,
    frame.y + (key.y0 - key.dy / 2) * sy,
    key.cols * key.dx * sx,
    key.rows * key.dy * sy,
  );
  context.restore();
}
