// The page-wide store: unpacked blobs by tag, kept once per page and shared by all viewers in it.

import { unpack } from "./blob.js";

class Store extends Map {
  listeners = new Set();
  problem = null; // one sentence if the last blob could not be read

  /** Unpack a blob and keep it; returns what is kept, or null where the blob is damaged. */
  put(bytes) {
    try {
      const blob = unpack(bytes);
      this.problem = null;
      this.set(blob.tag, blob);
      return blob;
    } catch (error) {
      console.warn("nlviz:", error.cause ?? error);
      this.problem = error.message;
      this.tell();
      return null;
    }
  }

  /** @override */
  set(tag, blob) {
    super.set(tag, blob);
    this.tell();
    return this;
  }

  /** Call listener after each change; returns a function that ends it. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  tell() {
    for (const listener of this.listeners ?? []) listener();
  }
}

/** The page's store; the first script that asks makes it. */
export function pageStore() {
  globalThis.nlvizStore ??= new Store();
  return globalThis.nlvizStore;
}
