// Waits until the viewer's script is in the page, then mounts it.

const latest = new WeakMap();
export default function (component) {
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
