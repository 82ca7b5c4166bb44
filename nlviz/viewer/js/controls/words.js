// Words: what the viewer says about a block, a place and its links.

import { isPooled } from "../rows/grid.js";

const MOST = 8; // names in a row

const FUNCTIONS = {
  gaussian: "Gaussian",
  embedded_gaussian: "embedded Gaussian",
  dot_product: "dot product",
  concatenation: "concatenation",
  derived: "derived",
};

export const shapeOf = ({ t, rows, cols }) => `${t}×${rows}×${cols}`;

export function strideOf({ stride }) {
  const [, down, across] = stride ?? [];
  const tidy = (value) => Number(value.toFixed(1));
  if (down === undefined) return "grid";
  return down === across ? `stride ${tidy(down)}` : `stride ${tidy(across)}×${tidy(down)}`;
}

/** A weight with two or three significant digits. */
export function weightText(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 0.001 && size < 1000) return value.toPrecision(size >= 1 ? 3 : 2).replace("-", "−");
  const [digits, power] = value.toExponential(1).split("e");
  const raised = [...String(Number(power))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"["0123456789".indexOf(c)] ?? "⁻")
    .join("");
  return `${digits}×10${raised}`.replace("-", "−");
}

export function percentText(share) {
  if (share > 0 && share < 0.01) return `${(100 * share).toFixed(1)}%`;
  return `${Math.round(100 * share)}%`;
}

/** "Frame 12, x 338, y 162", a region of a frame, or a token by its name. */
export function placeText({ t, x, y, region, token }, clip) {
  if (token) return `Token ${token}`;
  if (region) return `Region on frame ${clip.frames[t]}`;
  return `Frame ${clip.frames[t]}, x ${Math.floor(x)}, y ${Math.floor(y)}`;
}

/** What the drawn links say, or why there are none. */
export function linksText({ links, covered, range, total, done }, place, reverse) {
  if (range.absent) return absentText(range.absent, place, reverse);
  if (range.none) {
    return place.token
      ? "this block has no such token"
      : "it holds the centre of no cell of this block";
  }
  if (done === 0) return "averaging…";
  if (range.empty) {
    return range.unreached
      ? unreachedText(range.tokens, reverse)
      : "every place lies in the own frame, so no link is left: under “More”, leave out nothing";
  }
  if (total === 0) return reverse ? "nothing looks here" : "every weight of this row is zero";
  const count = `${links.length} link${links.length === 1 ? "" : "s"}`;
  const whose = reverse ? "of the weight that all places give it" : "of the row’s weight";
  return `${count} carr${links.length === 1 ? "ies" : "y"} ${percentText(covered)} ${whose}`;
}

/** No place can be reached, or in reverse no place can look here. */
function unreachedText(tokens, reverse) {
  const named = tokens.slice(0, MOST).join(", ") +
    (tokens.length > MOST ? ` and ${tokens.length - MOST} more` : "");
  if (!tokens.length) return reverse ? "nothing can look here" : "nothing can be reached from here";
  return reverse ? `only tokens look here: ${named}` : `only tokens can be reached: ${named}`;
}

/** Nothing can be asked at a place: where the block's queries, or in reverse its keys, lie. */
function absentText({ frames, everywhere }, { region, token }, reverse) {
  const [one, many] = reverse ? ["key", "keys"] : ["query", "queries"];
  const where = token ? `this block has no ${one} of it` : `no ${one} ${region ? "in it" : "here"}`;
  if (token || everywhere) return where;
  if (!frames.length) {
    return `${where}: in this block only tokens ${reverse ? "are looked at" : "look"}, below`;
  }
  return `${where}: this block’s ${many} lie on ${framesText(frames)}`;
}

/** What can be done where nothing is pointed at yet; `lie` is `whereabouts` of what is asked. */
export function hintText({ count, frames, everywhere }, tokens, reverse) {
  if (count === 0 && tokens.length) {
    return reverse
      ? "Only tokens are looked at in this block: choose one below to see by whom."
      : "Only tokens look at something in this block: choose one below to see at what.";
  }
  const [first, last] = [frames[0], frames.at(-1)];
  const on = first === last ? ` on frame ${first}` : ` on a frame from ${first} to ${last}`;
  const where = everywhere || !frames.length ? "" : on;
  return `Point at anything${where} to see ${
    reverse ? "who looks at it" : "what it looks at"
  }; click to pin it.`;
}

/** "frame 12", "frames 0 to 40", or how many of them lie between two. */
function framesText(frames) {
  const [first, last] = [frames[0], frames.at(-1)];
  if (frames.length === 1) return `frame ${first}`;
  return `${frames.length} frames, ${first} to ${last}`;
}

/** How much of the block the place can reach, or be reached from, where that is not all. */
export function reachText({ reaches, left, there, range }, reverse) {
  const all = left.length;
  if (range.absent || reaches === all) return "";
  const number = (count) => count.toLocaleString("en");
  if (there === all) return `reaches ${number(reaches)} of ${number(all)} places`;
  const some = reaches === there ? "all" : `${number(reaches)} of`;
  return `reaches ${some} ${number(there)} places that have a ${reverse ? "query" : "key"}`;
}

/** The block, its keys and what one key covers, and the fidelity of the capture. */
export function blockText(block) {
  const { key, query } = block;
  const frames = Math.max(...key.frames.map((list) => list.length));
  const cover = `one covers ${Math.round(key.dx)}×${Math.round(key.dy)} px of ${frames} frame${
    frames === 1 ? "" : "s"
  }`;
  const pooled = isPooled(block) ? `pooled from ${shapeOf(query)}, ` : "";
  const parts = [
    `${block.label}, ${FUNCTIONS[block.function]}, ${strideOf(block)}`,
    `keys ${shapeOf(key)} (${pooled}${cover})`,
  ];
  if (block.heads > 1) parts.push(`${block.heads} heads`);
  if (Number.isFinite(block.fidelity)) parts.push(`fidelity ${weightText(block.fidelity)}`);
  else parts.push("fidelity not measured");
  return parts.join(" · ");
}

/** For a screen reader: the place, its links and where the strongest leads. */
export function spokenText(place, seen, clip, reverse) {
  const first = seen.links[0];
  const added = (first?.contribution ?? null) === null
    ? ""
    : `, contribution ${weightText(first.contribution)}`;
  const best = first
    ? `. Strongest: ${placeText(first, clip)}, affinity ${weightText(first.weight)}${added}`
    : "";
  return `${placeText(place, clip)}: ${linksText(seen, place, reverse)}${best}.`;
}
