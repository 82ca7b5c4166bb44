// Pin actions: what a person does with the pins, and what is said where it cannot be done.

import { PIN_COLOURS } from "../draw/colour.js";
import { pinNear } from "./pins.js";

const NOWHERE = "No cell’s centre lies inside that region; draw it larger, or click one place.";

/**
 * changed() asks for a new drawing; say(text) shows a sentence. Gives {place(), toggle(), choose(),
 * remove(), rename(), move(), clear(), undo(), redo()}.
 */
export function createPinActions({ model, pins, stage, pointing, player, changed, say }) {
  function act(change) {
    model.notice = null;
    change();
    changed();
  }

  /** Place a pin, or choose the one that the token has already. */
  function place(at) {
    const there = at.token && model.pins.find(({ token }) => token === at.token);
    if (there) return choose(there);
    if (model.ask(at, 0).seen.range.none) return say(NOWHERE);
    const most = model.data.max_pins ?? PIN_COLOURS.length;
    if (model.pins.length >= most) {
      return say(`${most} pins are the most; remove one to place another.`);
    }
    player.pause();
    act(() => pins.add(at));
    model.selected = null; // the newest
    if (at.region) pointing.leave();
  }

  /** Remove the pin that lies under a place, or place one there. */
  function toggle(at) {
    const hit = pinNear(stage, model.pins, at);
    if (hit) remove(hit);
    else place(at);
  }

  function remove(pin) {
    if (pin) act(() => pins.remove(pin));
  }

  function choose(pin) {
    model.selected = pin.id;
    pointing.leave();
  }

  return {
    place,
    toggle,
    choose,
    remove,
    rename: (pin, name) => act(() => pins.rename(pin, name)),
    move(pin, to) {
      model.selected = pin.id; // else the last pin would be the chosen one
      act(() => pins.move(pin, to));
    },
    clear: () => act(() => pins.clear()),
    undo: () => pins.canUndo() && act(() => pins.undo()),
    redo: () => pins.canRedo() && act(() => pins.redo()),
  };
}
