// The progress of a computation, asked for again and again, and a button that stops it.

const PAUSE = 350; // ms between two looks
const mounts = new WeakMap();

export default function (component) {
  const { data, parentElement: root, setTriggerValue } = component;
  let mount = mounts.get(root);
  if (!mount) {
    mount = { timer: 0, count: 0 };
    mounts.set(root, mount);
    root.querySelector("button").addEventListener("click", () => {
      clearTimeout(mount.timer);
      mount.send("stop", true);
    });
  }
  mount.send = setTriggerValue;
  const percent = Math.round(100 * data.fraction);
  const bar = root.querySelector("[role=progressbar]");
  bar.setAttribute("aria-valuenow", percent);
  bar.firstElementChild.style.width = `${percent}%`;
  root.querySelector("p").textContent = `${data.status} …`;
  clearTimeout(mount.timer);
  mount.timer = setTimeout(() => mount.send("tick", ++mount.count), PAUSE);
  return () => {
    clearTimeout(mount.timer);
    mounts.delete(root);
  };
}
