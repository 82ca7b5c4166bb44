// The viewer as a Streamlit component (version 2): data in, the trigger "act" and the state
// "options" out.

import { createViewer } from "../../viewer/js/viewer.js";

// ms to wait for an answer before the next act goes out. Where Python is busy, Streamlit would keep
// the later of two.
const ANSWER_PATIENCE = 20_000;
const mounts = new WeakMap();

/**
 * Streamlit keeps one trigger value per run, so acts go out one by one, each after the last one's
 * answer.
 */
function createOutbox(send) {
  const waiting = [];
  let timer = 0;
  const next = () => {
    clearTimeout(timer);
    timer = 0;
    if (!waiting.length) return;
    send(waiting.shift());
    timer = setTimeout(next, ANSWER_PATIENCE);
  };
  return {
    post(act) {
      waiting.push(act);
      if (!timer) next();
    },
    answered: next,
    close: () => clearTimeout(timer),
  };
}

/**
 * The scene, which comes in a list. Streamlit turns data into a string where it finds something in
 * it that it does not know.
 */
function sceneOf(data) {
  try {
    const [scene] = typeof data === "string" ? JSON.parse(data) : data;
    return scene;
  } catch (error) {
    console.warn("nlviz:", error);
    return { notice: "What the page sent could not be read; reload the page." };
  }
}

export default function (component) {
  const { data, parentElement } = component;
  const scene = sceneOf(data);
  let mount = mounts.get(parentElement);
  if (!mount) {
    mount = { component };
    mount.outbox = createOutbox((act) => mount.component.setTriggerValue("act", act));
    mount.viewer = createViewer(parentElement, {
      onAct: mount.outbox.post,
      onOptions: (options) => mount.component.setStateValue("options", options),
    });
    mounts.set(parentElement, mount);
  }
  mount.component = component;
  mount.viewer.update(scene);
  mount.outbox.answered();
  return () => {
    mount.outbox.close();
    mount.viewer.destroy();
    mounts.delete(parentElement);
  };
}
