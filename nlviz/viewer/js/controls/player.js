// Player: one frame on the stage, the timeline below it, and the clock that turns the frames.

import { createTimeline } from "./timeline.js";

/**
 * turned() is called when another frame is on the stage; play(options) for the view to change to
 * the player.
 */
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

const SHORTEST = 0.02; // seconds a frame stays, whatever the clip says
const LONGEST = 3;
const USUAL = 1 / 8; // where the clip has no times

/**
 * Which frame is shown while the clip plays, at its own speed or slower: {play(), pause(),
 * playing}. turn(t) is called for each new frame, stopped() at the end.
 */
function createClock({ turn, stopped }) {
  let timer = 0;
  let times = [];
  let t = 0;
  let speed = 1;
  let loop = true;

  /** Seconds that a frame stays; the last one as long as the others on average. */
  function stay(at) {
    const last = times.length - 1;
    const seconds = at < last ? times[at + 1] - times[at] : (times[last] - times[0]) / last;
    return Math.min(Math.max(seconds > 0 ? seconds : USUAL, SHORTEST), LONGEST);
  }

  function next() {
    if (t === times.length - 1 && !loop) {
      timer = 0;
      return stopped();
    }
    t = (t + 1) % times.length;
    turn(t);
    timer = setTimeout(next, (1000 * stay(t)) / speed);
  }

  return {
    get playing() {
      return timer !== 0;
    },
    /** From a frame on; once through and no more where `still` motion is wanted. */
    play(clip, from, { still = false, at = 1 } = {}) {
      clearTimeout(timer);
      [times, t, loop, speed] = [clip.times, from, !still, at];
      if (times.length < 2) return;
      if (still && t === times.length - 1) turn(t = 0);
      timer = setTimeout(next, (1000 * stay(t)) / speed);
    },
    pause() {
      clearTimeout(timer);
      timer = 0;
    },
  };
}
