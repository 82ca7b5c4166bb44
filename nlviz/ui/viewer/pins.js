// Pins: drawn at once, then replaced by the host's, which holds the truth.

const PATIENCE = 4000; // ms after which an unanswered change is forgotten
const LONGEST_HISTORY = 50;
const near = (a, b) => a.t === b.t && Math.abs(a.x - b.x) < 0.51 && Math.abs(a.y - b.y) < 0.51;

/** A list of pins. send(act) tells the host: {"type": "add" | "remove" | "undo" | "clear", …}. */
export function createPins(colours, send) {
  let known = []; // the host's list
  let pending = []; // changes that the host has not answered yet
  let history = []; // lists as they were before each change
  let made = 0;

  const shown = () => {
    const now = Date.now();
    pending = pending.filter((change) => now - change.since < PATIENCE);
    return pending.reduce((list, change) => change.apply(list), known);
  };

  const change = (act, apply, answered) => {
    if (act.type !== "undo") history = [...history, shown()].slice(-LONGEST_HISTORY);
    pending.push({ since: Date.now(), apply, answered });
    send(act);
  };

  const freeColour = () => {
    const used = new Set(shown().map((pin) => pin.color.toUpperCase()));
    return colours.find((colour) => !used.has(colour.toUpperCase())) ?? colours[0];
  };

  return {
    shown,
    freeColour,
    canUndo: () => history.length > 0 || known.length > 0,

    /** The host's list; changes that it answers are settled. */
    receive(list) {
      known = list;
      pending = pending.filter((change) => !change.answered(list));
    },

    forget() {
      known = [];
      pending = [];
      history = [];
    },

    add({ t, x, y }) {
      const pin = { id: `new-${++made}`, color: freeColour(), t, x, y, exact: null, pending: true };
      change({ type: "add", t, x, y }, (list) => [...list, pin], (list) => list.some((other) => near(other, pin)));
    },

    remove(pin) {
      const gone = (other) => other.id === pin.id || near(other, pin);
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
          const named = list.find((other) => near(other, pin));
          if (named && asked === null) send({ type: "remove", id: (asked = named.id) });
          return asked !== null && !named;
        },
      });
    },

    clear() {
      const ids = new Set(shown().map((pin) => pin.id));
      change({ type: "clear" }, () => [], (list) => !list.some((pin) => ids.has(pin.id)));
    },

    undo() {
      const before = history.pop();
      change({ type: "undo" }, (list) => before ?? list, () => true);
    },
  };
}
