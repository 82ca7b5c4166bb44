// Ink: links, pins and outlines, drawn over the frames with a dark casing so that they read on any
// picture.

import { boxOf } from "../rows/grid.js";
import { isVisible, pointAt } from "./layout.js";

/** What a link was ranked by, which its width shows. */
const drawn = (link) => link.contribution ?? link.weight;

const CASING = "rgb(0 0 0 / 0.5)";
const SOFT_CASING = "rgb(0 0 0 / 0.28)"; // under lines, which may be thinner than their casing

/**
 * Links of a place, the weakest first so that the strongest lies on top; `ringed` marks its end,
 * `faint` steps back, `reverse` turns the arrows round. Where one frame is on the stage, links that
 * leave it step back, and those between two others are left out. A token is nowhere: its links are
 * dots at their ends.
 */
export function drawLinks(
  context,
  stage,
  source,
  links,
  colour,
  { ringed = true, faint = false, reverse = false } = {},
) {
  const { layout, clip } = stage;
  const from = source.token ? null : pointAt(layout, clip, source);
  const here = from !== null && isVisible(layout, source.t);
  const strongest = Math.max(...links.map((link) => Math.abs(drawn(link))), 1e-30);
  for (let i = links.length - 1; i >= 0; i--) {
    const link = links[i];
    const there = isVisible(layout, link.t);
    if (!there && !here) continue;
    const strength = Math.abs(drawn(link)) / strongest;
    const at = pointAt(layout, clip, link);
    const width = 1.2 + 1.9 * strength + (i === 0 ? 0.5 : 0);
    const alpha = (faint ? 0.65 : 1) * (there ? 1 : 0.4) * (i === 0 ? 1 : 0.4 + 0.5 * strength);
    if (!from) drawDot(context, at, width + 2, colour, alpha);
    else {drawArrow(context, ...(reverse ? [at, beside(from, at)] : [from, at]), {
        colour,
        width,
        alpha,
        dashed: link.weight < 0,
      });}
  }
  if (ringed && links.length && isVisible(layout, links[0].t)) {
    drawTarget(context, pointAt(layout, clip, links[0]), colour);
  }
}

/** A point at the rim of a pin, so that arrows that end there can be seen. */
function beside(pin, other) {
  const length = Math.hypot(other.x - pin.x, other.y - pin.y);
  const share = length > 30 ? 10 / length : 0;
  return { x: pin.x + (other.x - pin.x) * share, y: pin.y + (other.y - pin.y) * share };
}

/** A shallow arc with a head at its end. */
function drawArrow(context, from, to, { colour, width, alpha, dashed }) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const length = Math.hypot(dx, dy);
  if (length < 3) return drawDot(context, to, width, colour, alpha);
  const bend = Math.min(0.14 * length, 46) * (dx < 0 ? -1 : 1);
  const control = {
    x: (from.x + to.x) / 2 + (dy / length) * bend,
    y: (from.y + to.y) / 2 - (dx / length) * bend,
  };
  const angle = Math.atan2(to.y - control.y, to.x - control.x);
  const head = Math.min(3.5 + 2 * width, length * 0.6);
  const neck = { x: to.x - head * 0.7 * Math.cos(angle), y: to.y - head * 0.7 * Math.sin(angle) };
  const shaft = new Path2D();
  shaft.moveTo(from.x, from.y);
  shaft.quadraticCurveTo(control.x, control.y, neck.x, neck.y);
  const tip = new Path2D();
  tip.moveTo(to.x, to.y);
  for (const side of [-0.42, 0.42]) {
    tip.lineTo(to.x - head * Math.cos(angle + side), to.y - head * Math.sin(angle + side));
  }
  tip.closePath();
  context.globalAlpha = alpha;
  context.setLineDash(dashed ? [5, 4] : []);
  context.strokeStyle = SOFT_CASING;
  context.lineWidth = width + 1.2;
  context.stroke(shaft);
  context.strokeStyle = context.fillStyle = colour;
  context.lineWidth = width;
  context.stroke(shaft);
  context.setLineDash([]);
  context.fill(tip);
  context.strokeStyle = CASING;
  context.lineWidth = 0.7;
  context.stroke(tip);
  context.globalAlpha = 1;
}

