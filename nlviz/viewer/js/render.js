// Render: one moment of the viewer, looked up within a frame's time, painted and put into words.

import { setText } from "./dom.js";
import { drawMarks } from "./draw/marks.js";
import { pinNear } from "./pointer/pins.js";
import { middleOf } from "./rows/grid.js";
import { exactLinks } from "./rows/links.js";
import { tokensOf } from "./rows/question.js";
import { heatScale } from "./rows/scale.js";

const TURN = 8; // ms of computing in one drawing; what takes longer goes on in the next

/** {invalidate(), moment(), timing, close()}: draws once in an animation frame, when asked to. */
export function createRender(viewer) {
  const { model, stage, player } = viewer;
  let timing = { count: 0, compute: 0, draw: 0 };
  let queued = 0;

  function invalidate() {
    queued ||= requestAnimationFrame(render);
  }

  function render() {
    queued = 0;
    const start = performance.now();
    if (model.clip && model.plays) stage.focus(player.now);
    const moment = momentOf(viewer, start + TURN);
    const computed = performance.now();
    const painted = !stage.layout || paint(viewer, moment, start + TURN);
    tell(viewer, moment);
    const done = performance.now();
    timing = { count: timing.count + 1, compute: computed - start, draw: done - computed };
    if (moment.unfinished || !painted) invalidate();
  }

  return {
    invalidate,
    moment: () => momentOf(viewer),
    get timing() {
      return timing;
    },
    close() {
      cancelAnimationFrame(queued);
      queued = -1; // nothing is drawn any more
    },
  };
}

/**
 * The place in focus, what it sees, and the pins with theirs; what is not computed by `until` stays
 * unfinished.
 */
function momentOf(viewer, until = Infinity) {
  const { model, stage, pointing } = viewer;
  const pins = model.pins;
  const pin = model.selectedOf(pins);
  const hover = pointing.place;
  const place = stage.layout ? (hover ?? pin) : null;
  const moment = {
    pin,
    place,
    hovered: Boolean(hover),
    pins: pins.map((each) => [each, null]),
    curves: [],
    seen: null,
    scale: null,
    key: "",
    unfinished: false,
  };
  if (!stage.layout || !model.answers) return moment;
  const { block, wanted } = model;
  const focus = place && model.ask(place, until, wanted);
  moment.unfinished = focus ? focus.seen.done < 1 : false;
  const answered = pins.map((each) => {
    const late = performance.now() > until;
    const { seen } = model.ask(each, late ? 0 : until, wanted);
    moment.unfinished ||= seen.done < 1;
    return [each, { ...seen, ...exactLinks(each, block, wanted) }];
  });
  const together = wanted.together && !hover;
  const drawn = (each) => together || (!hover && each === pin);
  moment.pins = answered.map(([each, seen]) => [each, drawn(each) ? seen : null]);
  moment.curves = answered.map(([each, { shares }]) => {
    return { shares, colour: each.color, strong: !hover && each === pin };
  });
  if (!focus) return moment;
  const exact = hover ? null : answered.find(([each]) => each.id === pin.id)[1];
  moment.seen = { ...focus.seen, ...exact };
  if (hover) {
    moment.curves.push({
      shares: moment.seen.shares,
      colour: colourOf(viewer, hover),
      strong: true,
    });
  }
  return { ...moment, scale: heatScale(block, moment.seen, wanted), key: focus.key };
}

const colourOf = ({ model, stage }, place) =>
  pinNear(stage, model.pins, place)?.color ?? model.freeColour;

/** The components that are drawn: heat takes their place while something is pointed at. */
const coloursOf = ({ model }, hovered) =>
  model.wanted.components && !(hovered && model.wanted.heat) ? model.components : null;

/** Heat, ink and timeline; whether all of the heat is drawn, which may take longer than `until`. */
function paint(viewer, { pin, place, hovered, pins, curves, seen, scale, key }, until) {
  const { model, stage, player } = viewer;
  const { heat, opacity, colours, links, reverse, sharpened } = model.wanted;
  const components = coloursOf(viewer, hovered);
  stage.showComponents(components, opacity);
  const shown = seen && heat && (hovered || !(model.mask || components));
  const style = { colours, opacity, sharpened };
  const heatKey = shown ? `${key} ${JSON.stringify([scale, style])}` : "";
  const drawn = stage.drawHeat(heatKey, seen, scale, style, until);
  const hover = hovered && {
    place: place.region ? { ...place, ...middleOf(place.region) } : place,
    seen,
    colour: colourOf(viewer, place),
  };
  drawMarks(...stage.ink(), { block: model.block, pins, pin, seen, hover, links, reverse });
  player.show(model.plays, curves.filter(({ shares }) => shares.length));
  return drawn;
}

/** Controls and words. */
function tell(viewer, { pin, place, hovered, seen, scale }) {
  const { model, stage, pointing, toolbar, tokens, chips, readout, notice, card } = viewer;
  const { data, clip, block, wanted, missing } = model;
  setText(stage.message, missing ?? "");
  stage.message.hidden = Boolean(clip);
  const own = model.notice ?? (clip ? (missing ?? model.unranked) : null);
  setText(notice, data?.notice ?? own ?? "");
  notice.hidden = notice.textContent === "";
  card.classList.toggle("nlviz-empty", !clip);
  if (!clip) return;
  toolbar.show({
    blocks: model.blocks,
    block,
    options: wanted,
    single: model.single,
    inFrame: model.inFrame,
    can: model.can,
    tool: pointing.tool,
    components: model.components !== null,
  });
  tokens.show(block ? tokensOf(block, wanted.reverse) : []);
  chips.show(model.pins, clip, pin);
  const components = coloursOf(viewer, hovered);
  const { waiting } = model;
  readout.show({ clip, block, place, seen, scale, components, waiting, options: wanted });
  const over = pointing.place && stage.layout && pinNear(stage, model.pins, pointing.place);
  stage.node.classList.toggle("nlviz-over-pin", Boolean(over));
}
