// Hint: three steps for a first visit; once dismissed it stays away in this browser.

import { element } from "../dom.js";

const KEY = "nlviz.hint";
const LESSONS = [
  ["Point", "at anything: arrows and heat show what it looks at."],
  ["Click", "to keep a place, or drag a box around one."],
  ["Play", "the clip with the space bar."],
];

/** Storage may be shut to a page; then the hint comes each time. */
function dismissed() {
  try {
    return localStorage.getItem(KEY) === "dismissed";
  } catch {
    return false;
  }
}

function remember() {
  try {
    localStorage.setItem(KEY, "dismissed");
  } catch {
    // nothing to remember it in
  }
}

export function createHint() {
  const root = element("div", {
    className: "nlviz-hint",
    role: "note",
    "aria-label": "How it works",
  });
  if (dismissed()) root.hidden = true;
  const close = () => {
    root.hidden = true;
    remember();
  };
  root.append(
    element(
      "ol",
      {},
      ...LESSONS.map(([what, how]) => element("li", {}, element("b", {}, what), ` ${how}`)),
    ),
    element("button", { type: "button", onclick: close }, "Got it"),
  );
  return { root };
}
