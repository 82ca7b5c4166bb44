// The store as a Streamlit component (version 2): each blob that arrives is kept in the page under
// its tag.

import { pageStore } from "../../viewer/js/data/store.js";

const kept = new WeakMap(); // mount → the blobs it brought

export default function ({ data, parentElement }) {
  const mine = kept.get(parentElement) ?? new Set();
  kept.set(parentElement, mine);
  const store = pageStore();
  if (data?.byteLength) {
    const blob = store.put(data);
    if (blob) mine.add(blob);
  }
  return () => {
    // What this mount brought leaves with it; a viewer that shows it holds it until it shows
    // another.
    for (const blob of mine) if (store.get(blob.tag) === blob) store.delete(blob.tag);
    kept.delete(parentElement);
  };
}
