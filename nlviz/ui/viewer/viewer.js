// The viewer: frames on a canvas that answer to the pointer and the keyboard. It knows nothing of its host.
//
// createViewer(root, {onAct, onOptions}) → {update(data), destroy()}
//   data       {clip: tag, blocks: [tag…], pins: [{id, color, t, x, y, exact}…], options, max_pins, notice}
//   exact      {block: label, k, exclude, links: [{rank, weight, share, t, x, y}…], covered} or null
//   onAct      {type: "add", t, x, y} | {type: "remove", id} | {type: "undo"} | {type: "clear"}
//   onOptions  {block, k, opacity, links, heat, exclude}, a moment after the last change
// Blobs are taken from the page's store by tag, whenever they arrive. root.nlviz is a read-only face for
// tests and benchmarks: state(), and toClient(place) in CSS pixels of the window.

import { PIN_COLOURS } from "./colour.js";
import { element, setText } from "./dom.js";
import { boxOf, cellAt, centreOf } from "./grid.js";
import { createHeat, heatScale } from "./heat.js";
import { drawFootprint, drawFrames, drawLinks, drawPlace } from "./ink.js";
import { arrange, placeAt, pointAt } from "./layout.js";
import { exactLinks, look } from "./links.js";
import { createPins } from "./pins.js";
import { prepare } from "./rows.js";
import { pageStore } from "./store.js";
import { createChips, createScale, createToolbar } from "./toolbar.js";
import { blockText, linksText, placeText, spokenText, weightText } from "./words.js";

const DEFAULTS = { block: null, k: 20, opacity: 0.7, links: true, heat: true, exclude: "frame" };
const OPTIONS_PAUSE = 250; // ms without a change before the host hears of the options
const SPEECH_PAUSE = 400;
const ECHO_PATIENCE = 2000; // ms in which the host's answer to older options is not taken for a wish
const LEFT_OUT = { none: "", cell: " without its own cell", frame: " without its own frame" };
const HINT = "Point at anything to see what it looks at; click to pin it.";

