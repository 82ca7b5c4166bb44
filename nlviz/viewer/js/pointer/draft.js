// Draft: the box or lasso that is being drawn on one frame, by the pointer or cell by cell by the keyboard.

const FINEST = 2; // a lasso's corners lie this many source pixels apart, or farther
const MOST_CORNERS = 200;

/** The part of a frame between two of its places, as a region's outline. */
export const boxBetween = (a, b) => [[a.x, a.y], [b.x, a.y], [b.x, b.y], [a.x, b.y]];

export function createDraft() {
  let lasso = false;
  let corners = [];
  let frame = null;

  return {
    /** Begin, or go on to a place of the same frame; gives the place with its region, or null without an area. */
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
