// The page as a host of the viewer: it brings the blobs, keeps the pins, and answers without
// Python.

import { pageStore } from "../viewer/js/data/store.js";
import { reduce } from "../viewer/js/pointer/pins.js";
import { createViewer } from "../viewer/js/viewer.js";

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

const scene = JSON.parse(document.getElementById("scene").textContent);
const taken = new Set(scene.pins.map(({ id }) => id));
let pins = scene.pins; // those that Python never saw have no exact links
const past = [];
const undone = [];

function freshId() {
  let number = taken.size + 1;
  while (taken.has(`pin-${number}`)) number++;
  taken.add(`pin-${number}`);
  return `pin-${number}`;
}

function act(said) {
  const [from, to] = { undo: [past, undone], redo: [undone, past] }[said.type] ?? [null, past];
  const id = said.type === "add" ? freshId() : "";
  const next = from ? (from.pop() ?? pins) : reduce(pins, said, id);
  if (next !== pins) to.push(pins);
  if (!from) undone.length = 0;
  pins = next;
  const can = { ...scene.can, undo: past.length > 0, redo: undone.length > 0 };
  queueMicrotask(() => viewer.update({ ...scene, pins, can }));
}

const viewer = createViewer(document.getElementById("viewer"), { onAct: act });
for (const blob of document.querySelectorAll('script[type="application/octet-stream"]')) {
  pageStore().put(bytesOf(blob.textContent));
  blob.remove();
}
viewer.update(scene);
