// Chips: the pins by name, to choose, rename, put in order or remove; and the tokens, to point at
// and to pin.

import { element } from "../dom.js";

/** Pins as a row of named chips; the chosen one shows what else can be done with it. */
export function createChips({ choose, remove, rename, move, clear }) {
  const root = element("div", { className: "nlviz-chips", role: "group", "aria-label": "Pins" });
  const told = { choose, remove, rename, move };
  let shown = "";
  let editing = null; // id of the pin whose name is written

  function show(pins, clip, selected) {
    if (editing && !pins.some(({ id }) => id === editing)) editing = null;
    const facts = pins.map(({ id, color, name, t, x, y }) => [id, color, name, t, x, y]);
    const key = JSON.stringify([facts, selected?.id, editing, clip.tag]);
    if (key === shown) return;
    shown = key;
    const active = root.getRootNode().activeElement;
    const focused = root.contains(active) ? active.dataset.key : null;
    const chips = pins.map((pin, i) =>
      chip({ pin, i, last: pins.length - 1, clip, chosen: pin === selected, edit, told, editing })
    );
    const all = element("button", {
      type: "button",
      className: "nlviz-clear",
      title: "Remove all pins",
      onclick: clear,
    }, "Clear");
    root.replaceChildren(...chips, ...(pins.length ? [all] : []));
    const input = root.querySelector("input");
    const again = [...root.querySelectorAll("[data-key]")].find((node) =>
      node.dataset.key === focused
    );
    if (input) input.select();
    else if (again) again.focus();
    else if (focused) root.querySelector("button")?.focus();
  }

  let refresh = () => {};
  function edit(pin) {
    editing = pin?.id ?? null;
    refresh();
  }

  return {
    root,
    show(pins, clip, selected) {
      refresh = () => show(pins, clip, selected);
      refresh();
    },
  };
}

/** What a pin is called until a person names it. */
export function nameOf(pin, clip) {
  if (pin.name) return pin.name;
  if (pin.token) return pin.token;
  const frame = `frame ${clip.frames[pin.t]}`;
  return pin.region ? `region · ${frame}` : `${frame} · ${Math.floor(pin.x)}, ${Math.floor(pin.y)}`;
}

function chip({ pin, i, last, clip, chosen, edit, told, editing }) {
  const name = nameOf(pin, clip);
  const dot = element("i", {});
  dot.style.background = pin.color;
  const button = (key, label, text, onclick, more = {}) => {
    const node = element("button", {
      type: "button",
      "aria-label": `${label}, ${name}`,
      title: label,
      onclick,
      ...more,
    }, text);
    node.dataset.key = `${pin.id} ${key}`;
    return node;
  };
  const choose = element(
    "button",
    {
      type: "button",
      "aria-pressed": chosen,
      title: "Show this pin’s heat map",
      onclick: () => told.choose(pin),
    },
    dot,
    name,
  );
  choose.dataset.key = `${pin.id} choose`;
  choose.addEventListener("dblclick", () => edit(pin));
  const tools = chosen && !pin.pending
    ? [
      button("rename", "Rename", "✎", () => edit(pin)),
      button("earlier", "Move earlier", "‹", () => told.move(pin, i - 1), { disabled: i === 0 }),
      button("later", "Move later", "›", () => told.move(pin, i + 1), { disabled: i === last }),
    ]
    : [];
  const cross = button("remove", `Remove pin ${i + 1}`, "×", () => told.remove(pin), {
    className: "nlviz-cross",
  });
  const first = editing === pin.id ? field(pin, name, { edit, rename: told.rename }) : choose;
  return element("span", { className: "nlviz-chip" }, first, ...tools, cross);
}

function field(pin, name, { edit, rename }) {
  const input = element("input", {
    type: "text",
    value: name,
    maxLength: 40,
    "aria-label": "Name of the pin",
  });
  let done = false;
  const finish = (keep) => {
    if (done) return;
    done = true;
    const text = input.value.trim();
    if (keep && text && text !== name) rename(pin, text);
    edit(null);
  };
  input.addEventListener("blur", () => finish(true));
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") finish(true);
    if (event.key === "Escape") finish(false);
  });
  return input;
}

const MOST_CHIPS = 8;

/**
 * Tokens take part in a block without a place in the picture. hover(name or null) while one is
 * pointed at or has the focus; pin(name) on a click. Those after the first few are in a menu.
 */
export function createTokens({ hover, pin }) {
  const root = element("div", { className: "nlviz-tokens", role: "group", "aria-label": "Tokens" });
  let shown = "";
  const leave = () => hover(null);
  const chip = (name) =>
    element("button", {
      type: "button",
      title: `${name}: a token, it has no place in the picture`,
      onpointerenter: () => hover(name),
      onpointerleave: leave,
      onfocus: () => hover(name),
      onblur: leave,
      onclick: () => pin(name),
    }, name);

  function menu(names) {
    const first = element("option", { value: "" }, `${names.length} more…`);
    const options = names.map((name, i) => element("option", { value: String(i) }, name));
    const list = element(
      "select",
      { "aria-label": "More tokens", title: "Choose a token to pin it" },
      first,
      ...options,
    );
    list.addEventListener("change", () => {
      const name = names[Number(list.value)];
      list.value = "";
      pin(name);
    });
    list.addEventListener("keydown", (event) => event.stopPropagation());
    return list;
  }

  return {
    root,
    /** @param {string[]} names */
    show(names) {
      const key = JSON.stringify(names);
      if (key === shown) return;
      shown = key;
      const count = names.length > MOST_CHIPS + 1 ? MOST_CHIPS : names.length;
      root.replaceChildren(
        ...(names.length ? [element("span", {}, "Tokens")] : []),
        ...names.slice(0, count).map(chip),
        ...(names.length > count ? [menu(names.slice(count))] : []),
      );
    },
  };
}
