// Player: one frame on the stage, the timeline below it, and the clock that turns the frames.

import { createClock } from "./clock.js";
import { createTimeline } from "./timeline.js";

/** turned() is called when another frame is on the stage; play(options) for the view to change to the player. */
export function createPlayer({ turned, open }) {
  let clip = null;
  let now = 0;
  let speed = 1;
  const calm = globalThis.matchMedia("(prefers-reduced-motion: reduce)");
  const turn = (t) => {
    now = t;
    turned();
  };
  const clock = createClock({ turn, stopped: turned });
  const start = () => clock.play(clip, now, { still: calm.matches, at: speed });

  function toggle() {
    if (!clip || clip.frames.length < 2) return;
    open();
    if (clock.playing) clock.pause();
    else start();
    turned();
  }

  function scrub(t) {
    clock.pause();
    turn(t);
  }

  const timeline = createTimeline({
    scrub,
    play: toggle,
    speed(times) {
      speed = times;
      if (clock.playing) start();
    },
  });

  return {
    root: timeline.root,
    toggle,
    scrub,
    pause: clock.pause,
    get now() {
      return now;
    },
    get playing() {
      return clock.playing;
    },

    /** Take another clip, or null. */
    load(next) {
      clock.pause();
      clip = next;
      now = 0;
    },

    /** Show the timeline with its curves, or hide it. */
    show(visible, curves) {
      timeline.root.hidden = !visible;
      if (visible) timeline.show({ clip, t: now, playing: clock.playing, curves });
    },
  };
}
