// The notebook as a host of the viewer: what is done goes to Python, and blobs come one by one as
// they are wanted.
//
// To Python: {type: "open"}, {type: "act", act}, {type: "options", options}, {type: "want", have:
// [tag…]} with "constants TAG" and "sizes TAG" for what belongs to a block. Back: {type: "scene",
// scene} for each of the first three; for "want" {type: "blob"} with the next one, or {type:
// "enough"}.

import { pageStore } from "../viewer/js/data/store.js";
import { createViewer } from "../viewer/js/viewer.js";

const UNANSWERED = "This view is drawn by Python: run its cell again.";

function render({ model, el }) {
  const store = pageStore();
  const home = document.createElement("div");
  // Keys pressed here are the viewer's: JupyterLab looks for this mark, other notebooks listen
  // further out.
  home.dataset.lmSuppressShortcuts = "true";
  const quiet = (event) => event.stopPropagation();
  for (const kind of ["keydown", "keypress", "keyup"]) home.addEventListener(kind, quiet);
  const root = home.attachShadow({ mode: "open" });
  const style = document.createElement("style");
  style.textContent = STYLE;
  const waiting = document.createElement("p");
  waiting.textContent = UNANSWERED;
  root.append(style, waiting);
  el.append(home);

  let viewer = null;
  let scene = null;
  let asking = false; // a "want" is unanswered
  let more = false; // and another has been asked for since

  function want() {
    more = asking;
    if (asking) return;
    asking = true;
    const have = [...store.values()].map((
      { kind, block, tag },
    ) => (block ? `${kind} ${block}` : tag));
    model.send({ type: "want", have });
  }

  /** Blobs belong to all views that show them, of whatever widget, and leave with the last one. */
  function hold() {
    for (const blob of store.values()) if (isMine(blob)) (blob.homes ??= new Set()).add(home);
  }

  const isMine = ({ tag, block }) =>
    scene && [scene.clip, scene.components, ...scene.blocks].includes(block ?? tag);

  function told(message, buffers) {
    if (message.type === "scene") {
      scene = message.scene;
      waiting.remove();
      viewer ??= createViewer(root, {
        onAct: (act) => model.send({ type: "act", act }),
        onOptions(options) {
          model.send({ type: "options", options });
          want();
        },
      });
      hold();
      viewer.update(scene);
      want();
      return;
    }
    asking = false;
    if (message.type === "blob" && store.put(bytesOf(buffers[0]))) more = true;
    if (more) want();
  }

  const unsubscribe = store.subscribe(hold);
  model.on("msg:custom", told);
  model.send({ type: "open" });

  return () => {
    model.off("msg:custom", told);
    unsubscribe();
    viewer?.destroy();
    for (const blob of [...store.values()]) {
      if (blob.homes?.delete(home) && !blob.homes.size) store.delete(blob.tag);
    }
    home.remove();
  };
}

const bytesOf = ({ buffer, byteOffset, byteLength }) =>
  new Uint8Array(buffer, byteOffset, byteLength);

export default { render };
