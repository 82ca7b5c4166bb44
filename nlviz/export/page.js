// The page as a host of the viewer: it brings the blobs, keeps the pins, and answers without Python.

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

const scene = JSON.parse(document.getElementById("scene").textContent);
const taken = new Set(scene.pins.map(({ id }) => id));
let pins = scene.pins;
const past = [];
const undone = [];

/** The pins after what a person did; pins that Python never saw have no exact links. */
function after({ type, id, ...said }) {
  switch (type) {
    case "add":
      return [...pins, { ...said, id: freshId(), color: freeColour(), exact: null }];
    case "remove":
      return pins.filter((pin) => pin.id !== id);
    case "clear":
      return [];
    case "rename":
      return pins.map((pin) => (pin.id === id ? { ...pin, ...said } : pin));
    case "move": {
      const others = pins.filter((pin) => pin.id !== id);
      return others.toSpliced(said.to, 0, ...pins.filter((pin) => pin.id === id));
    }
    default:
      return pins;
  }
}

function freshId() {
  let number = taken.size + 1;
  while (taken.has(`pin-${number}`)) number++;
  taken.add(`pin-${number}`);
  return `pin-${number}`;
}

function freeColour() {
  const used = new Set(pins.map(({ color }) => color.toUpperCase()));
  return PIN_COLOURS.find((colour) => !used.has(colour.toUpperCase())) ?? PIN_COLOURS[0];
}

function act(said) {
  const [from, to] = { undo: [past, undone], redo: [undone, past] }[said.type] ?? [null, past];
  const next = from ? (from.pop() ?? pins) : after(said);
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
