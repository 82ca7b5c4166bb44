// The viewer: frames on a canvas that answer to the pointer and the keyboard. It knows nothing of
// its host.
//
// createViewer(root, {onAct, onOptions}) → {update(scene), destroy()}. What a host says and hears
// is in protocol.d.ts: update takes a Scene, onAct is called with an Act, onOptions with all
// Options, a moment after the last change. Blobs are taken from the page's store by tag, whenever
// they arrive; one of kind "constants" or "sizes" belongs to the block whose tag it names.
// root.nlviz is read-only and for tests and benchmarks: state(), timing() of the last drawing in
// ms, and toClient(place) in CSS pixels of the window.

import { createChips, createTokens } from "./controls/chips.js";
import { createHint } from "./controls/hint.js";
import { createOptions } from "./controls/options.js";
import { createPlayer } from "./controls/player.js";
import { createReadout } from "./controls/readout.js";
import { createToolbar } from "./controls/toolbar.js";
import { pageStore } from "./data/store.js";
import { element } from "./dom.js";
import { PIN_COLOURS } from "./draw/colour.js";
import { createStage } from "./draw/stage.js";
import { describe } from "./inspect.js";
import { Model } from "./model.js";
import { listen } from "./pointer/input.js";
import { createPins, pinNear } from "./pointer/pins.js";
import { createPointing } from "./pointer/pointing.js";
import { createRender } from "./render.js";

/** @typedef {import("./protocol.d.ts").Scene} Scene */
/** @typedef {import("./protocol.d.ts").Act} Act */
/** @typedef {import("./protocol.d.ts").Options} Options */

const NOWHERE = "No cell’s centre lies inside that region; draw it larger, or click one place.";

/**
 * @param {(HTMLElement | ShadowRoot) & {nlviz?: object}} root
 * @param {{onAct?: (act: Act) => void, onOptions?: (options: Options) => void}} host
 */
