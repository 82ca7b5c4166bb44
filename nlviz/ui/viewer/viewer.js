// The viewer: frames on a canvas that answer to the pointer and the keyboard. It knows nothing of its host.
//
// createViewer(root, {onAct, onOptions}) → {update(data), destroy()}
//   data       {clip: tag, blocks: [tag…], pins: [{id, color, t, x, y, exact}…], options, max_pins, notice}
//   exact      {block: label, k, exclude, links: [{rank, weight, share, t, x, y}…], covered} or null
//   onAct      {type: "add", t, x, y} | {type: "remove", id} | {type: "undo"} | {type: "clear"}
//   onOptions  {block, k, opacity, links, heat, exclude}, a moment after the last change
// Blobs are taken from the page's store by tag, whenever they arrive. root.nlviz is a read-only face for
// tests and benchmarks: state(), and toClient(place) in CSS pixels of the window.

import { DAMAGED } from "./blob.js";
import { createChips } from "./chips.js";
import { PIN_COLOURS } from "./colour.js";
import { element, setText } from "./dom.js";
import { boxOf, cellAt, centreOf } from "./grid.js";
import { heatScale } from "./heat.js";
import { listen } from "./input.js";
import { createMemory, exactLinks } from "./links.js";
import { createOptions } from "./options.js";
import { createPins } from "./pins.js";
import { createReadout } from "./readout.js";
import { prepare } from "./rows.js";
import { drawScene } from "./scene.js";
import { createStage } from "./stage.js";
import { pageStore } from "./store.js";
import { createToolbar } from "./toolbar.js";

const REACH = 10; // CSS pixels around a pin that count as the pin

