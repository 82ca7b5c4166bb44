// Waits until the viewer's script is in the page, then mounts it.

const latest = new WeakMap();
const shown = new WeakMap(); // mount → when its scene was sent, and what ends it

function mount(component) {
  const { parentElement } = component;
  if (globalThis.nlvizMount && !latest.has(parentElement)) return globalThis.nlvizMount(component);
  const waits = latest.get(parentElement) ?? {};
  latest.set(parentElement, Object.assign(waits, { component }));
  waits.timer ??= setInterval(() => {
    if (!globalThis.nlvizMount) return;
    clearInterval(waits.timer);
    latest.delete(parentElement);
    waits.cleanup = globalThis.nlvizMount(waits.component);
  }, 5);
  return () => {
    clearInterval(waits.timer);
    latest.delete(parentElement);
    waits.cleanup?.();
  };
}

export default function (component) {
  const { data, parentElement } = component;
  const sent = Number(data?.[1] ?? 0);
  const before = shown.get(parentElement);
  if (sent < before?.sent) return before.end; // the call with the newer scene went first
  const cleanup = mount(component);
  const end = () => {
    shown.delete(parentElement);
    cleanup?.();
  };
  shown.set(parentElement, { sent, end });
  return end;
}
