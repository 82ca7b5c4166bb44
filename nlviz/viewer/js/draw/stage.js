// Stage: canvases on each other, for the frames, the heat map, a mask and the ink, sized to the
// screen.

import { element } from "../dom.js";
import { createComponents, createHeat, createMask } from "./layers.js";
import { drawFrames } from "./ink.js";
import { arrange, arrangeOne, placeAt, pointAt } from "./layout.js";
import { createSharpener } from "./sharpened.js";

const LABEL =
  "Frames of the clip. Arrow keys move cell by cell, with Shift they draw a box; Page Up and Page Down change " +
  "the frame, Enter pins, Space plays, Escape goes a step back.";

/** changed() asks for a new drawing; failed(t) says that frame t is not a picture. */
export function createStage({ changed, failed }) {
  const canvases = ["frames", "heat", "mask", "ink"].map((name) =>
    element("canvas", { className: `nlviz-${name}` })
  );
  const [frames, glow, over, ink] = canvases;
  const message = element("p", { className: "nlviz-message" });
  const node = element(
    "div",
    { className: "nlviz-stage", tabIndex: 0, role: "application", "aria-label": LABEL },
    ...canvases,
    message,
  );
  const heat = createHeat();
  const sharpener = createSharpener();
  const mask = createMask(drawMask);
  const components = createComponents();
  let opacity = 0; // of the components
  let clip = null;
  let pictures = [];
  let layout = null;
  let ratio = 1;
  let only; // the one frame on the stage, or undefined for all
  let heatKey = ""; // what the heat canvas shows
  let componentsKey = ""; // what is drawn of them
  let sharpening = null; // what is still to be sharpened of it, turn by turn
  let theme = null;

  function show(next) {
    pictures.forEach((picture) => picture?.close());
    pictures = [];
    sharpener.forget();
    clip = next;
    layout = null;
    fit();
    clip?.frames.forEach((_, t) => decode(clip, t));
  }

  async function decode(owner, t) {
    try {
      const picture = await createImageBitmap(new Blob([owner.parts[`frame${t}`]]));
      if (owner !== clip) return picture.close();
      pictures[t] = picture;
      if (only === undefined || only === t) drawBase();
      if (!heatKey) return;
      forgetHeat(); // its edges could not be followed before
      changed();
    } catch (error) {
      console.warn("nlviz:", error);
      if (owner === clip) failed(t);
    }
  }

  function fit() {
    const width = node.clientWidth;
    if (!clip || !width) return;
    ratio = globalThis.devicePixelRatio || 1;
    const tallest = Math.min(Math.max(globalThis.innerHeight * 0.66, 320), 820);
    const room = {
      count: clip.frames.length,
      aspect: clip.width / clip.height,
      width,
      tallest,
      ratio,
    };
    layout = only === undefined ? arrange(room) : arrangeOne({ ...room, only });
    node.style.height = `${layout.height}px`;
    for (const canvas of canvases) {
      canvas.width = Math.round(layout.width * ratio);
      canvas.height = Math.round(layout.height * ratio);
    }
    forgetHeat(); // setting a canvas's size clears it
    drawBase();
    changed();
  }

  function drawBase() {
    if (!layout) return;
    theme = currentTheme();
    drawFrames(cleared(frames), { layout, clip, pictures }, theme);
    drawMask();
  }

  function forgetHeat() {
    heatKey = "";
    sharpening = null;
  }

  /** Sharpen the heat of one frame after the other; it gives way between its turns. */
  function* sharpened({ painted, lut }, seen, scale) {
    for (const { t, step } of painted) {
      const [picture, frame] = [pictures[t], layout.frames[t]];
      if (!picture) continue;
      const box = { w: frame.w * ratio, h: frame.h * ratio };
      const count = painted.length;
      const asked = { t, step, picture, box, frames: count, clip, seen, scale, lut };
      const drawn = yield* sharpener.frame(asked);
      const context = glow.getContext("2d");
      context.clearRect(frame.x, frame.y, frame.w, frame.h);
      context.drawImage(drawn, frame.x, frame.y, frame.w, frame.h);
      yield null;
    }
  }

  function drawMask() {
    if (!layout) return;
    const context = cleared(over);
    components.draw(context, layout, clip, opacity);
    mask.draw(context, layout);
  }

  function currentTheme() {
    const { fontFamily, color } = getComputedStyle(message);
    return {
      font: `11.5px ${fontFamily}`,
      text: color,
      empty: getComputedStyle(message).backgroundColor,
    };
  }

  function cleared(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  const resized = new ResizeObserver(() => {
    const same = layout?.width === node.clientWidth && ratio === globalThis.devicePixelRatio;
    if (!same) fit();
  });
  resized.observe(node);

  return {
    node,
    message,
    show,
    showMask: mask.show,
    /** Draw colours of cells over the frames in grey, or with null none. */
    showComponents(next, opaque) {
      const key = next ? `${next.tag} ${opaque}` : "";
      if (key === componentsKey) return;
      componentsKey = key;
      opacity = opaque;
      components.show(next);
      node.classList.toggle("nlviz-grey", Boolean(next));
      drawMask();
    },
    get layout() {
      return layout;
    },
    get decoded() {
      return pictures.filter(Boolean).length;
    },

    /** Put one frame on the stage alone, or with undefined all of them. */
    focus(t) {
      if (t === only) return;
      const turned = (t === undefined) !== (only === undefined);
      only = t;
      if (turned || !layout) return fit();
      layout = { ...layout, only };
      forgetHeat();
      drawBase();
      changed();
    },

    /** Draw the frames again where the host's theme has changed. */
    refresh() {
      if (JSON.stringify(theme) !== JSON.stringify(currentTheme())) drawBase();
    },

    /**
     * Draw what was seen as heat, or with an empty key nothing; the same key is not drawn twice.
     * Sharpened it is drawn as cells first, and frame by frame along the edges, until that time or
     * a little longer; gives whether all is drawn.
     */
    drawHeat(key, seen, scale, style, until = Infinity) {
      if (key !== heatKey) {
        heatKey = key;
        sharpening = null;
        const context = cleared(glow);
        const drawn = key ? heat.paint(context, layout, clip, seen, scale, style) : null;
        if (drawn && style.sharpened) sharpening = sharpened(drawn, seen, scale);
      }
      while (sharpening) {
        if (sharpening.next().done) sharpening = null;
        if (performance.now() > until) break;
      }
      return sharpening === null;
    },

    /** The ink's context, cleared, and where to draw on it. */
    ink: () => [cleared(ink), { layout, clip }],

    /** The place of the clip under a pointer event, or null. */
    placeOf(event) {
      if (!layout) return null;
      const box = node.getBoundingClientRect();
      return placeAt(layout, clip, event.clientX - box.left, event.clientY - box.top);
    },

    /** The place of frame t that is nearest to a pointer event. */
    placeIn(event, t) {
      const box = node.getBoundingClientRect();
      const frame = layout.frames[t];
      const inside = (at, from, length) => Math.min(Math.max((at - from) / length, 0), 1);
      return {
        t,
        x: inside(event.clientX - box.left, frame.x, frame.w) * clip.width,
        y: inside(event.clientY - box.top, frame.y, frame.h) * clip.height,
      };
    },

    /** A place in CSS pixels of the stage. */
    pointOf: (place) => pointAt(layout, clip, place),

    /** A place in CSS pixels of the window. */
    toClient(place) {
      const box = node.getBoundingClientRect();
      const at = pointAt(layout, clip, place);
      return { x: box.left + at.x, y: box.top + at.y };
    },

    destroy() {
      resized.disconnect();
      show(null);
    },
  };
}
