// Input: what the pointer and the keys ask for.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const PAGES = { PageUp: -1, PageDown: 1 };
const STILL = 5; // CSS pixels a hand may move in a click

/**
 * Listen on the stage and on the whole card. Calls hover(event), leave(), click(event), draw(event,
 * lasso), drawn(), step(down, across, grow), page(frames), pin(), back(), undo(), redo(), play().
 * draws() says with what a finger draws: "box", "lasso" or null; a mouse draws a box by dragging, a
 * lasso with Shift. Handled keys go no further: pages around the viewer have keys of their own.
 */
export function listen(stage, card, asked) {
  let start = null; // the pointerdown of what may become a drag
  let dragged = false;
  const far = (event) =>
    Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > STILL;

  stage.addEventListener("pointerdown", (event) => {
    dragged = false;
    const able = event.button === 0 && (event.pointerType !== "touch" || asked.draws());
    start = able ? event : null;
    asked.hover(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!start) return asked.hover(event);
    if (!dragged && !far(event)) return;
    const lasso = event.shiftKey || asked.draws() === "lasso";
    if (!dragged) {
      stage.setPointerCapture(event.pointerId);
      dragged = true;
      asked.draw(start, lasso);
    }
    asked.draw(event, lasso);
  });
  stage.addEventListener("pointerup", () => {
    start = null;
    if (dragged) asked.drawn();
  });
  const end = () => {
    start = null;
    asked.leave();
  };
  stage.addEventListener("pointerleave", () => dragged && start ? null : end());
  stage.addEventListener("pointercancel", end);
  stage.addEventListener("blur", asked.leave);
  stage.addEventListener("click", (event) => {
    stage.focus({ preventScroll: true });
    if (dragged) return void (dragged = false); // the end of a drag is not a click
    asked.click(event);
    if (event.pointerType === "touch") asked.leave();
  });
  stage.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) handle(event, onStage(event, asked));
  });
  card.addEventListener("keydown", (event) => handle(event, onCard(event, asked)));
}

function onStage({ key, shiftKey }, { step, page, pin, play }) {
  if (key in STEPS) return () => step(...STEPS[key], shiftKey);
  if (key in PAGES) return () => page(PAGES[key]);
  return { Enter: pin, " ": play }[key] ?? null;
}

function onCard({ key, ctrlKey, metaKey, shiftKey }, { undo, redo, back }) {
  const letter = ctrlKey || metaKey ? key.toLowerCase() : "";
  if (letter === "z") return shiftKey ? redo : undo;
  if (letter === "y") return redo;
  return key === "Escape" ? back : null;
}

function handle(event, action) {
  if (!action) return;
  action();
  event.preventDefault();
  event.stopPropagation();
}
