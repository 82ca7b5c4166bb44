// Readout: what is seen in words, for the eye and for a screen reader, and the scale of the heat
// map.

import { element, setText } from "../dom.js";
import { heatGradient } from "../draw/colour.js";
import { tokensOf, whereabouts } from "../rows/question.js";
import { ticks } from "../rows/scale.js";
import {
  blockText,
  hintText,
  linksText,
  placeText,
  reachText,
  spokenText,
  weightText,
} from "./words.js";

const FIDELITY =
  "Fidelity: how far y recomputed from these weights lies from what the block put out, relative";
const LEFT_OUT = { none: "", cell: ", without its own cell", frame: ", without its own frame" };
const SPEECH_PAUSE = 400; // ms: a hand that moves on is not talked over

export function createReadout() {
  const where = element("div", { className: "nlviz-where" });
  const detail = element("div", { className: "nlviz-detail", title: FIDELITY });
  const layer = element("div", { className: "nlviz-detail nlviz-components" });
  const live = element("div", { className: "nlviz-live", "aria-live": "polite" });
  const bar = createBar();
  const words = element("div", { className: "nlviz-readout" }, where, detail, layer);
  const root = element("div", { className: "nlviz-foot" }, words, bar.root, live);
  let spoken = "";
  let timer = 0;

  function speak(text) {
    if (text === spoken) return;
    spoken = text;
    clearTimeout(timer);
    timer = setTimeout(() => setText(live, text), SPEECH_PAUSE);
  }

  return {
    root,
    get text() {
      return { readout: where.textContent, detail: detail.textContent };
    },

    /**
     * `seen` is what the place sees, or null where nothing is looked at; `scale` is the heat map's;
     * `components` are the colours that are drawn in its place, or null.
     */
    show({ clip, block, place, seen, scale, components, waiting, options }) {
      setText(detail, block ? blockText(block) : "");
      setText(layer, components ? `Colours: ${components.words.join("; ")}.` : "");
      const asks = seen && !seen.range.absent;
      bar.root.classList.toggle("nlviz-idle", !(asks && options.heat && !components));
      if (!seen) return setText(where, waiting ?? hint(block, clip, options.reverse));
      const parts = [
        placeText(place, clip),
        linksText(seen, place, options.reverse),
        reachText(seen, options.reverse),
      ];
      setText(where, parts.filter(Boolean).join(" · "));
      const left = LEFT_OUT[options.exclude];
      bar.show(
        scale,
        options.colours,
        left + (options.sharpened ? SHARPENED : ""),
        options.reverse,
      );
      if (seen.done === 1) speak(spokenText(place, seen, clip, options.reverse));
    },

    close: () => clearTimeout(timer),
  };
}

function hint(block, clip, reverse) {
  const lie = block
    ? whereabouts(block, reverse, clip)
    : { count: 0, frames: [], everywhere: true };
  return hintText(lie, block ? tokensOf(block, reverse) : [], reverse);
}

const SCALED = {
  row: "scaled to this row",
  column: "scaled to this column",
  block: "scaled to the whole block",
  absolute: "on a fixed scale",
};
const SHOWN = {
  affinity: "affinity f/C",
  contribution: "contribution, weight × ‖W_z·g‖",
  derived: "derived weight",
};
const SHARPENED = ", sharpened along the picture’s edges, for display only";
const CURVED = { linear: "", root: ", square root", log: ", logarithmic" };

/** The colour bar of the heat map, labelled with its weights and with what it is scaled to. */
function createBar() {
  const strip = element("div", { className: "nlviz-strip" });
  const ends = [0, 1, 2].map(() => element("span", {}));
  const unit = element("div", { className: "nlviz-unit" });
  const root = element(
    "div",
    { className: "nlviz-scale", role: "img" },
    strip,
    element("div", { className: "nlviz-ends" }, ...ends),
    unit,
  );
  let drawn = "";
  return {
    root,
    /** A scale of heatScale(), the colour map's name, and words on what is left out and how drawn. */
    show(scale, colours, rest, reverse) {
      const colouring = `${colours} ${scale.signed}`;
      if (drawn !== colouring) strip.style.backgroundImage = heatGradient(colours, scale.signed);
      drawn = colouring;
      const texts = ticks(scale).map(weightText);
      if (scale.curve === "log" && !scale.signed) texts[0] = `≤ ${texts[0]}`;
      ends.forEach((end, i) => setText(end, texts[i]));
      const words = `${SHOWN[scale.of]}, ${
        SCALED[reverse && scale.range === "row" ? "column" : scale.range]
      }${CURVED[scale.curve]}${rest}`;
      setText(unit, words);
      const label = `Heat map: ${words}, from ${texts[0]} to ${texts[2]}`;
      if (root.getAttribute("aria-label") !== label) root.setAttribute("aria-label", label);
    },
  };
}
