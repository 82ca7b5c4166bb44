// A word in the corner while the network loads; it first asks once the page is drawn.

const PAUSE = 500; // ms between two looks
const LONGEST = 3000; // ms until a busy page asks all the same
const mounts = new WeakMap();
const whenIdle = globalThis.requestIdleCallback ?? ((call) => setTimeout(call, PAUSE));

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  let mount = mounts.get(root);
  if (!mount) {
    mount = { count: 0, timer: 0 };
    mounts.set(root, mount);
  }
  root.querySelector("p").textContent = `${data[0]} …`;
  const ask = () => setTriggerValue("tick", ++mount.count);
  clearTimeout(mount.timer);
  const wait = () => {
    mount.timer = setTimeout(ask, PAUSE);
  };
  if (mount.count) wait();
  else whenIdle(wait, { timeout: LONGEST });
  return () => {
    clearTimeout(mount.timer);
    mounts.delete(root);
  };
}
