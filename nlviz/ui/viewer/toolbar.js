// Toolbar: one row of controls over the options; the viewer owns the options and is told of each change.

import { element, setText } from "./dom.js";
import { shapeOf, strideOf } from "./words.js";

/** Controls; change(patch) reports an option, and undo and clear are called by their buttons. */
export function createToolbar({ change, undo, clear }) {
  const blocks = element("div", { className: "nlviz-blocks", role: "radiogroup", "aria-label": "Block" });
  const k = slider("Number of links", { min: 1, max: 60, step: 1 }, (value) => change({ k: value }), (value) => `${value}`);
  const opacity = slider(
    "Opacity of the heat map", { min: 5, max: 100, step: 5 },
    (value) => change({ opacity: value / 100 }), (value) => `${value}%`,
  );
  const links = toggle("Links", "Draw the links", (on) => change({ links: on }));
  const heat = toggle("Heat", "Draw the heat map", (on) => change({ heat: on }));
  const skip = toggle("Skip own frame", "Leave the query's own frame out of the links and the heat map", (on) =>
    change({ exclude: on ? "frame" : otherwise }));
  let otherwise = "none"; // what "skip own frame" goes back to
  const undoButton = element("button", { type: "button", title: "Undo (Ctrl+Z)", onclick: undo }, "Undo");
  const clearButton = element("button", { type: "button", title: "Remove all pins", onclick: clear }, "Clear");
  const root = element(
    "div", { className: "nlviz-bar" },
    blocks,
    element("div", { className: "nlviz-pair" }, links.root, ...k.nodes),
    element("div", { className: "nlviz-pair" }, heat.root, ...opacity.nodes),
    skip.root,
    element("div", { className: "nlviz-actions" }, undoButton, clearButton),
  );
  let shown = "";

  const fillBlocks = (list) => {
    const key = JSON.stringify(list.map(({ tag, label }) => [tag, label]));
    if (key === shown) return;
    shown = key;
    blocks.replaceChildren(...list.map((block) => blockButton(block, () => change({ block: block.label }))));
  };

  blocks.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...blocks.children];
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.click();
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    root,
    show({ list, options, single, canUndo, pinned }) {
      fillBlocks(list);
      list.forEach(({ label }, i) => {
        const chosen = label === options.block;
        blocks.children[i].setAttribute("aria-checked", chosen);
        blocks.children[i].tabIndex = chosen ? 0 : -1;
      });
      k.show(options.k);
      opacity.show(Math.round(options.opacity * 100));
      links.show(options.links);
      heat.show(options.heat);
      if (options.exclude !== "frame") otherwise = options.exclude;
      skip.show(options.exclude === "frame", single && "An image has one frame, and its links stay in it");
      undoButton.disabled = !canUndo;
      clearButton.disabled = !pinned;
    },
  };
}

function blockButton(block, choose) {
  return element(
    "button",
    { type: "button", role: "radio", title: block.name ?? block.label, onclick: choose },
    element("b", {}, block.label),
    element("small", {}, element("span", {}, strideOf(block)), element("span", {}, shapeOf(block.query))),
  );
}

function slider(label, range, change, words) {
  const value = element("output", {});
  const input = element("input", { type: "range", ...range, "aria-label": label });
  input.addEventListener("input", () => change(Number(input.value)));
  // Arrow keys belong to the slider while it has the focus, not to the page around the viewer.
  input.addEventListener("keydown", (event) => event.stopPropagation());
  const show = (number) => {
    if (number > Number(input.max)) input.max = number;
    input.value = number;
    const { min, max } = input;
    input.style.setProperty("--filled", `${(100 * (number - min)) / (max - min)}%`);
    setText(value, words(number));
  };
  return { nodes: [value, input], show };
}

function toggle(label, title, change) {
  const input = element("input", { type: "checkbox", role: "switch" });
  input.addEventListener("change", () => change(input.checked));
  const root = element("label", { className: "nlviz-switch", title }, input, element("span", {}, label));
  const show = (on, disabled) => {
    input.checked = on;
    input.disabled = Boolean(disabled);
    root.title = disabled || title;
  };
  return { root, show };
}