function drawDot(context, at, radius, colour, alpha) {
  context.globalAlpha = alpha;
  ring(context, at, radius + 1.5, colour, CASING, 1);
  context.globalAlpha = 1;
}

/** The ring around the strongest link's end. */
function drawTarget(context, at, colour) {
  ring(context, at, 7, null, CASING, 4);
  ring(context, at, 7, null, colour, 2);
}

/**
 * A pin, or with `open` the place under the pointer; hollow where it lies on a frame that is not
 * shown.
 */
export function drawPlace(context, stage, place, colour, { open = false, selected = false } = {}) {
  if (place.token) return;
  const at = pointAt(stage.layout, stage.clip, place);
  if (!isVisible(stage.layout, place.t)) {
    ring(context, at, 5.5, null, CASING, 4);
    ring(context, at, 5.5, null, colour, 2);
    return;
  }
  if (selected) ring(context, at, 9.5, null, CASING, 3.4);
  if (selected) ring(context, at, 9.5, null, "#fff", 1.6);
  if (open) {
    ring(context, at, 3.6, null, CASING, 3.6);
    ring(context, at, 3.6, colour, "#fff", 1.4);
  } else {
    ring(context, at, 6.5, "#14161b", null, 0);
    ring(context, at, 5.2, colour, null, 0);
    ring(context, at, 1.6, "#14161b", null, 0);
  }
}

/** The outline of a region on its frame, dashed while it is drawn. */
export function drawRegion(context, stage, { t, region }, colour, { open = false } = {}) {
  const shape = new Path2D();
  for (const [x, y] of region) {
    const at = pointAt(stage.layout, stage.clip, { t, x, y });
    shape.lineTo(at.x, at.y);
  }
  shape.closePath();
  context.globalAlpha = isVisible(stage.layout, t) ? 1 : 0.4;
  context.strokeStyle = CASING;
  context.lineWidth = 3.4;
  context.stroke(shape);
  context.setLineDash(open ? [5, 4] : []);
  context.strokeStyle = colour;
  context.lineWidth = 1.8;
  context.stroke(shape);
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function ring(context, { x, y }, radius, fill, stroke, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  if (fill) {
    context.fillStyle = fill;
    context.fill();
  }
  if (stroke) {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.stroke();
  }
}

/** The box a cell stands for, on each frame it covers. */
export function drawFootprint(context, stage, grid, cell, colour) {
  const { layout, clip } = stage;
  const box = boxOf(grid, cell, clip);
  for (const t of grid.frames[cell.step].filter((frame) => isVisible(layout, frame))) {
    const a = pointAt(layout, clip, { t, x: box.x0, y: box.y0 });
    const b = pointAt(layout, clip, { t, x: box.x1, y: box.y1 });
    const sides = [a.x + 0.5, a.y + 0.5, Math.max(b.x - a.x - 1, 1), Math.max(b.y - a.y - 1, 1)];
    context.strokeStyle = CASING;
    context.lineWidth = 3;
    context.strokeRect(...sides);
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.strokeRect(...sides);
  }
}

/**
 * The frames with their captions; a frame that is not decoded yet is an empty box of the same size.
 */
export function drawFrames(context, { layout, clip, pictures }, theme) {
  context.font = theme.font;
  context.textBaseline = "top";
  context.imageSmoothingQuality = "high";
  layout.frames.forEach((frame, t) => {
    if (!isVisible(layout, t)) return;
    context.fillStyle = theme.empty;
    context.fillRect(frame.x, frame.y, frame.w, frame.h);
    if (pictures[t]) context.drawImage(pictures[t], frame.x, frame.y, frame.w, frame.h);
    context.fillStyle = theme.text;
    context.fillText(caption(context, clip, t, frame.w), frame.x, frame.y + frame.h + 5);
  });
}

function caption(context, clip, t, room) {
  const time = `${clip.times[t].toFixed(2)} s`;
  const long = `frame ${clip.frames[t]} · ${time}`;
  const short = `${clip.frames[t]} · ${time}`;
  return [long, short].find((text) => context.measureText(text).width <= room) ??
    `${clip.frames[t]}`;
}
