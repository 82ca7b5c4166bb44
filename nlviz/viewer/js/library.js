// Library: what a host takes from the viewer.

import { unpack } from "./data/blob.js";
import { pageStore } from "./data/store.js";
import { createViewer } from "./viewer.js";

export { createViewer, pageStore, unpack };
