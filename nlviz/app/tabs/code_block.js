// A code block: lines to be copied.

import { copyOnClick } from "../copying.js";

const mounts = new WeakMap(); // mount → what ends it

export default function ({ data: [text], parentElement: root }) {
  const code = root.querySelector("code");
  code.textContent = text;
  if (!mounts.has(root)) {
    const [button, status] = [root.querySelector("button"), root.querySelector("[role=status]")];
    mounts.set(root, copyOnClick(button, status, () => code.textContent, "Select it and copy"));
  }
  return () => {
    mounts.get(root)?.();
    mounts.delete(root);
  };
}
