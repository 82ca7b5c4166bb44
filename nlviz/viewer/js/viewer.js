// The viewer: frames on a canvas that answer to the pointer and the keyboard. It knows nothing of its host.
//
// createViewer(root, {onAct, onOptions}) → {update(data), destroy()}
//   data       {clip: tag, blocks: [tag…], pins: [pin…], options, max_pins, can: {undo, redo, rank},
//              mask: tag or null, notice}
//   pin        {id, color, name, t, x, y, region: [[x, y]…] or null, token: name or null, exact}
//   exact      {block: label, k, exclude, head, reverse, rank_by, links: [{rank, weight, share, t, x, y,
//              contribution or null}…], covered} or null
//   onAct      {type: "add", t, x, y} or {…, t, region} or {…, token} | {type: "remove", id} |
//              {type: "rename", id, name} | {type: "move", id, to} | {type: "undo" | "redo" | "clear"}
//   onOptions  all of options.js, a moment after the last change
// Blobs are taken from the page's store by tag, whenever they arrive; one of kind "constants" or "sizes" belongs
// to the block whose tag it names. root.nlviz is a read-only face for tests and benchmarks: state(),
// timing() of the last drawing in ms, and toClient(place) in CSS pixels of the window.

import { DAMAGED } from "./data/blob.js";
import { createChips, createTokens } from "./controls/chips.js";
import { PIN_COLOURS } from "./draw/colour.js";
import { element, setText } from "./dom.js";
import { describe } from "./inspect.js";
import { middleOf } from "./rows/grid.js";
import { createHint } from "./controls/hint.js";
import { listen } from "./pointer/input.js";
import { answers, createMemory, exactLinks } from "./rows/links.js";
import { createOptions } from "./controls/options.js";
import { createPins, pinNear } from "./pointer/pins.js";
import { createPlayer } from "./controls/player.js";
import { createPointing } from "./pointer/pointing.js";
import { createReadout } from "./controls/readout.js";
import { prepare } from "./rows/rows.js";
import { heatScale } from "./rows/scale.js";
import { drawScene } from "./draw/scene.js";
import { createStage } from "./draw/stage.js";
import { pageStore } from "./data/store.js";
import { createToolbar } from "./controls/toolbar.js";

const LATER = { constants: "later", sizes: "sized" }; // blobs that come after their block, and where it keeps them
const TURN = 8; // ms of computing in one drawing; what takes longer goes on in the next

