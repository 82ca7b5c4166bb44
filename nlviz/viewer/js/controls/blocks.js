// Blocks: the captured blocks as a row of choices, from input to output.

import { element } from "../dom.js";
import { isAsked } from "../rows/reach.js";
import { shapeOf, strideOf } from "./words.js";

export function createBlocks(change) {
  const root = element("div", {
    className: "nlviz-blocks",
    role: "radiogroup",
    "aria-label": "Block",
  });
  let shown = "";

  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const buttons = [...root.children];
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.click();
    next.focus();
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    root,
    show(list, label) {
      const key = JSON.stringify(list.map((block) => [block.tag, block.label]));
      if (key !== shown) {
        root.replaceChildren(
          ...list.map((block) => button(block, () => change({ block: block.label }))),
        );
      }
      shown = key;
      list.forEach((block, i) => {
        const chosen = block.label === label;
        if (chosen && root.children[i].getAttribute("aria-checked") !== "true") {
          reveal(root, root.children[i]);
        }
        root.children[i].setAttribute("aria-checked", chosen);
        root.children[i].tabIndex = chosen ? 0 : -1;
      });
    },
  };
}

/** Scrolls a row that is too long for the page to what is chosen; the page itself stays. */
function reveal(row, child) {
  const before = child.offsetLeft - row.offsetLeft;
  const hidden = before < row.scrollLeft ||
    before + child.offsetWidth > row.scrollLeft + row.clientWidth;
  if (hidden) row.scrollLeft = before - (row.clientWidth - child.offsetWidth) / 2;
}

function kindOf(block) {
  if (block.function === "derived") return "derived";
  return isAsked(block) ? shapeOf(block.query) : "tokens alone";
}

function button(block, choose) {
  return element(
    "button",
    {
      type: "button",
      role: "radio",
      title: `${block.name ?? block.label}, ${strideOf(block)}`,
      onclick: choose,
    },
    element("b", {}, block.label),
    element("small", {}, kindOf(block)),
  );
}
