// Bar: puts the query string into the page's address, and copies that address on a click.

import { copyOnClick } from "../copying.js";

const mounts = new WeakMap(); // mount → when its address was sent, and what ends it

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

export default function ({ data: [query, hint, sent], parentElement: root }) {
  const button = root.querySelector("button");
  let mount = mounts.get(root);
  if (!mount) {
    const status = root.querySelector("[role=status]");
    const instead = "Copy it from the address bar";
    mount = { sent: 0, end: copyOnClick(button, status, () => location.href, instead) };
    mounts.set(root, mount);
  }
  if (sent >= mount.sent) { // else the call with the newer address went first
    mount.sent = sent;
    follow(query);
    button.title = hint;
  }
  return () => {
    mount.end?.();
    mounts.delete(root);
  };
}
