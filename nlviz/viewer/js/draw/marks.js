// Marks: all the ink of one moment, the pins with their links or the place under the pointer with
// its own.

import { drawFootprint, drawLinks, drawPlace, drawRegion } from "./ink.js";

/**
 * Draw on a context. `pins` are [pin, answer] pairs (answer null where its links are not shown),
 * `pin` is the chosen one and `seen` what it sees, `hover` is {place, seen, colour} or null;
 * without `links` none are drawn.
 */
export function drawMarks(context, stage, { block, pins, pin, seen, hover, links, reverse }) {
  for (const [each, answer] of pins) {
    if (links && answer) {
      drawLinks(context, stage, each, answer.links, each.color, { faint: each !== pin, reverse });
    }
  }
  if (hover) drawHover(context, stage, block, hover, links, reverse);
  else if (pin && seen && !pin.region && seen.cells.length) {
    drawFootprint(context, stage, ownGrid(block, reverse), seen.cells[0], pin.color);
  }
  for (const [each] of pins) {
    if (each.region) drawRegion(context, stage, each, each.color);
    drawPlace(context, stage, each, each.color, { selected: each === pin && pins.length > 1 });
  }
}

const ownGrid = (block, reverse) => (reverse ? block.key : block.query);

function drawHover(context, stage, block, { place, seen, colour }, links, reverse) {
  if (place.region) drawRegion(context, stage, place, colour, { open: true });
  if (seen && links && seen.links.length) {
    drawLinks(context, stage, place, seen.links, colour, { ringed: false, reverse });
    drawFootprint(context, stage, seen.grid, seen.links[0].cell, colour);
  }
  if (seen && !place.region && seen.cells.length) {
    drawFootprint(context, stage, ownGrid(block, reverse), seen.cells[0], "#fff");
  }
  if (!place.region) drawPlace(context, stage, place, colour, { open: true });
}
