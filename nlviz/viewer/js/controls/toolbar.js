// Toolbar: one row of controls over the options; the viewer owns the options and is told of each
// change.

import { createBlocks } from "./blocks.js";
import { choice, menu, slider, toggle } from "./controls.js";
import { element } from "../dom.js";
import { createMore } from "./more.js";

const VIEWS = {
  strip: ["Strip", "All frames side by side"],
  player: ["Player", "One large frame, and the clip plays (space bar)"],
};

/**
 * Controls; change(patch) reports an option, tool(name) what a drag draws; undo and redo are
 * buttons.
 */
export function createToolbar({ change, tool, undo, redo }) {
  const blocks = createBlocks(change);
  const head = menu(
    "Head",
    "One head of the block, or the mean of all",
    {},
    (value) => change({ head: value === "mean" ? null : Number(value.slice(1)) }),
  );
  const reverse = toggle(
    "Who looks here",
    "Turn the question round: who weighs this place, instead of what it weighs",
    (on) => change({ reverse: on }),
  );
  const k = slider(
    "Number of links",
    { min: 1, max: 60, step: 1 },
    (value) => change({ k: value }),
    (value) => `${value}`,
  );
  const opacity = slider(
    "Opacity of the heat map, and of components",
    { min: 5, max: 100, step: 5 },
    (value) => change({ opacity: value / 100 }),
    (value) => `${value}%`,
  );
  const links = toggle("Links", "Draw the links", (on) => change({ links: on }));
  const heat = toggle("Heat", "Draw the heat map", (on) => change({ heat: on }));
  const view = choice("View", VIEWS, (value) => change({ view: value }));
  const more = createMore({ change, tool });
  const icon = (text, label, title, onclick) =>
    element("button", { type: "button", "aria-label": label, title, onclick }, text);
  const undoButton = icon("↶", "Undo", "Undo (Ctrl+Z)", undo);
  const redoButton = icon("↷", "Redo", "Redo (Ctrl+Shift+Z)", redo);
  const root = element(
    "div",
    {},
    element(
      "div",
      { className: "nlviz-bar" },
      blocks.root,
      head.root,
      reverse.root,
      element(
        "div",
        { className: "nlviz-pairs" },
        element("div", { className: "nlviz-pair" }, links.root, ...k.nodes),
        element("div", { className: "nlviz-pair" }, heat.root, ...opacity.nodes),
      ),
      element(
        "div",
        { className: "nlviz-actions" },
        view.root,
        more.button,
        undoButton,
        redoButton,
      ),
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
    closeMore: more.close,
    show({ blocks: list, block, options, single, inFrame, can, tool: drawing, components }) {
      blocks.show(list, options.block);
      showHeads(block?.heads ?? 1, options.head);
      reverse.show(options.reverse);
      k.show(options.k);
      opacity.show(Math.round(options.opacity * 100));
      links.show(options.links);
      heat.show(options.heat);
      view.root.hidden = single;
      view.show(options.view);
      more.show({ options, block, inFrame, canRank: can.rank, drawing, components });
      // Not `disabled`: that would take the focus away, and the keys with it.
      undoButton.setAttribute("aria-disabled", !can.undo);
      redoButton.setAttribute("aria-disabled", !can.redo);
    },
  };
}
