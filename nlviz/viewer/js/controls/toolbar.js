// Toolbar: one row of controls over the options; the viewer owns the options and is told of each change.

import { element, setText } from "../dom.js";
import { COLOUR_MAPS } from "../draw/colour.js";
import { createBlocks } from "./blocks.js";
import { choice, menu, slider, toggle } from "./controls.js";

const VIEWS = { strip: ["Strip", "All frames side by side"], player: ["Player", "One large frame, and the clip plays (space bar)"] };

/** Controls; change(patch) reports an option, tool(name) what a drag draws; undo and redo are buttons. */
export function createToolbar({ change, tool, undo, redo }) {
  const blocks = createBlocks(change);
  const head = menu("Head", "One head of the block, or the mean of all", {}, (value) => change({ head: value === "mean" ? null : Number(value.slice(1)) }));
  const reverse = toggle("Who looks here", "Turn the question round: who weighs this place, in place of what it weighs", (on) => change({ reverse: on }));
  const k = slider("Number of links", { min: 1, max: 60, step: 1 }, (value) => change({ k: value }), (value) => `${value}`);
  const opacity = slider(
    "Opacity of the heat map", { min: 5, max: 100, step: 5 },
    (value) => change({ opacity: value / 100 }), (value) => `${value}%`,
  );
  const links = toggle("Links", "Draw the links", (on) => change({ links: on }));
  const heat = toggle("Heat", "Draw the heat map", (on) => change({ heat: on }));
  const view = choice("View", VIEWS, (value) => change({ view: value }));
  const more = createMore({ change, tool });
  const icon = (text, label, title, onclick) => element("button", { type: "button", "aria-label": label, title, onclick }, text);
  const undoButton = icon("↶", "Undo", "Undo (Ctrl+Z)", undo);
  const redoButton = icon("↷", "Redo", "Redo (Ctrl+Shift+Z)", redo);
  const root = element(
    "div", {},
    element(
      "div", { className: "nlviz-bar" },
      blocks.root, head.root, reverse.root,
      element(
        "div", { className: "nlviz-pairs" },
        element("div", { className: "nlviz-pair" }, links.root, ...k.nodes),
        element("div", { className: "nlviz-pair" }, heat.root, ...opacity.nodes),
      ),
      element("div", { className: "nlviz-actions" }, view.root, more.button, undoButton, redoButton),
    ),
    more.panel,
  );
  let heads = 0;

  function showHeads(count, chosen) {
    head.root.hidden = count < 2;
    if (count !== heads) {
      const names = Array.from({ length: count }, (_, h) => [`h${h}`, `${h}`]);
      head.fill({ mean: "mean", ...Object.fromEntries(names) });
      heads = count;
    }
    head.show(chosen === null || chosen >= count ? "mean" : `h${chosen}`);
  }

  return {
    root,
    show({ list, block, options, single, inFrame, canRank, canUndo, canRedo, drawing }) {
      blocks.show(list, options.block);
      showHeads(block?.heads ?? 1, options.head);
      reverse.show(options.reverse);
      k.show(options.k);
      opacity.show(Math.round(options.opacity * 100));
      links.show(options.links);
      heat.show(options.heat);
      view.root.hidden = single;
      view.show(options.view);
      more.show({ options, block, inFrame, canRank, drawing });
      // Not `disabled`: that would take the focus away, and the keys with it.
      undoButton.setAttribute("aria-disabled", !canUndo);
      redoButton.setAttribute("aria-disabled", !canRedo);
    },
  };
}

const EXCLUDES = { frame: "own frame", cell: "own cell", none: "nothing" };
const RANKS = { affinity: "affinity", contribution: "contribution" };
const SCALES = { row: "this row", block: "the block", absolute: "absolute" };
const CURVES = { linear: "linear", root: "square root", log: "logarithmic" };
const TOOLS = {
  point: ["Point", "Click one place; drag for a box, with Shift for a lasso"],
  box: ["Box", "Draw a box, with a finger too"],
  lasso: ["Lasso", "Draw freely around a region, with a finger too"],
};

/** What few need at once, behind one button. change(patch) reports an option, tool(name) what a drag draws. */
function createMore({ change, tool }) {
  const tools = choice("What a drag draws", TOOLS, tool);
  const exclude = menu("Leave out", "What gets no link and no heat", EXCLUDES, (value) => change({ exclude: value }));
  const rank = menu("Rank by", "Affinity alone, or times the size of what the key adds", RANKS, (value) => change({ rank_by: value }));
  const scale = menu("Scale to", "What the heat map is scaled to", SCALES, (value) => change({ scale: value }));
  const curve = menu("Curve", "How weights become colours", CURVES, (value) => change({ curve: value }));
  const colours = menu("Colours", "Colours of the heat map", COLOUR_MAPS, (value) => change({ colours: value }));
  const pins = choice(
    "Links of the pins",
    { true: ["All pins", "Draw the links of all pins"], false: ["One", "Draw the links of the chosen pin alone"] },
    (value) => change({ together: value === "true" }),
  );
  const group = (name, ...nodes) => element("div", { className: "nlviz-group" }, element("span", {}, name), ...nodes);
  const about = element("p", { className: "nlviz-about" });
  const panel = element(
    "div", { className: "nlviz-more", hidden: true, role: "group", "aria-label": "More controls" },
    group("Ask with", tools.root), group("Links of", pins.root),
    exclude.root, rank.root, scale.root, curve.root, colours.root, about,
  );
  const button = element("button", { type: "button", className: "nlviz-more-button", "aria-expanded": false }, "More");
  button.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", !panel.hidden);
  });

  return {
    button,
    panel,
    show({ options, block, inFrame, canRank, drawing }) {
      tools.show(drawing);
      exclude.fill(inFrame ? { cell: EXCLUDES.cell, none: EXCLUDES.none } : EXCLUDES);
      exclude.show(options.exclude);
      rank.root.hidden = !canRank;
      rank.show(options.rank_by);
      scale.show(options.scale);
      scale.able(options.rank_by === "affinity" ? "" : "Contributions are scaled to their own row");
      curve.show(options.curve);
      colours.show(options.colours);
      colours.root.hidden = block?.function === "dot_product"; // signed rows have a map of their own, around zero
      pins.show(String(options.together));
      setText(about, (block?.about ?? []).join(" · "));
    },
  };
}
