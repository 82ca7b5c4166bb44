// Controls: sliders, switches and menus, each as its elements and a way to show a value.

import { element, setText } from "../dom.js";

/** A range with its number in words: {nodes, show(number)}. */
export function slider(label, range, change, words) {
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

/** A switch with its label: {root, show(on, why it is disabled or false)}. */
export function toggle(label, title, change) {
  const input = element("input", { type: "checkbox", role: "switch" });
  input.addEventListener("change", () => change(input.checked));
  const root = element(
    "label",
    { className: "nlviz-switch", title },
    input,
    element("span", {}, label),
  );
  const show = (on, disabled) => {
    input.checked = on;
    input.disabled = Boolean(disabled);
    root.title = disabled || title;
  };
  return { root, show };
}

/** A menu with its label; `choices` is {value: name}, and `change` is given the value. */
export function menu(label, title, choices, change) {
  const select = element("select", { "aria-label": title });
  let filled = "";
  const fill = (list) => {
    if (filled === JSON.stringify(list)) return;
    filled = JSON.stringify(list);
    select.replaceChildren(
      ...Object.entries(list).map(([value, name]) => element("option", { value }, name)),
    );
  };
  fill(choices);
  select.addEventListener("change", () => change(select.value));
  select.addEventListener("keydown", (event) => event.stopPropagation());
  const root = element(
    "label",
    { className: "nlviz-menu", title },
    element("span", {}, label),
    select,
  );
  /** Disabled where a sentence says why. */
  const able = (why) => {
    select.disabled = Boolean(why);
    root.title = why || title;
  };
  return { root, fill, able, show: (value) => (select.value = value) };
}

/** Buttons of which one is pressed; `choices` is {value: [name, title]}. */
export function choice(label, choices, change) {
  const entries = Object.entries(choices);
  const buttons = entries.map(([value, [name, title]]) =>
    element("button", { type: "button", title, onclick: () => change(value) }, name)
  );
  const root = element(
    "div",
    { className: "nlviz-choice", role: "group", "aria-label": label },
    ...buttons,
  );
  const show = (value) =>
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", entries[i][0] === value));
  return { root, show };
}
