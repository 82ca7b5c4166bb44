// Options: the viewer owns them, tells the host a moment after the last change, and takes its
// wishes.

/** @typedef {import("../protocol.d.ts").Options} Options */

/** @type {Options} */
const DEFAULTS = {
  block: null, // a label; the last that places ask where it is not there
  head: null, // one head, or null for the mean of all
  reverse: false, // who looks here, instead of what is looked at
  k: 20,
  rank_by: "affinity", // or "contribution"
  exclude: "frame", // "frame", "cell" or "none"
  links: true,
  heat: true,
  opacity: 0.7,
  scale: "row", // "row", "block" or "absolute"
  curve: "linear", // "linear", "root" or "log"
  colours: "dusk", // a name of COLOUR_MAPS
  sharpened: false, // whether heat follows the frames' edges, for display only
  components: true, // the colours of features, where the host gives any
  together: true, // the links of all pins, or of the chosen one alone
  view: "strip", // "strip" or "player"
};
const PAUSE = 250; // ms without a change before the host hears
const ECHO = 2000; // ms in which what the host gives may be an answer to older options, not a wish

/**
 * {value, receive(wish), change(patch), mend(patch), close()}; tell(options) is the host's ear.
 * @param {(options: Options) => void} tell
 */
export function createOptions(tell) {
  let value = { ...DEFAULTS };
  let received = "";
  let timer = 0;
  let settled = 0; // when the host's answers have caught up

  return {
    get value() {
      return value;
    },

    /**
     * Options from the host; the same ones again are not a wish.
     * @param {Options} wish
     */
    receive(wish) {
      const text = JSON.stringify(wish ?? null);
      if (wish && text !== received && Date.now() > settled) value = { ...DEFAULTS, ...wish };
      received = text;
    },

    /**
     * What a person chose.
     * @param {Partial<Options>} patch
     */
    change(patch) {
      value = { ...value, ...patch };
      settled = Infinity;
      clearTimeout(timer);
      timer = setTimeout(() => {
        settled = Date.now() + ECHO;
        tell({ ...value });
      }, PAUSE);
    },

    /** What the data leaves no choice about; the host knows it as well. */
    mend(patch) {
      value = { ...value, ...patch };
    },

    close: () => clearTimeout(timer),
  };
}
