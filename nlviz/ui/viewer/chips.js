// Chips: the pins by name, to choose or to remove.

import { element } from "./dom.js";

/** Pins as a row of named chips: choose one to see its heat, or remove it. */
export function createChips({ choose, remove }) {
  const root = element("div", { className: "nlviz-chips", role: "group", "aria-label": "Pins" });
  let shown = "";
  return {
    root,
    show(pins, clip, selected) {
      const key = JSON.stringify([pins.map(({ id, color, t, x, y }) => [id, color, t, x, y]), selected?.id]);
      if (key === shown) return;
      shown = key;
      const focused = [...root.querySelectorAll("button")].indexOf(root.getRootNode().activeElement);
      root.replaceChildren(...pins.map((pin, i) => chip(pin, i, clip, pin === selected, { choose, remove })));
      const buttons = root.querySelectorAll("button");
      if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus();
    },
  };
}

function chip(pin, i, clip, selected, { choose, remove }) {
  const where = `frame ${clip.frames[pin.t]} · ${Math.floor(pin.x)}, ${Math.floor(pin.y)}`;
  const dot = element("i", {});
  dot.style.background = pin.color;
  return element(
    "span", { className: "nlviz-chip" },
    element("button", { type: "button", "aria-pressed": selected, title: "Show this pin's heat map", onclick: () => choose(pin) }, dot, where),
    element("button", { type: "button", className: "nlviz-cross", "aria-label": `Remove pin ${i + 1}, ${where}`, onclick: () => remove(pin) }, "×"),
  );
}
