// Pins: drawn at once, then replaced by the host's, which holds the truth.

import { PIN_COLOURS } from "../draw/colour.js";
import { middleOf } from "../rows/grid.js";

/** @typedef {import("../protocol.d.ts").Act} Act */
/** @typedef {import("../protocol.d.ts").ScenePin & {pending?: boolean}} Pin */

const PATIENCE = 30_000; // ms after which an unanswered change is forgotten
const LONGEST_HISTORY = 50;
const NEAR = 10; // CSS pixels around a pin that count as the pin
const alike = (a, b) => Math.abs(a - b) < 0.51;

function same(a, b) {
  if (a.token || b.token) return a.token === b.token;
  const corners = (pin) => pin.region?.length ?? 0;
  return a.t === b.t && alike(a.x, b.x) && alike(a.y, b.y) && corners(a) === corners(b);
}

/** A place as the host hears it: a token, a region or a point. */
function placeSaid({ t, x, y, region, token }) {
  if (token) return { token };
  return region ? { t, region } : { t, x, y };
}

/** A pin as it is drawn: a token is nowhere, a region is drawn from its middle. */
const drawn = (pin) => ({
  name: "",
  ...(pin.token ? { t: null, x: null, y: null } : {}),
  ...pin,
  ...(pin.region ? middleOf(pin.region) : {}),
});

const freeColour = (list) => {
  const used = new Set(list.map((pin) => pin.color.toUpperCase()));
  return PIN_COLOURS.find((colour) => !used.has(colour.toUpperCase())) ?? PIN_COLOURS[0];
};

/**
 * The list after an act, but for undo and redo, which need a history. `id` is the new pin's.
 * @param {Pin[]} list
 * @param {any} act
 * @returns {Pin[]}
 */
export function reduce(list, { type, ...said }, id = "") {
  const pin = list.find((each) => each.id === said.id);
  switch (type) {
    case "add":
      return [...list, drawn({ ...said, id, color: freeColour(list), exact: null })];
    case "remove":
      return list.filter((each) => each !== pin);
    case "rename":
      return list.map((each) => (each === pin ? { ...pin, name: said.name } : each));
    case "move":
      return pin ? list.filter((each) => each !== pin).toSpliced(said.to, 0, pin) : list;
    case "clear":
      return [];
    default:
      return list;
  }
}

/** The pin that lies under a place of the stage, or null. */
export function pinNear(stage, list, place) {
  if (place.region || place.token) return null;
  const at = stage.pointOf(place);
  const distance = (pin) => {
    if (pin.t !== place.t) return Infinity;
    const point = stage.pointOf(pin);
    return Math.hypot(point.x - at.x, point.y - at.y);
  };
  const [nearest] = list.toSorted((a, b) => distance(a) - distance(b));
  return nearest && distance(nearest) <= NEAR ? nearest : null;
}

/**
 * A list of pins. send(act) tells the host.
 * @param {(act: Act) => void} send
 */
export function createPins(send) {
  /** @type {Pin[]} The host's list. */
  let known = [];
  let pending = []; // changes that the host has not answered yet
  let history = []; // lists as they were before each change
  let future = []; // lists that an undo took back
  let host = { undo: false, redo: false }; // what the host says can be done
  let made = 0;

  /** @returns {Pin[]} */
  const shown = () => {
    const now = Date.now();
    pending = pending.filter((change) => now - change.since < PATIENCE);
    return pending.reduce((list, change) => change.apply(list), known);
  };

  const later = (act, apply, answered) => {
    pending.push({ since: Date.now(), apply, answered });
    send(act);
  };

  const change = (act, answered, apply = (list) => reduce(list, act)) => {
    history = [...history, shown()].slice(-LONGEST_HISTORY);
    future = [];
    host = { ...host, redo: false };
    later(act, apply, answered);
  };

  return {
    shown,
    freeColour: () => freeColour(shown()),
    canUndo: () => history.length > 0 || host.undo,
    canRedo: () => future.length > 0 || host.redo,

    /** The host's list and whether it can undo and redo; changes that it answers are done. */
    receive(list, can) {
      known = list.map(drawn);
      host = { undo: can.undo ?? list.length > 0, redo: can.redo ?? false };
      pending = pending.filter((each) => !each.answered(list));
    },

    forget() {
      known = [];
      pending = [];
      history = [];
      future = [];
    },

    add(place) {
      const act = { type: "add", ...placeSaid(place) };
      const pin = { ...reduce(shown(), act, `new-${++made}`).at(-1), pending: true };
      const answered = (list) => list.some((other) => same(other, pin));
      change(act, answered, (list) => [...list, pin]);
    },

    remove(pin) {
      const gone = (other) => other.id === pin.id || same(other, pin);
      const apply = (list) => list.filter((other) => !gone(other));
      if (!pin.pending) {
        change({ type: "remove", id: pin.id }, (list) => !list.some(gone), apply);
        return;
      }
      // The host has not named this pin yet: hide it, and ask for its removal once it has a name.
      let removed = null;
      pending.push({
        since: Date.now(),
        apply,
        answered(list) {
          const named = list.find((other) => same(other, pin));
          if (named && removed === null) send({ type: "remove", id: removed = named.id });
          return removed !== null && !named;
        },
      });
    },

    rename({ id }, name) {
      const answered = (list) => list.find((pin) => pin.id === id)?.name === name;
      change({ type: "rename", id, name }, answered);
    },

    /** Put a pin at another place of the list. */
    move({ id }, to) {
      change({ type: "move", id, to }, (list) => list.findIndex((pin) => pin.id === id) === to);
    },

    clear() {
      const ids = new Set(shown().map((pin) => pin.id));
      change({ type: "clear" }, (list) => !list.some((pin) => ids.has(pin.id)));
    },

    undo() {
      const before = history.pop();
      future.push(shown());
      later({ type: "undo" }, (list) => before ?? list, () => true);
    },

    redo() {
      const after = future.pop();
      history.push(shown());
      later({ type: "redo" }, (list) => after ?? list, () => true);
    },
  };
}