export function createViewer(root, { onAct = () => {}, onOptions = () => {} } = {}) {
  const store = pageStore();
  const options = createOptions(onOptions);
  const pins = createPins(onAct);
  const model = new Model({ store, options, pins });
  const invalidate = () => render.invalidate();

  const stage = createStage({
    changed: invalidate,
    failed: (t) =>
      say(`Frame ${model.clip.frames[t]} could not be drawn; its links can still be explored.`),
  });
  const pointing = createPointing({ stage, changed: invalidate, start: cursor, asks: pinPlace });
  const player = createPlayer({
    turned: invalidate,
    open: () => options.value.view === "player" || choose({ view: "player" }),
  });
  const undo = () => pins.canUndo() && act(() => pins.undo());
  const redo = () => pins.canRedo() && act(() => pins.redo());
  const toolbar = createToolbar({ change: choose, tool: pointing.choose, undo, redo });
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
      model.selected = pin.id; // else the last pin would be the chosen one
      act(() => pins.move(pin, to));
    },
    clear: () => act(() => pins.clear()),
  });
  const notice = element("p", { className: "nlviz-notice", role: "status" });
  const card = element(
    "section",
    { className: "nlviz", "aria-label": "Spacetime links" },
    ...[toolbar.root, createHint().root, stage.node, player.root],
    ...[readout.root, tokens.root, chips.root, notice],
  );
  root.append(card);
  const controls = { toolbar, tokens, chips, readout, notice, card };
  const render = createRender({ model, stage, pointing, player, ...controls });

  // Data in.

  /** @param {Scene} scene */
  function update(scene) {
    if (model.update(scene)) pointing.leave();
    collect();
    stage.refresh();
  }

  /** Take what the store holds of what the host named; called again when more arrives. */
  function collect() {
    if (!model.data) return;
    if (model.collect()) {
      player.load(model.clip);
      stage.show(model.clip);
    }
    stage.showMask(model.mask);
    turnStage();
    invalidate();
  }

  /** All frames or one of them on the stage; an image cannot play. */
  function turnStage() {
    if (model.single || options.value.view !== "player") player.pause();
    stage.focus(model.plays ? player.now : undefined);
  }

  function choose(patch) {
    const began = patch.view === "player" && !model.plays;
    if (began) player.scrub(pointing.place?.t ?? model.selectedOf(model.pins)?.t ?? 0);
    model.choose(patch);
    turnStage();
    invalidate();
  }

  // Pins.

  function act(change) {
    model.notice = null;
    change();
    invalidate();
  }

  function togglePin(place) {
    const hit = pinNear(stage, model.pins, place);
    if (hit) removePin(hit);
    else pinPlace(place);
  }

  function pinPlace(place) {
    const there = place.token && model.pins.find(({ token }) => token === place.token);
    if (there) return select(there);
    if (model.look(place, 0).seen.range.none) return say(NOWHERE);
    const most = model.data.max_pins ?? PIN_COLOURS.length;
    if (model.pins.length >= most) {
      return say(`${most} pins are the most; remove one to place another.`);
    }
    player.pause();
    act(() => pins.add(place));
    model.selected = null; // the newest
    if (place.region) pointing.leave();
  }

  function removePin(pin) {
    if (pin) act(() => pins.remove(pin));
  }

  function select(pin) {
    model.selected = pin.id;
    pointing.leave();
  }

  function say(text) {
    model.notice = text;
    invalidate();
  }

  // Pointer and keyboard.

  /** Where the keyboard begins: the chosen pin, or the middle of the frame on the stage. */
  function cursor() {
    const { clip, plays } = model;
    const pin = model.selectedOf(model.pins);
    if (pin && !pin.token && (!plays || pin.t === player.now)) {
      return { t: pin.t, x: pin.x, y: pin.y };
    }
    return { t: plays ? player.now : 0, x: clip.width / 2, y: clip.height / 2 };
  }

  function page(frames) {
    if (!model.plays) return pointing.page(model.clip, frames);
    const t = Math.min(Math.max(player.now + frames, 0), model.clip.frames.length - 1);
    player.scrub(t);
    if (pointing.place) pointing.put({ ...cursor(), t });
  }

  function step(down, across, grow) {
    const grid = model.wanted.reverse ? model.block.key : model.block.query;
    pointing.step(grid, model.clip, down, across, grow);
  }

  /** Escape closes what was opened last: a region that is drawn, then the menu; else a pin goes. */
  function back() {
    if (pointing.place?.region) return pointing.leave();
    if (toolbar.closeMore()) return;
    if (model.pins.length) removePin(model.pins.at(-1));
    else pointing.leave();
  }

  function click(event) {
    const place = stage.placeOf(event);
    if (place) togglePin(place);
  }

  const whenReady = (action) => (...given) => stage.layout && model.block && action(...given);
  // The clip plays on under a resting hand.
  const whenStill = (action) => (...given) => player.playing || action(...given);
  listen(stage.node, card, {
    hover: whenStill(pointing.at),
    leave: whenStill(pointing.leave),
    click: whenReady(click),
    draws: pointing.draws,
    draw: whenReady(pointing.draw),
    drawn: whenReady(pointing.drawn),
    step: whenReady(step),
    page: whenReady(page),
    pin: whenReady(() => togglePin(pointing.place ?? cursor())),
    play: whenReady(player.toggle),
    back,
    undo,
    redo,
  });

  // Life, and what tests see.

  const unsubscribe = store.subscribe(collect);
  const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
  darkness.addEventListener("change", stage.refresh);
  invalidate();

  function state() {
    const message = stage.message.hidden ? notice.textContent : stage.message.textContent;
    const { timing } = render;
    const said = { message, ...readout.text };
    return describe({
      model,
      look: render.look(),
      stage,
      player,
      said,
      timing,
      tool: pointing.tool,
    });
  }

  function destroy() {
    render.close();
    unsubscribe();
    player.pause();
    darkness.removeEventListener("change", stage.refresh);
    options.close();
    readout.close();
    stage.destroy();
    card.remove();
    delete root.nlviz;
  }

  const timing = () => ({ ...render.timing });
  root.nlviz = Object.freeze({ state, timing, toClient: stage.toClient });
  return { update, destroy };
}
