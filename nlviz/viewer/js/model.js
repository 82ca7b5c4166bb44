// Model: what the host gave, what of it has come, and what the chosen block can follow of the
// options.

import { DAMAGED } from "./data/blob.js";
import { answers, createMemory } from "./rows/links.js";
import { isUsual } from "./rows/reach.js";
import { prepare } from "./rows/rows.js";

/** @typedef {import("./protocol.d.ts").Scene} Scene */
/** @typedef {import("./data/blob.js").Clip} Clip */
/** @typedef {import("./data/blob.js").Block} Block */
/** @typedef {import("./data/blob.js").Mask} Mask */
/** @typedef {import("./data/blob.js").Components} Components */

/** Blobs that come after their block, and where it keeps them. */
const LATER = { constants: "later", sizes: "sized" };

export class Model {
  /** @type {Scene | null} What the host gave last. */
  data = null;
  /** @type {Clip | null} */
  clip = null;
  /** @type {Block[]} Those that have come. */
  blocks = [];
  /** @type {Block | null} */
  block = null;
  /** @type {Mask | null} What lies over the frames instead of heat, while nothing is hovered. */
  mask = null;
  /** @type {Components | null} Colours in the place of heat, while nothing is hovered. */
  components = null;
  /** @type {string | null} The id of the pin whose heat shows while nothing is hovered. */
  selected = null;
  /** @type {string | null} A sentence of the viewer's own. */
  notice = null;
  #memory = createMemory();
  #store;
  #options;
  #pins;

  constructor({ store, options, pins }) {
    this.#store = store;
    this.#options = options;
    this.#pins = pins;
  }

  /** Take what the host gives; whether it is about another clip. */
  update(next) {
    const before = this.data?.clip;
    this.data = { clip: null, blocks: [], pins: [], ...next };
    this.#options.receive(this.data.options);
    const another = before !== this.data.clip;
    if (another) {
      this.#pins.forget();
      this.selected = null;
    }
    this.#pins.receive(this.data.pins ?? [], this.data.can ?? {});
    this.notice = null;
    return another;
  }

  /** Take what the store holds of what the host named; whether the clip is another one. */
  collect() {
    const [named = null] = this.#held([this.data.clip], "clip");
    const another = named !== this.clip;
    this.clip = named;
    if (another) this.#memory.forget();
    const [mask = null] = this.#held([this.data.mask], "mask");
    this.mask = mask?.frames.length === this.clip?.frames.length ? mask : null;
    const [components = null] = this.#held([this.data.components], "components");
    const fits = components?.grid.steps.length === this.clip?.frames.length;
    this.components = fits ? components : null;
    this.blocks = this.#held(this.data.blocks, "block").filter((block) => this.#fits(block));
    for (const blob of this.#store.values()) {
      const owner = blob.kind in LATER && this.blocks.find(({ tag }) => tag === blob.block);
      if (owner) owner[LATER[blob.kind]] = blob;
    }
    this.choose();
    const { block } = this;
    // Before the first hover asks for it.
    if (block) setTimeout(() => this.block && prepare(this.block), 30);
    return another;
  }

  #held(tags, kind) {
    return tags.map((tag) => this.#store.get(tag)).filter((blob) => blob?.kind === kind);
  }

  #fits({ query, key }) {
    const count = this.clip?.frames.length;
    return [query, key].every(({ frames, steps }) =>
      steps.length === count && frames.flat().every((t) => t < count)
    );
  }

  /**
   * Change options, and choose the block that they name; where it is not there, the last that can
   * be asked from places of the clip, as nlviz.Analysis.default_block is.
   */
  choose(patch = null) {
    if (patch) this.#options.change(patch);
    const named = this.blocks.find(({ label }) => label === this.#options.value.block);
    const complete = this.blocks.length === this.data?.blocks.length;
    const usual = this.blocks.filter(isUsual).at(-1) ?? this.blocks.at(-1);
    this.block = named ?? (complete ? usual : null) ?? null;
    if (this.block && this.block !== named) this.#options.mend({ block: this.block.label });
  }

  /** Whether the clip is one image, which cannot play. */
  get single() {
    return this.clip?.frames.length === 1;
  }

  /** Whether one frame is on the stage, and the clip plays. */
  get plays() {
    return this.#options.value.view === "player" && this.clip?.frames.length > 1;
  }

  /**
   * Whether links stay in their frame: an image's do, and where a network sees each frame alone.
   */
  get inFrame() {
    return this.single || this.block?.joins_frames === false;
  }

  /** The options as this block can follow them. */
  get wanted() {
    const chosen = this.#options.value;
    const { exclude, head, rank_by, scale } = chosen;
    const ranks = rank_by === "contribution" && this.can.rank && !this.block?.sized?.problem;
    return {
      ...chosen,
      exclude: exclude === "frame" && this.inFrame ? "cell" : exclude,
      head: head < (this.block?.heads ?? 1) ? head : null,
      rank_by: ranks ? rank_by : "affinity",
      scale: ranks ? "row" : scale, // contributions have no scale in common
    };
  }

  /** Whether the block can answer now. */
  get answers() {
    return this.block !== null && answers(this.block, this.wanted);
  }

  /** What a place sees in the block; see createMemory. */
  ask(place, until, options = this.wanted) {
    return this.#memory.get(this.block, this.clip, place, options, until);
  }

  /** The pins whose frames the clip has. */
  get pins() {
    const { clip } = this;
    if (!clip) return [];
    return this.#pins.shown().filter(({ t, token }) => token || t < clip.frames.length);
  }

  /** The colour of the next pin. */
  get freeColour() {
    return this.#pins.freeColour();
  }

  /** What can be done with the pins, and with the ranking. */
  get can() {
    const rank = Boolean(this.data?.can?.rank);
    return { undo: this.#pins.canUndo(), redo: this.#pins.canRedo(), rank };
  }

  /** The pin whose heat shows while nothing is hovered, or null. */
  selectedOf(pins) {
    return pins.find(({ id }) => id === this.selected) ?? pins.at(-1) ?? null;
  }

  /** Why there is no answer yet, where constants or sizes are on their way; else null. */
  get waiting() {
    if (!this.block || this.answers) return null;
    const weighs = answers(this.block, { ...this.wanted, rank_by: "affinity" });
    return weighs
      ? "Measuring what each place adds…"
      : "Working out who looks where in this block…";
  }

  /** One sentence on what is not there, or null. */
  get missing() {
    const { data, clip, blocks } = this;
    if (this.#store.problem) return this.#store.problem;
    if (!data?.clip) return "No clip yet.";
    if (!clip) return this.#store.has(data.clip) ? DAMAGED : "Loading the frames…";
    if (this.#held(data.blocks, "block").length > blocks.length) return DAMAGED;
    return blocks.length < data.blocks.length ? "Loading the blocks…" : null;
  }

  /** Why links are ranked by affinity although contributions were asked for, or null. */
  get unranked() {
    const asked = this.#options.value.rank_by === "contribution";
    return (asked ? this.block?.sized?.problem : null) ?? null;
  }
}
