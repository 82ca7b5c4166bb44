// Bar: the colour bar of the heat map, labelled with its weights and with what it is scaled to.

import { heatGradient } from "../draw/colour.js";
import { element, setText } from "../dom.js";
import { ticks } from "../rows/scale.js";
import { weightText } from "./words.js";

const SCALED = { row: "scaled to this row", column: "scaled to this column", block: "scaled to the whole block", absolute: "on a fixed scale" };
const SHOWN = { affinity: "affinity f/C", contribution: "contribution, weight × ‖W_z·g‖" };
const CURVED = { linear: "", root: ", square root", log: ", logarithmic" };

export function createBar() {
  const strip = element("div", { className: "nlviz-strip" });
  const ends = [0, 1, 2].map(() => element("span", {}));
  const unit = element("div", { className: "nlviz-unit" });
  const root = element(
    "div", { className: "nlviz-scale", role: "img" },
    strip, element("div", { className: "nlviz-ends" }, ...ends), unit,
  );
  let drawn = "";
  return {
    root,
    /** A scale of heatScale(), the colour map's name, and words on what the scale leaves out. */
    show(scale, colours, rest, reverse) {
      const colouring = `${colours} ${scale.signed}`;
      if (drawn !== colouring) strip.style.backgroundImage = heatGradient(colours, scale.signed);
      drawn = colouring;
      const texts = ticks(scale).map(weightText);
      if (scale.curve === "log" && !scale.signed) texts[0] = `≤ ${texts[0]}`;
      ends.forEach((end, i) => setText(end, texts[i]));
      const words = `${SHOWN[scale.of]}, ${SCALED[reverse && scale.range === "row" ? "column" : scale.range]}${CURVED[scale.curve]}${rest}`;
      setText(unit, words);
      const label = `Heat map: ${words}, from ${texts[0]} to ${texts[2]}`;
      if (root.getAttribute("aria-label") !== label) root.setAttribute("aria-label", label);
    },
  };
}
