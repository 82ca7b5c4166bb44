// Timeline: the frames along time, how much of each row's weight lies on them, and where the player
// is.

import { element, setText } from "../dom.js";
import { percentText } from "./words.js";

const HEIGHT = 100; // of the drawing, in units of its own
const SPEEDS = { 1: "1×", 0.5: "½×", 0.25: "¼×" };

/**
 * scrub(t) is called for a frame that is chosen, play() to start or stop, speed(times) for another
 * speed.
 */
export function createTimeline({ scrub, play, speed }) {
  const button = element("button", { type: "button", className: "nlviz-play", onclick: play });
  const choice = element(
    "select",
    { "aria-label": "Speed", title: "Speed" },
    ...Object.entries(SPEEDS).map(([value, name]) => element("option", { value }, name)),
  );
  choice.value = 1;
  choice.addEventListener("change", () => speed(Number(choice.value)));
  choice.addEventListener("keydown", (event) => event.stopPropagation());
  const holder = element("div", {
    innerHTML: `<svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none"><polyline/></svg>`,
  });
  const drawing = holder.firstChild;
  const blank = drawing.firstChild; // one line, to be copied
  const most = element("span", { className: "nlviz-most" });
  const head = element("i", { className: "nlviz-head" });
  const rail = element("div", { className: "nlviz-rail" });
  const track = element(
    "div",
    { className: "nlviz-track", role: "slider", tabIndex: 0, "aria-label": "Frame" },
    drawing,
    rail,
  );
  const now = element("output", {});
  const words = element("div", { className: "nlviz-now" }, now, most);
  const root = element(
    "div",
    { className: "nlviz-timeline", hidden: true },
    button,
    track,
    words,
    choice,
  );
  let clip = null;
  let shown = "";

  /** Where a frame lies along the track, 0 to 1: by its time, or evenly where the clip has none. */
  function along(t) {
    const { times } = clip;
    const last = times.length - 1;
    const length = times[last] - times[0];
    return length > 0 ? (times[t] - times[0]) / length : t / Math.max(last, 1);
  }

  function nearest(event) {
    const box = rail.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width;
    const distance = (t) => Math.abs(along(t) - at);
    return clip.times.reduce((best, _, t) => (distance(t) < distance(best) ? t : best), 0);
  }

  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    scrub(nearest(event));
  });
  track.addEventListener("pointermove", (event) => {
    if (track.hasPointerCapture(event.pointerId)) scrub(nearest(event));
  });
  track.addEventListener("keydown", (event) => {
    const last = clip.times.length - 1;
    const t = Number(track.getAttribute("aria-valuenow"));
    const steps = {
      ArrowLeft: t - 1,
      ArrowDown: t - 1,
      ArrowRight: t + 1,
      ArrowUp: t + 1,
      Home: 0,
      End: last,
    };
    if (event.key === " ") play();
    else if (event.key in steps) scrub(Math.min(Math.max(steps[event.key], 0), last));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function draw(curves) {
    const highest = Math.max(...curves.flatMap(({ shares }) => shares), 1e-9);
    const line = ({ shares, colour, strong }) => {
      const path = blank.cloneNode();
      const points = shares.map((share, t) =>
        `${1000 * along(t)},${(HEIGHT - 4) * (1 - share / highest) + 2}`
      );
      path.setAttribute("points", points.join(" "));
      path.setAttribute("stroke", colour);
      path.setAttribute("class", strong ? "nlviz-strong" : "");
      return path;
    };
    drawing.replaceChildren(...curves.map(line));
    const mark = (_, t) => {
      const tick = element("i", {});
      tick.style.left = `${100 * along(t)}%`;
      return tick;
    };
    rail.replaceChildren(...clip.times.map(mark), head);
    setText(most, curves.length ? `top: ${percentText(highest)} of a row` : "");
  }

  return {
    root,
    /** `curves` are {shares by frame, colour, strong}; `t` is the frame on the stage. */
    show({ clip: next, t, playing, curves }) {
      clip = next;
      setText(button, playing ? "❚❚" : "▶");
      const what = playing ? "Pause" : "Play";
      if (button.title !== what) [button.title, button.ariaLabel] = [what, what];
      const key = JSON.stringify([clip.tag, curves]);
      if (key !== shown) draw(curves);
      shown = key;
      head.style.left = `${100 * along(t)}%`;
      const where = `Frame ${clip.frames[t]}, ${clip.times[t].toFixed(2)} s`;
      setText(now, where);
      const state = {
        "aria-valuemin": 0,
        "aria-valuemax": clip.times.length - 1,
        "aria-valuenow": t,
        "aria-valuetext": where,
      };
      for (const [name, value] of Object.entries(state)) track.setAttribute(name, value);
    },
  };
}
