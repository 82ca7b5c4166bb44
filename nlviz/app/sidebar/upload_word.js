// The word below the upload: Streamlit's own messages name no way out.

const MEGABYTE = 1 << 20;
const mounts = new WeakMap(); // mount → its words and what ends it

function given(event) {
  const files = event.dataTransfer?.files ?? event.target?.files;
  return files ? [...files] : [];
}

/** Calls back with whether a file that was just given is too large; and with a refusal. */
function listen(mount) {
  const chosen = (event) => {
    const box = event.target?.closest?.(".st-key-upload");
    if (!box) return;
    const large = given(event).some((file) => file.size > mount.data.most * MEGABYTE);
    mount.say(large ? mount.data.large : "");
  };
  for (const kind of ["change", "drop"]) document.addEventListener(kind, chosen, true);
  const watch = new PerformanceObserver((list) => {
    const entries = /** @type {PerformanceResourceTiming[]} */ (list.getEntries());
    for (const { name, responseStatus } of entries) {
      if (name.includes("/_stcore/upload_file/") && responseStatus >= 500) {
        mount.say(mount.data.full);
      }
    }
  });
  watch.observe({ type: "resource" });
  return () => {
    for (const kind of ["change", "drop"]) document.removeEventListener(kind, chosen, true);
    watch.disconnect();
  };
}

export default function ({ data, parentElement: root }) {
  let mount = mounts.get(root);
  if (!mount) {
    const word = root.querySelector("p");
    mount = {
      data,
      say(text) {
        word.textContent = text.replace(/[*`]/g, "");
        word.hidden = !text;
      },
    };
    mount.end = listen(mount);
    mounts.set(root, mount);
  }
  mount.data = data;
  return () => {
    mount.end();
    mounts.delete(root);
  };
}
