// The viewer: frames on a canvas that answer to the pointer and the keyboard. It knows nothing of
// its host.
//
// createViewer(root, {onAct, onOptions}) → {update(scene), destroy()}. What a host says and hears
// is in protocol.d.ts: update takes a Scene, onAct is called with an Act, onOptions with all
// Options, a moment after the last change. Blobs are taken from the page's store by tag, whenever
// they arrive; one of kind "constants" or "sizes" belongs to the block whose tag it names.
// root.nlviz is read-only and for tests and benchmarks: state(), timing() of the last drawing in
// ms, and toClient(place) in CSS pixels of the window.

import { createCard } from "./card.js";
import { createOptions } from "./controls/options.js";
import { createPlayer } from "./controls/player.js";
import { pageStore } from "./data/store.js";
import { createStage } from "./draw/stage.js";
import { describe } from "./inspect.js";
import { Model } from "./model.js";
import { bind, cursorOf } from "./pointer/bindings.js";
import { createPinActions } from "./pointer/pin_actions.js";
import { createPins } from "./pointer/pins.js";
import { createPointing } from "./pointer/pointing.js";
import { createRender } from "./render.js";

/** @typedef {import("./protocol.d.ts").Scene} Scene */
/** @typedef {import("./protocol.d.ts").Act} Act */
/** @typedef {import("./protocol.d.ts").Options} Options */

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
  const player = createPlayer({
    turned: invalidate,
    open: () => options.value.view === "player" || choose({ view: "player" }),
  });
  const pointing = createPointing({
    stage,
    changed: invalidate,
    start: () => cursorOf(model, player),
    asks: (place) => pinActions.place(place),
  });
  const acting = { model, pins, stage, pointing, player };
  const pinActions = createPinActions({ ...acting, changed: invalidate, say });
  const controls = createCard({ stage, player, pointing, pinActions, change: choose });
  root.append(controls.card);
  const parts = { model, stage, pointing, player, ...controls };
  const render = createRender(parts);
  bind({ ...parts, pinActions });

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

  function say(text) {
    model.notice = text;
    invalidate();
  }

  // Life, and what tests see.

  const unsubscribe = store.subscribe(collect);
  const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
  darkness.addEventListener("change", stage.refresh);
  invalidate();

  function destroy() {
    render.close();
    unsubscribe();
    player.pause();
    darkness.removeEventListener("change", stage.refresh);
    options.close();
    controls.readout.close();
    stage.destroy();
    controls.card.remove();
    delete root.nlviz;
  }

  const state = () => describe({ ...parts, render });
  const timing = () => ({ ...render.timing });
  root.nlviz = Object.freeze({ state, timing, toClient: stage.toClient });
  return { update, destroy };
}
