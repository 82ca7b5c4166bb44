// Input: what the pointer and the keys ask for.

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
const PAGES = { PageUp: -1, PageDown: 1 };

/**
 * Listen on the stage and on the whole card. Calls hover(event), leave(), click(event), step(down,
 * across), page(frames), pin(), removeLast(), undo(). Handled keys go no further: pages around the
 * viewer have keys of their own.
 */
export function listen(stage, card, asked) {
  stage.addEventListener("pointermove", asked.hover);
  stage.addEventListener("pointerdown", asked.hover);
  stage.addEventListener("pointerleave", asked.leave);
  stage.addEventListener("pointercancel", asked.leave);
  stage.addEventListener("blur", asked.leave);
  stage.addEventListener("click", (event) => {
    stage.focus({ preventScroll: true });
    asked.click(event);
    if (event.pointerType === "touch") asked.leave();
  });
  stage.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) handle(event, onStage(event.key, asked));
  });
  card.addEventListener("keydown", (event) => handle(event, onCard(event, asked)));
}

function onStage(key, { step, page, pin }) {
  if (key in STEPS) return () => step(...STEPS[key]);
  if (key in PAGES) return () => page(PAGES[key]);
  return key === "Enter" || key === " " ? pin : null;
}

function onCard({ key, ctrlKey, metaKey, shiftKey }, { undo, removeLast }) {
  if (key.toLowerCase() === "z" && (ctrlKey || metaKey) && !shiftKey) return undo;
  return key === "Escape" ? removeLast : null;
}

function handle(event, action) {
  if (!action) return;
  action();
  event.preventDefault();
  event.stopPropagation();
}
