// Bar: puts the query string into the page's address, and copies that address on a click.

const SAID = 2500; // ms that the answer stays
const mounts = new WeakMap();

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

/** The clipboard is shut to pages that come over plain http; an old way still works there. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

export default function ({ data, parentElement: root }) {
  follow(data.query);
  const button = root.querySelector("button");
  button.title = data.hint;
  if (!mounts.has(root)) {
    const mount = { timer: 0 };
    mounts.set(root, mount);
    button.addEventListener("click", async () => {
      const status = root.querySelector("[role=status]");
      status.textContent = (await copy(location.href)) ? "Copied" : "Copy it from the address bar";
      clearTimeout(mount.timer);
      mount.timer = setTimeout(() => (status.textContent = ""), SAID);
    });
  }
  return () => {
    clearTimeout(mounts.get(root)?.timer);
    mounts.delete(root);
  };
}
