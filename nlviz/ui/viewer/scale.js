// Scale: the colour bar of the heat map, with its ends in numbers.

import { heatGradient } from "./colour.js";
import { element, setText } from "./dom.js";

/** The colour bar: how the heat map's colours stand for weights. */
export function createScale() {
  const strip = element("div", { className: "nlviz-strip" });
  const low = element("span", {});
  const high = element("span", {});
  const unit = element("div", { className: "nlviz-unit" });
  const root = element(
    "div", { className: "nlviz-scale", role: "img" },
    strip, element("div", { className: "nlviz-ends" }, low, high), unit,
  );
  let drawn = null;
  return {
    root,
    /** Ends of the scale as text; `rest` says what the scale leaves out. */
    show(from, to, signed, rest) {
      if (drawn !== signed) strip.style.backgroundImage = heatGradient(signed);
      drawn = signed;
      setText(low, from);
      setText(high, to);
      setText(unit, `affinity f/C, scaled to this row${rest}`);
      root.setAttribute("aria-label", `Heat map: affinity f/C from ${from} to ${to}, scaled to this row`);
    },
  };
}
