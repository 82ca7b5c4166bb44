// Scale: which weight gets which colour: against which greatest weight, and along which curve.

const DECADES = { row: 4, block: 4, absolute: 6 }; // how far down a logarithmic scale reaches

/**
 * Lowest and highest weight of the whole block, of one head or of their mean; null while they are
 * not known.
 */
export function extremesOf(block, head) {
  const known = block.extremes ?? block.later?.extremes;
  return known?.[head === null ? 0 : head + 1] ?? null;
}

/**
 * The scale of a heat map: {low, high, signed, curve, decades, range}. `range` says what it is
 * scaled to: the row's own weights, the block's ("row" while those are not known), or 1; `of`
 * whether weights or contributions.
 */
export function heatScale(block, seen, { scale, curve, head, rank_by }) {
  const extremes = scale === "block" ? extremesOf(block, head) : null;
  const range = scale === "block" && !extremes ? "row" : scale;
  const [low, high] =
    { row: [seen.range.low, seen.range.high], block: extremes, absolute: [-1, 1] }[range];
  const signed = block.function === "dot_product";
  const most = signed ? Math.max(Math.abs(low), Math.abs(high)) : Math.max(high, 0);
  return {
    low: signed ? -most : 0,
    high: most,
    signed,
    curve,
    decades: DECADES[range],
    range,
    of: block.function === "derived" ? "derived" : rank_by,
  };
}

/** From a weight to its place on the colour map: 0 to 1; −1 to 1 with zero at 0 where it is signed. */
export function placesOf({ high, signed, curve, decades }) {
  if (!(high > 0)) return () => 0;
  const bend = {
    linear: (size) => size,
    root: Math.sqrt,
    log: (size) => 1 + Math.log10(size) / decades,
  }[curve];
  const bounded = (size) => Math.min(Math.max(bend(size), 0), 1);
  if (signed) return (weight) => Math.sign(weight) * bounded(Math.abs(weight) / high);
  return (weight) => (weight > 0 ? bounded(weight / high) : 0);
}

/** From a weight to its colour's place in a list of 256. */
export function levels(scale) {
  const placed = placesOf(scale);
  if (scale.signed) return (weight) => Math.round(127.5 + 127.5 * placed(weight));
  return (weight) => Math.round(255 * placed(weight));
}

/** The weights at the left end, the middle and the right end of the colour bar. */
export function ticks({ low, high, signed, curve, decades }) {
  if (signed) return [low, 0, high];
  if (curve === "log") return [high * 10 ** -decades, high * 10 ** (-decades / 2), high];
  return [0, curve === "root" ? high / 4 : high / 2, high];
}
