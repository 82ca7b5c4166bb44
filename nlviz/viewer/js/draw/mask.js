// Mask: an object tinted and outlined on each frame, as pictures that the host made.

import { isVisible } from "./layout.js";

/** changed() asks for a new drawing, once a picture is there. */
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