export function createViewer(root, { onAct = () => {}, onOptions = () => {} } = {}) {
  const store = pageStore();
  const options = createOptions(onOptions);
  const pins = createPins(onAct);
  const stage = createStage({
    changed: invalidate,
    failed: (t) => say(`Frame ${clip.frames[t]} could not be drawn; its links can still be explored.`),
  });
  const pointing = createPointing({ stage, changed: invalidate, start: cursor, asks: pinPlace });
  const undo = () => pins.canUndo() && act(() => pins.undo());
  const redo = () => pins.canRedo() && act(() => pins.redo());
  const toolbar = createToolbar({ change: choose, tool: pointing.choose, undo, redo });
  const hint = createHint();
  const player = createPlayer({ turned: invalidate, open: () => options.value.view === "player" || choose({ view: "player" }) });
  const readout = createReadout();
  const tokens = createTokens({
    hover: (token) => (token ? pointing.put({ token, t: null }) : pointing.leave()),
    pin: (token) => pinPlace({ token }),
  });
  const chips = createChips({
    choose: select,
    remove: removePin,
    rename: (pin, name) => act(() => pins.rename(pin, name)),
    move(pin, to) {
      selected = pin.id; // else the last pin would be the chosen one
      act(() => pins.move(pin, to));
    },
    clear: () => act(() => pins.clear()),
  });
  const notice = element("p", { className: "nlviz-notice", role: "status" });
  const card = element(
    "section", { className: "nlviz", "aria-label": "Spacetime links" },
    toolbar.root, hint.root, stage.node, player.root, readout.root, tokens.root, chips.root, notice,
  );
  root.append(card);

  const memory = createMemory();
  let data = null; // what the host gave last
  let clip = null;
  let blocks = []; // those that have come
  let block = null;
  let mask = null; // what lies over the frames in place of the heat map, while nothing is hovered
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
      pointing.leave();
      selected = null;
    }
    pins.receive(data.pins ?? [], data.can ?? {});
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
      player.load(clip);
      stage.show(clip);
    }
    [mask = null] = held([data.mask], "mask").filter(({ frames }) => frames.length === clip?.frames.length);
    stage.lay(mask);
    blocks = held(data.blocks, "block").filter(fits);
    for (const blob of store.values()) {
      const owner = blob.kind in LATER && blocks.find(({ tag }) => tag === blob.block);
      if (owner) owner[LATER[blob.kind]] = blob;
    }
    settle();
    if (block) setTimeout(() => block && prepare(block), 30); // before the first hover asks for it
    invalidate();
  }

  const held = (tags, kind) => tags.map((tag) => store.get(tag)).filter((blob) => blob?.kind === kind);

  const fits = ({ query, key }) =>
    clip && [...query.frames, ...key.frames].flat().every((t) => t < clip.frames.length);

  /** The chosen block, or the last one where it is not there; an image cannot play. */
  function settle() {
    const named = blocks.find(({ label }) => label === options.value.block);
    const complete = blocks.length === data.blocks.length;
    block = named ?? (complete ? blocks.at(-1) : null) ?? null;
    if (block && block !== named) options.mend({ block: block.label });
    const single = clip?.frames.length === 1;
    if (single || options.value.view !== "player") player.pause();
    stage.focus(clip && isPlayer() ? player.now : undefined);
  }

  /** Whether links stay in their frame: an image's do, and those of networks that see frames one by one. */
  const inFrame = () => clip?.frames.length === 1 || block?.joins_frames === false;

  /** The options as this block can follow them. */
  function wanted() {
    const { exclude, head, rank_by, scale } = options.value;
    const ranks = rank_by === "contribution" && data?.can?.rank && !block?.sized?.problem;
    return {
      ...options.value,
      exclude: exclude === "frame" && inFrame() ? "cell" : exclude,
      head: head < (block?.heads ?? 1) ? head : null,
      rank_by: ranks ? rank_by : "affinity",
      scale: ranks ? "row" : scale, // contributions have no scale in common
    };
  }

  const isPlayer = () => options.value.view === "player" && clip?.frames.length > 1;

  function choose(patch) {
    if (patch.view === "player" && !isPlayer()) player.scrub(pointing.place?.t ?? selectedPin()?.t ?? 0);
    options.change(patch);
    settle();
    invalidate();
  }

  // Pins.

  const shownPins = () => (clip ? pins.shown().filter(({ t, token }) => token || t < clip.frames.length) : []);

  function selectedPin() {
    const shown = shownPins();
    return shown.find(({ id }) => id === selected) ?? shown.at(-1) ?? null;
  }

  const pinAt = (place) => pinNear(stage, shownPins(), place);

  function act(change) {
    localNotice = null;
    change();
    invalidate();
  }

  function togglePin(place) {
    const hit = pinAt(place);
    if (hit) removePin(hit);
    else pinPlace(place);
  }

  function pinPlace(place) {
    const there = place.token && shownPins().find(({ token }) => token === place.token);
    if (there) return select(there);
    const { seen } = memory.get(block, clip, place, wanted(), 0);
    if (seen.range.none) return say("No cell’s centre lies inside that region; draw it larger, or click one place.");
    const most = data.max_pins ?? PIN_COLOURS.length;
    if (shownPins().length >= most) return say(`${most} pins are the most; remove one to place another.`);
    player.pause();
    act(() => pins.add(place));
    selected = null; // the newest
    if (place.region) pointing.leave();
  }

  function removePin(pin) {
    if (pin) act(() => pins.remove(pin));
  }

  function select(pin) {
    selected = pin.id;
    pointing.leave();
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
    if (clip && isPlayer()) stage.focus(player.now);
    const look = lookNow(start + TURN);
    const computed = performance.now();
    if (stage.layout) paint(look);
    tell(look);
    const done = performance.now();
    timing = { count: timing.count + 1, compute: computed - start, draw: done - computed };
    if (look.unfinished) invalidate();
  }

  /** The place in focus, what it sees, and the pins with theirs; what is not computed by `until` stays unfinished. */
  function lookNow(until = Infinity) {
    const pin = selectedPin();
    const hover = pointing.place;
    const place = stage.layout ? (hover ?? pin) : null;
    const shown = shownPins();
    const none = { pin, place, hovered: Boolean(hover), pairs: shown.map((each) => [each, null]), curves: [], seen: null, scale: null, key: "" };
    if (!stage.layout || !block || !answers(block, wanted())) return none;
    const get = (each) => memory.get(block, clip, each, wanted(), until);
    const focus = place && get(place);
    let unfinished = focus ? focus.seen.done < 1 : false;
    const looks = shown.map((each) => {
      const late = performance.now() > until;
      const { seen } = late ? memory.get(block, clip, each, wanted(), 0) : get(each);
      unfinished ||= seen.done < 1;
      return [each, { ...seen, ...exactLinks(each, block, wanted()) }];
    });
    const together = wanted().together && !hover;
    const pairs = looks.map(([each, seen]) => [each, together || (!hover && each === pin) ? seen : null]);
    const curves = looks.map(([each, { shares }]) => ({ shares, colour: each.color, strong: !hover && each === pin }));
    if (!focus) return { ...none, pairs, curves, unfinished };
    const own = hover ? null : looks.find(([each]) => each.id === pin.id)[1];
    const seen = { ...focus.seen, ...own };
    if (hover) curves.push({ shares: seen.shares, colour: colourOf(hover), strong: true });
    return { pin, place, hovered: Boolean(hover), pairs, curves, seen, scale: heatScale(block, seen, wanted()), key: focus.key, unfinished };
  }

  const colourOf = (place) => pinAt(place)?.color ?? pins.freeColour();

  function paint({ pin, place, hovered, pairs, curves, seen, scale, key }) {
    const { heat, opacity, colours, links, reverse } = wanted();
    const shown = seen && heat && (hovered || !mask) ? `${key} ${JSON.stringify(scale)} ${opacity} ${colours}` : "";
    stage.drawHeat(shown, seen, scale, { colours, opacity });
    const hover = hovered && { place: place.region ? { ...place, ...middleOf(place.region) } : place, seen, colour: colourOf(place) };
    drawScene(...stage.ink(), { block, pins: pairs, pin, seen, hover, links, reverse });
    player.show(isPlayer(), curves.filter(({ shares }) => shares.length));
  }

  function tell({ pin, place, seen, scale }) {
    const missing = whatIsMissing();
    setText(stage.message, missing ?? "");
    stage.message.hidden = Boolean(clip);
    setText(notice, data?.notice ?? localNotice ?? (clip ? (missing ?? unranked()) : null) ?? "");
    notice.hidden = notice.textContent === "";
    card.classList.toggle("nlviz-empty", !clip);
    if (!clip) return;
    const single = clip.frames.length === 1;
    const can = { canUndo: pins.canUndo(), canRedo: pins.canRedo() };
    toolbar.show({ list: blocks, block, options: wanted(), single, inFrame: inFrame(), canRank: Boolean(data.can?.rank), drawing: pointing.tool, ...can });
    tokens.show(block?.tokens ?? []);
    chips.show(shownPins(), clip, pin);
    const waiting = block && !answers(block, wanted()) ? waitingText() : null;
    readout.show({ clip, block, place, seen, scale, waiting, options: wanted() });
    const over = pointing.place && stage.layout && pinAt(pointing.place);
    stage.node.classList.toggle("nlviz-over-pin", Boolean(over));
  }

  const waitingText = () =>
    answers(block, { ...wanted(), rank_by: "affinity" }) ? "Measuring what each place adds…" : "Working out who looks where in this block…";

  /** Why links are ranked by affinity although contributions were asked for, or null. */
  const unranked = () => (options.value.rank_by === "contribution" ? block?.sized?.problem : null) ?? null;

  /** One sentence on what is not there, or null. */
  function whatIsMissing() {
    if (store.problem) return store.problem;
    if (!data?.clip) return "No clip yet.";
    if (!clip) return store.has(data.clip) ? DAMAGED : "Loading the frames…";
    if (held(data.blocks, "block").length > blocks.length) return DAMAGED;
    return blocks.length < data.blocks.length ? "Loading the blocks…" : null;
  }

  // Pointer and keyboard.

  /** Where the keyboard begins: the chosen pin, or the middle of the frame on the stage. */
  function cursor() {
    const pin = selectedPin();
    const middle = { t: isPlayer() ? player.now : 0, x: clip.width / 2, y: clip.height / 2 };
    return pin && !pin.token && (!isPlayer() || pin.t === player.now) ? { t: pin.t, x: pin.x, y: pin.y } : middle;
  }

  function page(frames) {
    if (!isPlayer()) return pointing.page(clip, frames);
    const t = Math.min(Math.max(player.now + frames, 0), clip.frames.length - 1);
    player.scrub(t);
    if (pointing.place) pointing.put({ ...cursor(), t });
  }

  /** Escape: end what is being drawn or pointed at with the keyboard, else remove the last pin. */
  function back() {
    if (pointing.place?.region) return pointing.leave();
    return shownPins().length ? removePin(shownPins().at(-1)) : pointing.leave();
  }

  const whenReady = (action) => (...given) => stage.layout && block && action(...given);
  const whenStill = (action) => (...given) => player.playing || action(...given); // the clip plays on under a resting hand
  const click = (event) => {
    const place = stage.placeOf(event);
    if (place) togglePin(place);
  };
  listen(stage.node, card, {
    hover: whenStill(pointing.at),
    leave: whenStill(pointing.leave),
    click: whenReady(click),
    draws: pointing.draws,
    draw: whenReady(pointing.draw),
    drawn: whenReady(pointing.drawn),
    step: whenReady((down, across, grow) => pointing.step(wanted().reverse ? block.key : block.query, clip, down, across, grow)),
    page: whenReady(page),
    pin: whenReady(() => togglePin(pointing.place ?? cursor())),
    play: whenReady(player.toggle),
    back,
    undo,
    redo,
  });

  // Life, and the face for tests.

  const unsubscribe = store.subscribe(collect);
  const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
  darkness.addEventListener("change", stage.refresh);
  invalidate();

  function state() {
    const message = stage.message.hidden ? notice.textContent : stage.message.textContent;
    const words = readout.text;
    return describe({ clip, block, look: lookNow(), pins: shownPins(), options: wanted(), stage, player, words, message, timing, tool: pointing.tool });
  }

  function destroy() {
    cancelAnimationFrame(queued);
    queued = -1; // nothing is drawn any more
    unsubscribe();
    player.pause();
    darkness.removeEventListener("change", stage.refresh);
    options.close();
    readout.close();
    stage.destroy();
    card.remove();
    delete root.nlviz;
  }

  root.nlviz = Object.freeze({ state, timing: () => ({ ...timing }), toClient: stage.toClient });
  return { update, destroy };
}
