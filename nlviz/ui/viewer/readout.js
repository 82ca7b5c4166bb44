// Readout: what is seen in words, for the eye and for a screen reader, and the scale of the heat map.

import { element, setText } from "./dom.js";
import { heatScale } from "./heat.js";
import { createScale } from "./scale.js";
import { blockText, linksText, placeText, spokenText, weightText } from "./words.js";

const HINT = "Point at anything to see what it looks at; click to pin it.";
const FIDELITY = "Fidelity: how far y recomputed from these weights lies from what the block put out, relative";
const LEFT_OUT = { none: "", cell: " without its own cell", frame: " without its own frame" };
const SPEECH_PAUSE = 400; // ms: a hand that moves on is not talked over

export function createReadout() {
  const where = element("div", { className: "nlviz-where" });
  const detail = element("div", { className: "nlviz-detail", title: FIDELITY });
  const live = element("div", { className: "nlviz-live", "aria-live": "polite" });
  const scale = createScale();
  const words = element("div", { className: "nlviz-readout" }, where, detail);
  const root = element("div", { className: "nlviz-foot" }, words, scale.root, live);
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

    /** `seen` is what look() gave for the place, or null where nothing is looked at. */
    show({ clip, block, place, seen, options }) {
      setText(detail, block ? blockText(block) : "");
      scale.root.classList.toggle("nlviz-idle", !(seen && options.heat));
      if (!seen) return setText(where, HINT);
      setText(where, `${placeText(place, clip)} · ${linksText(seen)}`);
      const { low, high, signed } = heatScale(block, seen.range);
      scale.show(weightText(low), weightText(high), signed, LEFT_OUT[options.exclude]);
      speak(spokenText(place, seen, clip));
    },

    close: () => clearTimeout(timer),
  };
}
