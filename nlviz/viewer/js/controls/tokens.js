// Tokens: what takes part in a block without a place in the picture, as chips to point at and to pin.

import { element } from "../dom.js";

/** hover(name or null) while one is pointed at or has the focus; pin(name) on a click. */
export function createTokens({ hover, pin }) {
  const root = element("div", { className: "nlviz-tokens", role: "group", "aria-label": "Tokens" });
  let shown = "";
  const leave = () => hover(null);
  const chip = (name) =>
    element("button", {
      type: "button", title: "A token: it has no place in the picture",
      onpointerenter: () => hover(name), onpointerleave: leave, onfocus: () => hover(name), onblur: leave,
      onclick: () => pin(name),
    }, name);
  return {
    root,
    show(names) {
      if (names.join() === shown) return;
      shown = names.join();
      root.replaceChildren(...(names.length ? [element("span", {}, "Tokens"), ...names.map(chip)] : []));
    },
  };
}
