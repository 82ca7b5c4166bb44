// Pointing: the place under the pointer or the keyboard's cursor, and the region that is being
// drawn.

import { cellAt, centreOf } from "../rows/grid.js";

const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);

/**
 * changed() asks for a new drawing; start() is where the keyboard begins; asks(region place) keeps
 * what was drawn.
 */
export function createPointing({ stage, changed, start, asks }) {
  const draft = createDraft();
  let hover = null;
  let tool = "point";

  function set(place) {
    hover = place;
    changed();
  }

  return {
    get place() {
      return hover;
    },
    get tool() {
      return tool;
    },
    choose(name) {
      tool = name;
      stage.node.style.touchAction = name === "point" ? "" : "none";
      changed();
    },
    /** With what a finger draws. */
    draws: () => (tool === "point" ? null : tool),

    at: (event) => set(stage.placeOf(event)),
    put: set,

    leave() {
      draft.forget();
      set(null);
    },

    draw(event, lasso) {
      const place = draft.active ? stage.placeIn(event, draft.frame) : stage.placeOf(event);
      if (place) set(draft.to(place, lasso) ?? place);
    },

    drawn() {
      const place = draft.place();
      draft.forget();
      set(null);
      if (place) asks(place);
    },

    /** One cell on; with `grow` the box between where the keyboard was and there. */
    step(grid, clip, down, across, grow) {
      const from = hover ?? start();
      const at = from.head ?? from;
      const cell = cellAt(grid, at);
      if (hover) {
        cell.row = inside(cell.row + down, grid.rows);
        cell.col = inside(cell.col + across, grid.cols);
      }
      const place = { ...centreOf(grid, cell, clip), t: at.t };
      if (!grow || !hover) return set(place);
      const anchor = from.anchor ?? at;
      // From the far edge of one cell to that of the other, so that both centres lie inside.
      const out = (
        a,
        b,
        step,
      ) => (a <= b ? [a - step / 2, b + step / 2] : [a + step / 2, b - step / 2]);
      const [x0, x1] = out(anchor.x, place.x, grid.dx).map((x) =>
        Math.min(Math.max(x, 0), clip.width)
      );
      const [y0, y1] = out(anchor.y, place.y, grid.dy).map((y) =>
        Math.min(Math.max(y, 0), clip.height)
      );
      return set({
        t: at.t,
        region: boxBetween({ x: x0, y: y0 }, { x: x1, y: y1 }),
        anchor,
        head: place,
      });
    },

    page(clip, frames) {
      const from = hover ?? start();
      const { t, x, y } = from.head ?? from;
      set({ t: inside(t + frames, clip.frames.length), x, y });
    },
  };
}

const FINEST = 2; // a lasso's corners lie this many source pixels apart, or farther
const MOST_CORNERS = 200;

/** The part of a frame between two of its places, as a region's outline. */
const boxBetween = (a, b) => [[a.x, a.y], [b.x, a.y], [b.x, b.y], [a.x, b.y]];

/**
 * The box or lasso that is being drawn on one frame, by the pointer or cell by cell by the
 * keyboard.
 */
function createDraft() {
  let lasso = false;
  let corners = [];
  let frame = null;

  return {
    /**
     * Begin, or go on to a place of the same frame; gives the place with its region, or null
     * without an area.
     */
    to({ t, x, y }, asLasso) {
      if (!corners.length) [frame, lasso] = [t, asLasso];
      const last = corners.at(-1);
      if (!lasso && corners.length > 1) corners.pop();
      const far = !last || !lasso || Math.hypot(x - last[0], y - last[1]) >= FINEST;
      if (far) corners.push([x, y]);
      if (corners.length > MOST_CORNERS) corners = corners.filter((_, i) => i % 2 === 0);
      return this.place();
    },

    place() {
      if (corners.length < (lasso ? 3 : 2)) return null;
      const [[x0, y0], [x1, y1]] = corners;
      const region = lasso ? corners.slice() : boxBetween({ x: x0, y: y0 }, { x: x1, y: y1 });
      return { t: frame, region };
    },

    get frame() {
      return frame;
    },
    get active() {
      return corners.length > 0;
    },

    forget() {
      corners = [];
      frame = null;
    },
  };
}