export function createViewer(root, { onAct = () => {}, onOptions = () => {} } = {}) {
  const store = pageStore();
  const options = createOptions(onOptions);
  const pins = createPins(PIN_COLOURS, onAct);
  const stage = createStage({
    changed: invalidate,
    failed: (t) => say(`Frame ${clip.frames[t]} could not be drawn; its links can still be explored.`),
  });
  const undo = () => act(() => pins.undo());
  const toolbar = createToolbar({ change: choose, undo, clear: () => act(() => pins.clear()) });
  const readout = createReadout();
  const chips = createChips({ choose: select, remove: removePin });
  const notice = element("p", { className: "nlviz-notice", role: "status" });
  const card = element(
    "section", { className: "nlviz", "aria-label": "Spacetime links" },
    toolbar.root, stage.node, readout.root, chips.root, notice,
  );
  root.append(card);

  const memory = createMemory();
  let data = null; // what the host gave last
  let clip = null;
  let blocks = []; // those that have come
  let block = null;
  let hover = null; // the place under the pointer or the keyboard's cursor
  let selected = null; // id of the pin whose heat shows while nothing is hovered
  let localNotice = null;
  let timing = { count: 0, compute: 0, draw: 0 };
  let queued = 0;

  // Data in.

  function update(next) {
    const before = data?.clip;
    data = { clip: null, blocks: [], pins: [], ...next };
    options.receive(data.options);
    if (before !== data.clip) {
      pins.forget();
      hover = selected = null;
    }
    pins.receive(data.pins ?? []);
    localNotice = null;
    collect();
    stage.refresh();
  }

  /** Take what the store holds of what the host named; called again when more arrives. */
  function collect() {
    if (!data) return;
    const [named] = held([data.clip], "clip");
    if (named !== clip) {
      clip = named ?? null;
      memory.forget();
      stage.show(clip);
    }
    blocks = held(data.blocks, "block").filter(fits);
    settle();
    if (block) setTimeout(() => block && prepare(block), 30); // before the first hover asks for it
    invalidate();
  }

  const held = (tags, kind) => tags.map((tag) => store.get(tag)).filter((blob) => blob?.kind === kind);

  const fits = ({ query, key }) =>
    clip && [...query.frames, ...key.frames].flat().every((t) => t < clip.frames.length);

  /** The chosen block, or the last one where it is not there; an image cannot leave its frame. */
  function settle() {
    const wanted = blocks.find(({ label }) => label === options.value.block);
    const complete = blocks.length === data.blocks.length;
    block = wanted ?? (complete ? blocks.at(-1) : null) ?? null;
    if (block && block !== wanted) options.mend({ block: block.label });
    if (clip?.frames.length === 1 && options.value.exclude === "frame") options.mend({ exclude: "cell" });
  }

  function choose(patch) {
    options.change(patch);
    settle();
    invalidate();
  }

  // Pins.

  const shownPins = () => (clip ? pins.shown().filter(({ t }) => t < clip.frames.length) : []);

  function selectedPin() {
    const shown = shownPins();
    return shown.find(({ id }) => id === selected) ?? shown.at(-1) ?? null;
  }

  function pinAt(place) {
    const at = stage.pointOf(place);
    const distance = (pin) => {
      const point = stage.pointOf(pin);
      return pin.t === place.t ? Math.hypot(point.x - at.x, point.y - at.y) : Infinity;
    };
    const [nearest] = shownPins().sort((a, b) => distance(a) - distance(b));
    return nearest && distance(nearest) <= REACH ? nearest : null;
  }

  function act(change) {
    localNotice = null;
    change();
    invalidate();
  }

  function togglePin(place) {
    const hit = pinAt(place);
    if (hit) return removePin(hit);
    const most = data.max_pins ?? PIN_COLOURS.length;
    if (shownPins().length >= most) return say(`${most} pins are the most; remove one to place another.`);
    act(() => pins.add(place));
    selected = null; // the newest
  }

  function removePin(pin) {
    if (pin) act(() => pins.remove(pin));
  }

  function select(pin) {
    selected = pin.id;
    leave();
  }

  function say(text) {
    localNotice = text;
    invalidate();
  }

  // Drawing.

  function invalidate() {
    queued ||= requestAnimationFrame(render);
  }

  function render() {
    queued = 0;
    const start = performance.now();
    const look = lookNow();
    const computed = performance.now();
    if (stage.layout) paint(look);
    describe(look);
    const done = performance.now();
    timing = { count: timing.count + 1, compute: computed - start, draw: done - computed };
  }

  /** The place in focus, what it sees, and the pins with their answers. */
  function lookNow() {
    const pin = selectedPin();
    const place = stage.layout && (hover ?? pin);
    const ready = stage.layout && block;
    const answer = (each) => (ready && !hover ? memory.answer(block, clip, each, options.value) : null);
    const pairs = shownPins().map((each) => [each, answer(each)]);
    if (!ready || !place) return { pin, place, pairs, seen: null, key: "" };
    const { seen, key } = memory.focus(block, clip, place, options.value);
    const own = hover ? null : pairs.find(([each]) => each.id === pin.id)[1];
    return { pin, place, pairs, key, seen: { ...seen, ...own } };
  }

  function paint({ pin, pairs, seen, key }) {
    const { heat, opacity, links } = options.value;
    stage.drawHeat(seen && heat ? `${key} ${opacity}` : "", block, seen, opacity);
    const colour = hover && (pinAt(hover)?.color ?? pins.freeColour());
    const over = hover && { place: hover, seen, colour };
    drawScene(...stage.ink(), { block, pins: pairs, pin, hover: over, links });
  }

  function describe({ pin, place, seen }) {
    const missing = whatIsMissing();
    setText(stage.message, missing ?? "");
    stage.message.hidden = Boolean(clip);
    setText(notice, data?.notice ?? localNotice ?? (clip ? missing : null) ?? "");
    notice.hidden = notice.textContent === "";
    card.classList.toggle("nlviz-empty", !clip);
    if (!clip) return;
    const pinned = shownPins().length > 0;
    const single = clip.frames.length === 1;
    toolbar.show({ list: blocks, options: options.value, single, canUndo: pins.canUndo(), pinned });
    chips.show(shownPins(), clip, pin);
    readout.show({ clip, block, place, seen, options: options.value });
  }

  /** One sentence on what is not there, or null. */
  function whatIsMissing() {
    if (store.problem) return store.problem;
    if (!data?.clip) return "No clip yet.";
    if (!clip) return store.has(data.clip) ? DAMAGED : "Loading the frames…";
    if (held(data.blocks, "block").length > blocks.length) return DAMAGED;
    return blocks.length < data.blocks.length ? "Loading the blocks…" : null;
  }

  // Pointer and keyboard.

  function point(event) {
    hover = stage.placeOf(event);
    stage.node.classList.toggle("nlviz-over-pin", Boolean(hover && pinAt(hover)));
    invalidate();
  }

  function leave() {
    hover = null;
    invalidate();
  }

  /** Where the keyboard is: the place in focus, or the middle of the first frame. */
  const cursor = () => hover ?? selectedPin() ?? { t: 0, x: clip.width / 2, y: clip.height / 2 };
  const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);

  function step(down, across) {
    const at = cursor();
    const cell = cellAt(block.query, at);
    if (hover) {
      cell.row = inside(cell.row + down, block.query.rows);
      cell.col = inside(cell.col + across, block.query.cols);
    }
    hover = { ...centreOf(block.query, cell, clip), t: at.t };
    invalidate();
  }

  function page(frames) {
    const { t, x, y } = cursor();
    hover = { t: inside(t + frames, clip.frames.length), x, y };
    invalidate();
  }

  const whenReady = (action) => (...given) => stage.layout && block && action(...given);
  const click = (event) => {
    const place = stage.placeOf(event);
    if (place) togglePin(place);
  };
  listen(stage.node, card, {
    hover: point,
    leave,
    undo,
    click: whenReady(click),
    step: whenReady(step),
    page: whenReady(page),
    pin: whenReady(() => togglePin(cursor())),
    removeLast: () => (shownPins().length ? removePin(shownPins().at(-1)) : leave()),
  });

  // Life, and the face for tests.

  const unsubscribe = store.subscribe(collect);
  const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
  darkness.addEventListener("change", stage.refresh);
  invalidate();

  function state() {
    const { pin, place, seen } = lookNow();
    const { layout } = stage;
    return {
      message: stage.message.hidden ? notice.textContent : stage.message.textContent,
      ...readout.text,
      place: place && { t: place.t, frame: clip.frames[place.t], x: place.x, y: place.y, hovered: Boolean(hover) },
      cell: seen && { ...seen.cell, index: seen.index, box: boxOf(block.query, seen.cell, clip) },
      links: (seen?.links ?? []).map(({ cell, ...link }) => ({ ...link, ...cell })),
      covered: seen?.covered ?? 0,
      heat: seen && options.value.heat ? heatScale(block, seen.range) : null,
      pins: shownPins().map(({ id, color, t, x, y, pending = false, exact }) => ({
        id, color, t, x, y, pending, exact: Boolean(block && exactLinks({ exact }, block, options.value)),
      })),
      selected: pin?.id ?? null,
      options: { ...options.value },
      layout: layout && { columns: layout.columns, width: layout.width, height: layout.height, frames: layout.frames },
      drawn: { ...timing, frames: stage.decoded },
    };
  }

  function destroy() {
    cancelAnimationFrame(queued);
    queued = -1; // nothing is drawn any more
    unsubscribe();
    darkness.removeEventListener("change", stage.refresh);
    options.close();
    readout.close();
    stage.destroy();
    card.remove();
    delete root.nlviz;
  }

  root.nlviz = Object.freeze({ state, toClient: stage.toClient });
  return { update, destroy };
}
