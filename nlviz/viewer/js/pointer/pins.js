// Pins: drawn at once, then replaced by the host's, which holds the truth.

import { middleOf } from "../rows/grid.js";

const PATIENCE = 30_000; // ms after which an unanswered change is forgotten
const LONGEST_HISTORY = 50;
const alike = (a, b) => Math.abs(a - b) < 0.51;

function same(a, b) {
  if (a.token || b.token) return a.token === b.token;
  const shape = (pin) => pin.region?.length ?? 0;
  return a.t === b.t && alike(a.x, b.x) && alike(a.y, b.y) && shape(a) === shape(b);
}

/** A place as the host hears it and as it is drawn: a token, a region with its middle, or a point. */
function placed({ t, x, y, region, token }) {
  if (token) return [{ token }, { token, t: null, x: null, y: null }];
  if (region) return [{ t, region }, { t, region, ...middleOf(region) }];
  return [{ t, x, y }, { t, x, y }];
}

/** A list of pins. send(act) tells the host, see viewer.js. */
export function createPins(colours, send) {
  let known = []; // the host's list
  let pending = []; // changes that the host has not answered yet
  let history = []; // lists as they were before each change
  let future = []; // lists that an undo took back
  let host = { undo: false, redo: false }; // what the host says can be done
  let made = 0;

  const shown = () => {
    const now = Date.now();
    pending = pending.filter((change) => now - change.since < PATIENCE);
    return pending.reduce((list, change) => change.apply(list), known);
  };

  const later = (act, apply, answered) => {
    pending.push({ since: Date.now(), apply, answered });
    send(act);
  };

  const change = (act, apply, answered) => {
    history = [...history, shown()].slice(-LONGEST_HISTORY);
    future = [];
    host = { ...host, redo: false };
    later(act, apply, answered);
  };

  const freeColour = () => {
    const used = new Set(shown().map((pin) => pin.color.toUpperCase()));
    return colours.find((colour) => !used.has(colour.toUpperCase())) ?? colours[0];
  };

  return {
    shown,
    freeColour,
    canUndo: () => history.length > 0 || host.undo,
    canRedo: () => future.length > 0 || host.redo,

    /** The host's list and whether it can undo and redo; changes that it answers are settled. */
    receive(list, can) {
      known = list.map((pin) => ({ name: "", ...pin, ...(pin.region ? middleOf(pin.region) : {}) }));
      host = { undo: can.undo ?? list.length > 0, redo: can.redo ?? false };
      pending = pending.filter((change) => !change.answered(list));
    },

    forget() {
      known = [];
      pending = [];
      history = [];
      future = [];
    },

    add(place) {
      const [said, drawn] = placed(place);
      const pin = { id: `new-${++made}`, color: freeColour(), name: "", ...drawn, exact: null, pending: true };
      change({ type: "add", ...said }, (list) => [...list, pin], (list) => list.some((other) => same(other, pin)));
    },

    remove(pin) {
      const gone = (other) => other.id === pin.id || same(other, pin);
      const apply = (list) => list.filter((other) => !gone(other));
      if (!pin.pending) {
        change({ type: "remove", id: pin.id }, apply, (list) => !list.some(gone));
        return;
      }
      // The host has not named this pin yet: hide it, and ask for its removal once it has a name.
      let asked = null;
      pending.push({
        since: Date.now(),
        apply,
        answered(list) {
          const named = list.find((other) => same(other, pin));
          if (named && asked === null) send({ type: "remove", id: (asked = named.id) });
          return asked !== null && !named;
        },
      });
    },

    rename({ id }, name) {
      const apply = (list) => list.map((pin) => (pin.id === id ? { ...pin, name } : pin));
      change({ type: "rename", id, name }, apply, (list) => list.find((pin) => pin.id === id)?.name === name);
    },

    /** Put a pin at another place of the list. */
    move({ id }, to) {
      const apply = (list) => {
        const pin = list.find((each) => each.id === id);
        return pin ? list.filter((each) => each !== pin).toSpliced(to, 0, pin) : list;
      };
      change({ type: "move", id, to }, apply, (list) => list.findIndex((pin) => pin.id === id) === to);
    },

    clear() {
      const ids = new Set(shown().map((pin) => pin.id));
      change({ type: "clear" }, () => [], (list) => !list.some((pin) => ids.has(pin.id)));
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
