// Bar: puts the query string into the page's address, and copies that address on a click.

import { copyOnClick } from "../copying.js";

const mounts = new WeakMap(); // mount → what ends it

/** Streamlit's own parts of an address (embed, embed_options) stay. */
function follow(query) {
  const kept = new URLSearchParams(
    [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("embed")),
  );
  const search = `?${[query, kept.toString()].filter(Boolean).join("&")}`;
  if (search === location.search) return;
  try {
    history.replaceState(history.state, "", location.pathname + search + location.hash);
  } catch (error) {
    console.warn("nlviz: the address could not be changed:", error);
  }
}

export default function ({ data: [query, hint], parentElement: root }) {
  follow(query);
  const button = root.querySelector("button");
  button.title = hint;
  if (!mounts.has(root)) {
    const status = root.querySelector("[role=status]");
    const instead = "Copy it from the address bar";
    mounts.set(root, copyOnClick(button, status, () => location.href, instead));
  }
  return () => {
    mounts.get(root)?.();
    mounts.delete(root);
  };
}
