// Clock: which frame is shown while the clip plays, at the clip's own speed or slower.

const SHORTEST = 0.02; // seconds a frame stays, whatever the clip says
const LONGEST = 3;
const USUAL = 1 / 8; // where the clip has no times

/** {play(), pause(), playing, speed}; turn(t) is called for each new frame, stopped() at the end. */
export function createClock({ turn, stopped }) {
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
      if (still && t === times.length - 1) turn((t = 0));
      timer = setTimeout(next, (1000 * stay(t)) / speed);
    },
    pause() {
      clearTimeout(timer);
      timer = 0;
    },
  };
}
