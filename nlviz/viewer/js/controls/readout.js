// Readout: what is seen in words, for the eye and for a screen reader, and the scale of the heat map.

import { createBar } from "./bar.js";
import { element, setText } from "../dom.js";
import { blockText, linksText, placeText, reachText, spokenText } from "./words.js";

const HINT = "Point at anything to see what it looks at; click to pin it.";
const REVERSED = "Point at anything to see who looks at it; click to pin it.";
const FIDELITY = "Fidelity: how far y recomputed from these weights lies from what the block put out, relative";
const LEFT_OUT = { none: "", cell: ", without its own cell", frame: ", without its own frame" };
const SPEECH_PAUSE = 400; // ms: a hand that moves on is not talked over

export function createReadout() {
  const where = element("div", { className: "nlviz-where" });
  const detail = element("div", { className: "nlviz-detail", title: FIDELITY });
  const live = element("div", { className: "nlviz-live", "aria-live": "polite" });
  const bar = createBar();
  const words = element("div", { className: "nlviz-readout" }, where, detail);
  const root = element("div", { className: "nlviz-foot" }, words, bar.root, live);
  let spoken = "";
  let timer = 0;

  function speak(text) {
    if (text === spoken) return;
    spoken = text;
    clearTimeout(timer);
    timer = setTimeout(() => setText(live, text), SPEECH_PAUSE);
  }

  return {
    root,
    get text() {
      return { readout: where.textContent, detail: detail.textContent };
    },

    /** `seen` is what a look has seen of the place, or null where nothing is looked at; `scale` is the heat map's. */
    show({ clip, block, place, seen, scale, waiting, options }) {
      setText(detail, block ? blockText(block) : "");
      bar.root.classList.toggle("nlviz-idle", !(seen && options.heat));
      if (!seen) return setText(where, waiting ?? (options.reverse ? REVERSED : HINT));
      const parts = [placeText(place, clip), linksText(seen, place, options.reverse), reachText(seen)];
      setText(where, parts.filter(Boolean).join(" · "));
      bar.show(scale, options.colours, LEFT_OUT[options.exclude], options.reverse);
      if (seen.done === 1) speak(spokenText(place, seen, clip, options.reverse));
    },

    close: () => clearTimeout(timer),
  };
}