export function createViewer(root, { onAct = () => {}, onOptions = () => {} } = {}) {
  const store = pageStore();
  const frames = element("canvas", { className: "nlviz-frames" });
  const glow = element("canvas", { className: "nlviz-heat" });
  const ink = element("canvas", { className: "nlviz-ink" });
  const message = element("p", { className: "nlviz-message" });
  const stageNode = element(
    "div",
    {
      className: "nlviz-stage", tabIndex: 0, role: "application",
      "aria-label": "Frames of the clip. Arrow keys move cell by cell, Page Up and Page Down change the frame, Enter pins, Escape removes the last pin.",
    },
    frames, glow, ink, message,
  );
  const readout = element("div", { className: "nlviz-where" });
  const detail = element("div", {
    className: "nlviz-detail",
    title: "Fidelity: how far y recomputed from these weights lies from what the block put out, relative",
  });
  const notice = element("p", { className: "nlviz-notice", role: "status" });
  const live = element("div", { className: "nlviz-live", "aria-live": "polite" });
  const scale = createScale();
  const toolbar = createToolbar({ change: changeOptions, undo: () => act(() => pins.undo()), clear: () => act(() => pins.clear()) });
  const chips = createChips({ choose: select, remove: removePin });
  const card = element(
    "section", { className: "nlviz", "aria-label": "Spacetime links" },
    toolbar.root, stageNode,
    element("div", { className: "nlviz-foot" }, element("div", { className: "nlviz-readout" }, readout, detail), scale.root),
    chips.root, notice, live,
  );
  root.append(card);

  const pins = createPins(PIN_COLOURS, onAct);
  const heat = createHeat();
  const pinLooks = new Map(); // what each pin sees, kept until the block, k or exclusion changes
  let data = null; // what the host gave last
  let options = { ...DEFAULTS };
  let clip = null;
  let blocks = []; // those whose blob has come
  let block = null;
  let pictures = [];
  let layout = null;
  let ratio = 1;
  let hover = null; // {t, x, y, keys: whether the keyboard put it there}
  let selected = null; // id of the pin whose heat shows while nothing is hovered
  let seen = null; // what the place in focus looks at
  let seenKey = "";
  let heatKey = ""; // what the heat canvas shows
  let localNotice = null;
  let drawn = { frames: 0, count: 0, compute: 0, draw: 0 };
  let queued = 0;

  // ---- data in -------------------------------------------------------------------------------

  function update(next) {
    const before = data;
    data = next ?? { clip: null, blocks: [], pins: [] };
    if (data.options && !sameJson(data.options, before?.options) && Date.now() > optionsSettle) {
      options = { ...DEFAULTS, ...data.options };
    }
    if (before?.clip !== data.clip) {
      pins.forget();
      hover = selected = null;
    }
    pins.receive(data.pins ?? []);
    localNotice = null;
    collect();
  }

  /** Take what the store holds of what the host named; called again when more arrives. */
  function collect() {
    if (!data) return;
    const nextClip = ofKind(data.clip, "clip");
    if (nextClip !== clip) showClip(nextClip);
    blocks = (data.blocks ?? []).map((tag) => ofKind(tag, "block")).filter(Boolean);
    chooseBlock();
    warmUp();
    invalidate();
  }

  function ofKind(tag, kind) {
    const blob = tag ? store.get(tag) : null;
    return blob?.kind === kind ? blob : null;
  }

  function chooseBlock() {
    block = blocks.find(({ label }) => label === options.block) ?? null;
    const complete = blocks.length === (data.blocks ?? []).length;
    if (!block && complete && blocks.length) {
      block = blocks[blocks.length - 1];
      options = { ...options, block: block.label };
    }
    if (clip?.frames.length === 1 && options.exclude === "frame") options = { ...options, exclude: "cell" };
  }

  /** Decode the chosen block before the first hover asks for it. */
  function warmUp() {
    if (block) setTimeout(() => block && prepare(block), 30);
  }

  function showClip(next) {
    pictures.forEach((picture) => picture?.close());
    pictures = [];
    clip = next;
    seenKey = "";
    relayout();
    if (clip) clip.frames.forEach((_, t) => decode(clip, t));
  }

  async function decode(owner, t) {
    try {
      const picture = await createImageBitmap(new Blob([owner.parts[`frame${t}`]]));
      if (owner !== clip) return picture.close();
      pictures[t] = picture;
      drawBase();
    } catch (error) {
      console.warn("nlviz:", error);
      if (owner === clip) say(`Frame ${owner.frames[t]} could not be drawn; its links can still be explored.`);
    }
  }

  // ---- options out ---------------------------------------------------------------------------

  let optionsTimer = 0;
  let optionsSettle = 0; // until when the host's options may be an echo of older ones

  function changeOptions(patch) {
    options = { ...options, ...patch };
    optionsSettle = Infinity;
    clearTimeout(optionsTimer);
    optionsTimer = setTimeout(() => {
      optionsSettle = Date.now() + ECHO_PATIENCE;
      onOptions({ ...options });
    }, OPTIONS_PAUSE);
    if (data) chooseBlock();
    invalidate();
  }

  // ---- pins ----------------------------------------------------------------------------------

  function act(change) {
    localNotice = null;
    change();
    invalidate();
  }

  function toggleAt(place) {
    const hit = pinAt(place);
    if (hit) return removePin(hit);
    const most = data.max_pins ?? PIN_COLOURS.length;
    if (pins.shown().length >= most) return say(`${most} pins are the most; remove one to place another.`);
    act(() => pins.add(place));
    selected = pins.shown().at(-1).id;
  }

  function removePin(pin) {
    if (pin) act(() => pins.remove(pin));
  }

  function select(pin) {
    selected = pin.id;
    hover = null;
    invalidate();
  }

  function selectedPin() {
    const shown = pins.shown();
    return shown.find(({ id }) => id === selected) ?? shown.at(-1) ?? null;
  }

  function pinAt(place) {
    const at = pointAt(layout, clip, place);
    const distance = (pin) => {
      const point = pointAt(layout, clip, pin);
      return Math.hypot(point.x - at.x, point.y - at.y);
    };
    const close = pins.shown().filter((pin) => pin.t === place.t && distance(pin) <= 10);
    return close.sort((a, b) => distance(a) - distance(b))[0] ?? null;
  }

  function say(text) {
    localNotice = text;
    invalidate();
  }

  // ---- what is looked at ---------------------------------------------------------------------

  function focusOn(place) {
    const key = JSON.stringify([place.t, cellAt(block.query, place), block.tag, options.k, options.exclude]);
    if (key === seenKey) return seen;
    seenKey = key;
    seen = look(block, clip, place, options);
    return seen;
  }

  function linksOf(pin) {
    const exact = exactLinks(pin, block, options);
    if (exact) return exact;
    const key = JSON.stringify([pin.t, pin.x, pin.y, block.tag, options.k, options.exclude]);
    if (!pinLooks.has(key)) {
      if (pinLooks.size > 64) pinLooks.clear();
      const { links, covered } = look(block, clip, pin, options);
      pinLooks.set(key, { links, covered });
      seenKey = ""; // the row was lent to this pin
    }
    return pinLooks.get(key);
  }

  // ---- drawing -------------------------------------------------------------------------------

  function invalidate() {
    queued ||= requestAnimationFrame(render);
  }

  function relayout() {
    if (!clip) return;
    const width = stageNode.clientWidth;
    if (!width) return;
    ratio = globalThis.devicePixelRatio || 1;
    const tallest = Math.min(Math.max(globalThis.innerHeight * 0.66, 320), 820);
    layout = arrange({ count: clip.frames.length, aspect: clip.width / clip.height, width, tallest, ratio });
    stageNode.style.height = `${layout.height}px`;
    for (const canvas of [frames, glow, ink]) {
      canvas.width = Math.round(layout.width * ratio);
      canvas.height = Math.round(layout.height * ratio);
    }
    heatKey = null; // setting a canvas's size clears it
    drawBase();
    invalidate();
  }

  function drawBase() {
    if (!layout) return;
    const style = getComputedStyle(card);
    const theme = {
      font: `11.5px ${style.fontFamily}`,
      text: getComputedStyle(detail).color,
      empty: getComputedStyle(message).backgroundColor,
    };
    drawFrames(cleared(frames), { layout, clip, pictures }, theme);
    drawn.frames = pictures.filter(Boolean).length;
  }

  function cleared(canvas) {
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return context;
  }

  function render() {
    queued = 0;
    const pin = selectedPin();
    const place = hover ?? pin;
    if (clip && layout) {
      const ready = block && place;
      const start = performance.now();
      const pinned = block && !hover ? pins.shown().map((each) => [each, linksOf(each)]) : [];
      if (ready) focusOn(place);
      const computed = performance.now();
      drawHeat(ready);
      drawInk(place, pinned, pin);
      describe(place, pin);
      drawn = { ...drawn, count: drawn.count + 1, compute: computed - start, draw: performance.now() - computed };
    } else {
      describe(place, pin);
    }
  }

  function drawHeat(ready) {
    const key = ready && options.heat ? `${seenKey} ${options.opacity}` : "";
    if (key === heatKey) return;
    heatKey = key;
    const context = cleared(glow);
    if (key) heat.paint(context, layout, clip, block, seen, options.opacity);
  }

  function drawInk(place, pinned, pin) {
    const context = cleared(ink);
    const stage = { layout, clip };
    if (options.links) for (const [each, { links }] of pinned) drawLinks(context, stage, each, links, each.color);
    if (hover) {
      const colour = pinAt(hover)?.color ?? pins.freeColour();
      if (block) {
        if (options.links && seen.links.length) {
          drawLinks(context, stage, hover, seen.links, colour, { ringed: false });
          drawFootprint(context, stage, block.key, seen.links[0].cell, colour);
        }
        drawFootprint(context, stage, block.query, seen.cell, "#fff");
      }
      drawPlace(context, stage, hover, colour, { open: true });
    } else if (pin && block) {
      drawFootprint(context, stage, block.query, cellAt(block.query, pin), pin.color);
    }
    for (const each of pins.shown()) drawPlace(context, stage, each, each.color, { selected: each === pin && pins.shown().length > 1 });
  }

  // ---- words ---------------------------------------------------------------------------------

  let spoken = "";
  let speechTimer = 0;

  function describe(place, pin) {
    const waiting = whatIsMissing();
    setText(message, clip ? "" : waiting);
    message.hidden = Boolean(clip);
    setText(notice, data?.notice ?? localNotice ?? (clip ? waiting : "") ?? "");
    notice.hidden = notice.textContent === "";
    card.classList.toggle("nlviz-empty", !clip);
    if (!clip) return;
    toolbar.show({
      list: blocks, options, single: clip.frames.length === 1,
      canUndo: pins.canUndo(), pinned: pins.shown().length > 0,
    });
    chips.show(pins.shown(), clip, pin);
    if (block && place && layout) {
      const exact = hover ? null : linksOf(pin);
      const told = exact ? { ...seen, ...exact } : seen;
      setText(readout, `${placeText(place, clip)} · ${linksText(told)}`);
      const ends = heatScale(block, seen.range);
      scale.show(weightText(ends.low), weightText(ends.high), ends.signed, LEFT_OUT[options.exclude]);
      speak(spokenText(place, told, clip));
    } else {
      setText(readout, HINT);
    }
    scale.root.classList.toggle("nlviz-idle", !(block && place && options.heat));
    setText(detail, block ? blockText(block) : "");
  }

  function whatIsMissing() {
    if (store.problem) return store.problem;
    if (!data?.clip) return "No clip yet.";
    if (!clip) return store.has(data.clip) ? "This is not a clip; load the clip again." : "Loading the frames…";
    if (blocks.length < (data.blocks ?? []).length) return "Loading the blocks…";
    return null;
  }

  function speak(text) {
    if (text === spoken) return;
    spoken = text;
    clearTimeout(speechTimer);
    speechTimer = setTimeout(() => setText(live, text), SPEECH_PAUSE);
  }

  // ---- pointer and keyboard ------------------------------------------------------------------

  function placeOf(event) {
    if (!layout || !clip) return null;
    const box = stageNode.getBoundingClientRect();
    return placeAt(layout, clip, event.clientX - box.left, event.clientY - box.top);
  }

  function point(event) {
    hover = placeOf(event);
    stageNode.classList.toggle("nlviz-over-pin", Boolean(hover && pinAt(hover)));
    invalidate();
  }

  function leave() {
    hover = null;
    invalidate();
  }

  function click(event) {
    const place = placeOf(event);
    stageNode.focus({ preventScroll: true });
    if (!place) return;
    toggleAt(place);
    if (event.pointerType === "touch") hover = null;
  }

  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  const PAGES = { PageUp: -1, PageDown: 1 };

  function keyOnStage(event) {
    if (!clip || !layout || !block || event.ctrlKey || event.metaKey || event.altKey) return;
    if (STEPS[event.key]) moveCell(...STEPS[event.key]);
    else if (PAGES[event.key]) movePage(PAGES[event.key]);
    else if (event.key === "Enter" || event.key === " ") toggleAt(cursor());
    else return;
    handled(event);
  }

  function keyOnCard(event) {
    const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
    if (undo) act(() => pins.undo());
    else if (event.key === "Escape") removePin(pins.shown().at(-1));
    else return;
    handled(event);
  }

  function handled(event) {
    event.preventDefault();
    event.stopPropagation();
  }

  /** Where the keyboard is: the place in focus, or the middle of the first frame. */
  function cursor() {
    return hover ?? selectedPin() ?? { t: 0, x: clip.width / 2, y: clip.height / 2 };
  }

  function moveCell(down, across) {
    const { query } = block;
    const at = cursor();
    const cell = cellAt(query, at);
    const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
    if (hover) {
      cell.row = inside(cell.row + down, query.rows);
      cell.col = inside(cell.col + across, query.cols);
    }
    hover = { ...centreOf(query, cell, clip), t: at.t };
    invalidate();
  }

  function movePage(step) {
    const at = cursor();
    const t = Math.min(Math.max(at.t + step, 0), clip.frames.length - 1);
    hover = { t, x: at.x, y: at.y };
    invalidate();
  }

  // ---- life ----------------------------------------------------------------------------------

  stageNode.addEventListener("pointermove", point);
  stageNode.addEventListener("pointerdown", point);
  stageNode.addEventListener("pointerleave", leave);
  stageNode.addEventListener("pointercancel", leave);
  stageNode.addEventListener("click", click);
  stageNode.addEventListener("keydown", keyOnStage);
  stageNode.addEventListener("blur", leave);
  card.addEventListener("keydown", keyOnCard);
  const resized = new ResizeObserver(() => {
    const stale = !layout || layout.width !== stageNode.clientWidth || ratio !== globalThis.devicePixelRatio;
    if (stale) relayout();
  });
  resized.observe(stageNode);
  const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
  darkness.addEventListener("change", drawBase);
  const unsubscribe = store.subscribe(collect);
  invalidate();

  function state() {
    const pin = selectedPin();
    const place = hover ?? pin;
    const looking = Boolean(clip && block && place && seen);
    return {
      message: message.hidden ? notice.textContent : message.textContent,
      readout: readout.textContent,
      detail: detail.textContent,
      place: place && { t: place.t, frame: clip?.frames[place.t], x: place.x, y: place.y, hovered: Boolean(hover) },
      cell: looking ? { ...seen.cell, index: seen.index, box: boxOf(block.query, seen.cell, clip) } : null,
      links: looking ? (hover ? seen : linksOf(pin)).links.map(({ cell, ...link }) => ({ ...link, ...cell })) : [],
      covered: looking ? (hover ? seen : linksOf(pin)).covered : 0,
      heat: looking && options.heat ? heatScale(block, seen.range) : null,
      pins: pins.shown().map((each) => ({
        id: each.id, color: each.color, t: each.t, x: each.x, y: each.y,
        pending: Boolean(each.pending), exact: Boolean(block && exactLinks(each, block, options)),
      })),
      selected: pin?.id ?? null,
      options: { ...options },
      layout: layout && { columns: layout.columns, width: layout.width, height: layout.height, frames: layout.frames },
      drawn: { ...drawn },
    };
  }

  function toClient(place) {
    const box = stageNode.getBoundingClientRect();
    const at = pointAt(layout, clip, place);
    return { x: box.left + at.x, y: box.top + at.y };
  }

  function destroy() {
    cancelAnimationFrame(queued);
    clearTimeout(optionsTimer);
    clearTimeout(speechTimer);
    resized.disconnect();
    darkness.removeEventListener("change", drawBase);
    unsubscribe();
    pictures.forEach((picture) => picture?.close());
    card.remove();
    delete root.nlviz;
  }

  root.nlviz = Object.freeze({ state, toClient });
  return { update, destroy };
}

const sameJson = (a, b) => JSON.stringify(a) === JSON.stringify(b);
