// Layers over the frames: one row of weights as heat, each place where it lies, and an object as a
// mask.

import { EXCLUDED, UNREACHED } from "../rows/question.js";
import { levels } from "../rows/scale.js";
import { heatPixels } from "./colour.js";
import { isVisible } from "./layout.js";

const UNREACHED_PIXEL = 0xa0808080; // grey, where no link can exist
const UNREACHED_FRAME = "rgb(128 128 128 / 0.6275)"; // the same

/** A painter onto a 2-D context; it keeps one small canvas for each time step of the grid. */
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

  const colour = (...given) => {
    const key = given.join();
    if (paletteKey !== key) palette = heatPixels(...given);
    paletteKey = key;
    return palette;
  };

  return {
    /**
     * Draw what a place sees, on a scale of heatScale(). What the person left out stays clear. Gives
     * the frames that have heat, each with its time step, and the colours.
     */
    paint(context, layout, clip, { ranked, left, grid }, scale, { colours, opacity }) {
      const area = grid.rows * grid.cols;
      fit(grid);
      const lut = colour(colours, scale.signed, opacity);
      const level = levels(scale);
      const painted = [];
      for (let step = 0; step < grid.t; step++) {
        // Where several steps cover a frame, the one that a pointer there asks: View.shown_step.
        const frames = grid.frames[step].filter((t) =>
          grid.steps[t] === step && isVisible(layout, t)
        );
        if (!frames.length) continue;
        const start = step * area;
        if (left.subarray(start, start + area).every((why) => why === UNREACHED)) {
          // Whatever part of a frame the grid is: with a second clip's it may be another's shape.
          context.fillStyle = UNREACHED_FRAME;
          for (const t of frames) fill(context, layout.frames[t]);
          for (const t of frames) painted.push({ t, step });
          continue;
        }
        const { canvas, context: small, image, pixels } = tiles[step];
        for (let i = 0, j = start; i < area; i++, j++) {
          pixels[i] = left[j]
            ? (left[j] === EXCLUDED ? 0 : UNREACHED_PIXEL)
            : lut[level(ranked[j])];
        }
        small.putImageData(image, 0, 0);
        for (const t of frames) {
          place(context, canvas, layout.frames[t], grid, clip);
          painted.push({ t, step });
        }
      }
      return { painted, lut };
    },
  };
}

const fill = (context, { x, y, w, h }) => context.fillRect(x, y, w, h);

/** Cell centres lie at x0 + dx·col, so the tile starts half a step before; the frame clips it. */
function place(context, tile, frame, grid, clip) {
  const sx = frame.w / clip.width;
  const sy = frame.h / clip.height;
  context.save();
  context.beginPath();
  context.rect(frame.x, frame.y, frame.w, frame.h);
  context.clip();
  context.drawImage(
    tile,
    frame.x + (grid.x0 - grid.dx / 2) * sx,
    frame.y + (grid.y0 - grid.dy / 2) * sy,
    grid.cols * grid.dx * sx,
    grid.rows * grid.dy * sy,
  );
  context.restore();
}

const DARK = "rgb(0 0 0 / 0.55)"; // over frames of which only some positions have a colour

/** Colours of cells over the frames, which the style sheet turns grey. */
export function createComponents() {
  let blob = null;
  let tiles = [];
  let everywhere = true;

  return {
    /** Take a blob of kind "components", or null for none. */
    show(next) {
      if (next === blob) return;
      blob = next;
      if (!blob) return (tiles = []);
      const { grid: { t, rows, cols }, parts: { cells } } = blob;
      const size = 4 * rows * cols;
      everywhere = cells.every((value, i) => i % 4 < 3 || value);
      tiles = Array.from({ length: t }, (_, step) => {
        const canvas = new OffscreenCanvas(cols, rows);
        const pixels = Uint8ClampedArray.from(cells.subarray(step * size, (step + 1) * size));
        canvas.getContext("2d").putImageData(new ImageData(pixels, cols, rows), 0, 0);
        return canvas;
      });
    },

    draw(context, layout, clip, opacity) {
      if (!blob) return;
      layout.frames.forEach((frame, t) => {
        if (!isVisible(layout, t)) return;
        if (!everywhere) {
          context.fillStyle = DARK;
          fill(context, frame);
        }
        context.globalAlpha = opacity;
        place(context, tiles[blob.grid.steps[t]], frame, blob.grid, clip);
        context.globalAlpha = 1;
      });
    },
  };
}

/**
 * An object tinted and outlined, as pictures that the host made. changed() asks for a new drawing,
 * once one is there.
 */
export function createMask(changed) {
  let blob = null;
  let pictures = [];

  async function decode(owner, part, t) {
    try {
      const picture = await createImageBitmap(new Blob([part]));
      if (owner !== blob) return picture.close();
      pictures[t] = picture;
      changed();
    } catch (error) {
      console.warn("nlviz:", error); // the frame stays as it is
    }
  }

  return {
    /** Take a blob of kind "mask", or null for none. */
    show(next) {
      if (next === blob) return;
      pictures.forEach((picture) => picture?.close());
      pictures = [];
      blob = next;
      blob?.frames.forEach((_, t) => decode(blob, blob.parts[`mask${t}`], t));
      changed();
    },

    draw(context, layout) {
      layout.frames.forEach(({ x, y, w, h }, t) => {
        if (pictures[t] && isVisible(layout, t)) context.drawImage(pictures[t], x, y, w, h);
      });
    },
  };
}
