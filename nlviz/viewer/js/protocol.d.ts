// What Python and the viewer say to each other. tools/protocol.py makes it from the Python types:
// change those, then run `python -m tools.protocol`.

/** All that the viewer needs beside the blobs. */
export interface Scene {
  clip: string;
  blocks: string[];
  pins: ScenePin[];
  options: Options;
  max_pins: number;
  can: Can;
  mask: string | null;
  components: string | null;
  notice: string | null;
}

/** A pin: at a point or in the middle of a region of frame t, or a token, which is nowhere. */
export interface ScenePin {
  id: string;
  color: string;
  name: string;
  t: number | null;
  x: number | null;
  y: number | null;
  region: [number, number][] | null;
  token: string | null;
  exact: Exact | null;
}

/** The exact links of a pin, the question that they answer, and the share they cover. */
export interface Exact {
  block: string;
  k: number;
  exclude: "none" | "cell" | "frame";
  head: number | null;
  reverse: boolean;
  rank_by: "affinity" | "contribution";
  links: SceneLink[];
  covered: number;
}

/** A link's end: position of its frame among those shown, source pixels. */
export interface SceneLink {
  rank: number;
  weight: number;
  contribution: number | null;
  share: number;
  t: number;
  x: number;
  y: number;
}

/** What can be done: with the pins, and whether `blobs.sizes_blob` can come. */
export interface Can {
  undo: boolean;
  redo: boolean;
  rank: boolean;
}

/** What the visitor chose in the viewer's toolbar. */
export interface Options {
  block: string | null;
  head: number | null;
  reverse: boolean;
  k: number;
  rank_by: "affinity" | "contribution";
  exclude: "none" | "cell" | "frame";
  links: boolean;
  heat: boolean;
  opacity: number;
  scale: "row" | "block" | "absolute";
  curve: "linear" | "root" | "log";
  colours: "dusk" | "viridis" | "cividis" | "grey";
  sharpened: boolean;
  components: boolean;
  together: boolean;
  view: "strip" | "player";
}

/** A pin at a point: position of the frame among those shown, source pixels. */
export interface AddPoint {
  type: "add";
  t: number;
  x: number;
  y: number;
}

/** A pin around a region: its outline on one frame. */
export interface AddRegion {
  type: "add";
  t: number;
  region: [number, number][];
}

/** A pin at a token, by its name. */
export interface AddToken {
  type: "add";
  token: string;
}

/** A pin goes. */
export interface Remove {
  type: "remove";
  id: string;
}

/** A pin gets another name. */
export interface Rename {
  type: "rename";
  id: string;
  name: string;
}

/** A pin goes to another place of the list. */
export interface Move {
  type: "move";
  id: string;
  to: number;
}

/** The list as it was before, as it was before the last undo, or empty. */
export interface Turn {
  type: "undo" | "redo" | "clear";
}

/** The clip: parts frame0, frame1 … are JPEGs; source indices and seconds of the frames. */
export interface ClipHeader {
  kind: "clip";
  name: string;
  width: number;
  height: number;
  frames: number[];
  times: number[];
}

/** A block: parts phi, theta where it is another, and of each rule of what is reached query0, key0 and until0, or bits0 …. */
export interface BlockHeader {
  kind: "block";
  clip: string;
  name: string;
  label: string;
  function: string;
  stride: number[];
  width: number;
  heads: number;
  tokens: string[];
  reach: number;
  scale: number;
  query: GridHeader;
  key: GridHeader;
  fidelity: number | null;
  joins_frames: boolean;
  about: string[];
}

/** A grid in source pixels: its first cell's centre and the steps from one to the next. */
export interface GridHeader {
  t: number;
  rows: number;
  cols: number;
  x0: number;
  y0: number;
  dx: number;
  dy: number;
  frames: number[][];
  steps: number[];
}

/** Constants of a block's rows, by its tag; the lowest and highest weight of mean and heads. */
export interface ConstantsHeader {
  kind: "constants";
  block: string;
  extremes: [number, number][];
}

/** What each key of a block adds, by the block's tag; or a sentence why that is not known. */
export interface SizesHeader {
  kind: "sizes";
  block: string;
  problem: string | null;
}

/** An object over the frames: parts mask0, mask1 … are PNGs. */
export interface MaskHeader {
  kind: "mask";
  clip: string;
  frames: number[];
}

/** Colours of cells that are no weights, and what they are: part cells, RGBA cell by cell. */
export interface ComponentsHeader {
  kind: "components";
  clip: string;
  grid: GridHeader;
  words: string[];
}

/** What every header has in addition once it is packed. */
export interface Packed {
  tag: string;
  parts: PartEntry[];
}

/** Where a part lies after the header, in bytes. */
export interface PartEntry {
  name: string;
  dtype: "f16" | "f32" | "i32" | "u8";
  offset: number;
  length: number;
}

export type Act = AddPoint | AddRegion | AddToken | Remove | Rename | Move | Turn;

export type Header =
  | ClipHeader
  | BlockHeader
  | ConstantsHeader
  | SizesHeader
  | MaskHeader
  | ComponentsHeader;
