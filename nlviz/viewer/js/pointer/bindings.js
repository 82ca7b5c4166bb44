// Bindings: what each key and each move of the pointer does.

import { listen } from "./input.js";

/** Where the keyboard begins: the chosen pin, or the middle of the frame on the stage. */
export function cursorOf(model, player) {
  const { clip, plays } = model;
  const pin = model.selectedOf(model.pins);
  if (pin && !pin.token && (!plays || pin.t === player.now)) {
    return { t: pin.t, x: pin.x, y: pin.y };
  }
  return { t: plays ? player.now : 0, x: clip.width / 2, y: clip.height / 2 };
}

/** Listen on the stage and the card, and do what is asked, where the viewer is ready for it. */
export function bind({ model, stage, card, player, pointing, pinActions, toolbar }) {
  function page(frames) {
    if (!model.plays) return pointing.page(model.clip, frames);
    const t = Math.min(Math.max(player.now + frames, 0), model.clip.frames.length - 1);
    player.scrub(t);
    if (pointing.place) pointing.put({ ...cursorOf(model, player), t });
  }

  function step(down, across, grow) {
    const grid = model.wanted.reverse ? model.block.key : model.block.query;
    pointing.step(grid, model.clip, down, across, grow);
  }

  /** Escape closes what was opened last: a region that is drawn, then the menu; else a pin goes. */
  function back() {
    if (pointing.place?.region) return pointing.leave();
    if (toolbar.closeMore()) return;
    if (model.pins.length) pinActions.remove(model.pins.at(-1));
    else pointing.leave();
  }

  function click(event) {
    const place = stage.placeOf(event);
    if (place) pinActions.toggle(place);
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
    pin: whenReady(() => pinActions.toggle(pointing.place ?? cursorOf(model, player))),
    play: whenReady(player.toggle),
    back,
    undo: pinActions.undo,
    redo: pinActions.redo,
  });
}
