// More: what few need at once, behind one button: what is left out, the scale, the colours, the
// pins, how to draw.

import { COLOUR_MAPS } from "../draw/colour.js";
import { choice, menu, toggle } from "./controls.js";
import { element, setText } from "../dom.js";

const EXCLUDES = { frame: "own frame", cell: "own cell", none: "nothing" };
const RANKS = { affinity: "affinity", contribution: "contribution" };
const SCALES = { row: "this row", block: "the block", absolute: "absolute" };
const CURVES = { linear: "linear", root: "square root", log: "logarithmic" };
const TOOLS = {
  point: ["Point", "Click one place; drag for a box, with Shift for a lasso"],
  box: ["Box", "Draw a box, with a finger too"],
  lasso: ["Lasso", "Draw freely around a region, with a finger too"],
};

/** change(patch) reports an option, tool(name) what a drag draws. */
export function createMore({ change, tool }) {
  const tools = choice("What a drag draws", TOOLS, tool);
  const exclude = menu(
    "Leave out",
    "What gets no link and no heat",
    EXCLUDES,
    (value) => change({ exclude: value }),
  );
  const rank = menu(
    "Rank by",
    "Affinity alone, or times the size of what the key adds",
    RANKS,
    (value) => change({ rank_by: value }),
  );
  const scale = menu(
    "Scale to",
    "What the heat map is scaled to",
    SCALES,
    (value) => change({ scale: value }),
  );
  const curve = menu(
    "Curve",
    "How weights become colours",
    CURVES,
    (value) => change({ curve: value }),
  );
  const colours = menu(
    "Colours",
    "Colours of the heat map",
    COLOUR_MAPS,
    (value) => change({ colours: value }),
  );
  const sharpened = toggle(
    "Sharpen",
    "Draw the heat along the frames’ own edges; for display only, the weights stay those of cells",
    (on) => change({ sharpened: on }),
  );
  const components = toggle(
    "Components",
    "Colour the frames by the first three components of features, while nothing is pointed at",
    (on) => change({ components: on }),
  );
  const pins = choice(
    "Links of the pins",
    {
      true: ["All pins", "Draw the links of all pins"],
      false: ["One", "Draw the links of the chosen pin alone"],
    },
    (value) => change({ together: value === "true" }),
  );
  const group = (name, ...nodes) =>
    element("div", { className: "nlviz-group" }, element("span", {}, name), ...nodes);
  const about = element("p", { className: "nlviz-about" });
  const panel = element(
    "div",
    { className: "nlviz-more", hidden: true, role: "group", "aria-label": "More controls" },
    group("Ask with", tools.root),
    group("Links of", pins.root),
    exclude.root,
    rank.root,
    scale.root,
    curve.root,
    colours.root,
    sharpened.root,
    components.root,
    about,
  );
  const button = element("button", {
    type: "button",
    className: "nlviz-more-button",
    "aria-expanded": false,
  }, "More");
  const open = (on) => {
    panel.hidden = !on;
    button.setAttribute("aria-expanded", on);
  };
  button.addEventListener("click", () => open(panel.hidden));

  /** Close the panel; whether it was open. The focus, where it was inside, goes to the button. */
  function close() {
    if (panel.hidden) return false;
    const focused = panel.contains(panel.getRootNode().activeElement);
    open(false);
    if (focused) button.focus();
    return true;
  }

  // Before the menus and sliders inside, which keep their keys to themselves.
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    close();
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });

  return {
    button,
    panel,
    close,
    show({ options, block, inFrame, canRank, drawing, components: there }) {
      tools.show(drawing);
      exclude.fill(inFrame ? { cell: EXCLUDES.cell, none: EXCLUDES.none } : EXCLUDES);
      exclude.show(options.exclude);
      rank.root.hidden = !canRank;
      rank.show(options.rank_by);
      scale.show(options.scale);
      scale.able(options.rank_by === "affinity" ? "" : "Contributions are scaled to their own row");
      curve.show(options.curve);
      colours.show(options.colours);
      components.root.hidden = !there;
      components.show(options.components);
      sharpened.show(options.sharpened, !options.heat && "Heat is switched off");
      // signed rows have a map of their own, around zero
      colours.root.hidden = block?.function === "dot_product";
      pins.show(String(options.together));
      setText(about, (block?.about ?? []).join(" · "));
    },
  };
}
