// Stage: canvases on each other, for the frames, the heat map, a mask and the ink, sized to the
// screen.

import { element } from "../dom.js";
import { createHeat, createMask } from "./layers.js";
import { drawFrames } from "./ink.js";
import { arrange, arrangeOne, placeAt, pointAt } from "./layout.js";

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
  const mask = createMask(drawMask);
  let clip = null;
  let pictures = [];
  let layout = null;
  let ratio = 1;
  let only; // the one frame on the stage, or undefined for all
  let heatKey = ""; // what the heat canvas shows
  let theme = null;

  function show(next) {
    pictures.forEach((picture) => picture?.close());
    pictures = [];
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
    heatKey = ""; // setting a canvas's size clears it
    drawBase();
    changed();
  }

  function drawBase() {
    if (!layout) return;
    theme = currentTheme();
    drawFrames(cleared(frames), { layout, clip, pictures }, theme);
    drawMask();
  }

  function drawMask() {
    if (layout) mask.draw(cleared(over), layout);
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
      heatKey = "";
      drawBase();
      changed();
    },

    /** Draw the frames again where the host's theme has changed. */
    refresh() {
      if (JSON.stringify(theme) !== JSON.stringify(currentTheme())) drawBase();
    },

    /**
     * Draw what was seen as heat, or with an empty key nothing; the same key is not drawn twice.
     */
    drawHeat(key, seen, scale, style) {
      if (key === heatKey) return;
      heatKey = key;
      const context = cleared(glow);
      if (key) heat.paint(context, layout, clip, seen, scale, style);
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
