// Scene: all the ink of one moment, the pins with their links or the place under the pointer with its own.

import { cellAt } from "./grid.js";
import { drawFootprint, drawLinks, drawPlace } from "./ink.js";

/**
 * Draw on a context. `pins` are [pin, answer] pairs (answer null while another place is hovered),
 * `pin` is the chosen one, `hover` is {place, seen, colour} or null; without `links` none are drawn.
 */
export function drawScene(context, stage, { block, pins, pin, hover, links }) {
  for (const [each, answer] of pins) {
    if (links && answer) drawLinks(context, stage, each, answer.links, each.color, { faint: each !== pin });
  }
  if (hover) drawHover(context, stage, block, hover, links);
  else if (pin && block) drawFootprint(context, stage, block.query, cellAt(block.query, pin), pin.color);
  for (const [each] of pins) {
    drawPlace(context, stage, each, each.color, { selected: each === pin && pins.length > 1 });
  }
}

function drawHover(context, stage, block, { place, seen, colour }, links) {
  if (seen && links && seen.links.length) {
    drawLinks(context, stage, place, seen.links, colour, { ringed: false });
    drawFootprint(context, stage, block.key, seen.links[0].cell, colour);
  }
  if (seen) drawFootprint(context, stage, block.query, seen.cell, "#fff");
  drawPlace(context, stage, place, colour, { open: true });
}
