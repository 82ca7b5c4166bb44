// Pointing: the place under the pointer or the keyboard's cursor, and the region that is being drawn.

import { cellAt, centreOf } from "../rows/grid.js";
import { boxBetween, createDraft } from "./draft.js";

const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);

/** changed() asks for a new drawing; start() is where the keyboard begins; asks(region place) keeps what was drawn. */
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
      const out = (a, b, step) => (a <= b ? [a - step / 2, b + step / 2] : [a + step / 2, b - step / 2]);
      const [x0, x1] = out(anchor.x, place.x, grid.dx).map((x) => Math.min(Math.max(x, 0), clip.width));
      const [y0, y1] = out(anchor.y, place.y, grid.dy).map((y) => Math.min(Math.max(y, 0), clip.height));
      return set({ t: at.t, region: boxBetween({ x: x0, y: y0 }, { x: x1, y: y1 }), anchor, head: place });
    },

    page(clip, frames) {
      const from = hover ?? start();
      const { t, x, y } = from.head ?? from;
      set({ t: inside(t + frames, clip.frames.length), x, y });
    },
  };
}
