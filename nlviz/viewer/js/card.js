// Card: the stage and the controls around it, in the order in which they are read.

import { createChips, createTokens } from "./controls/chips.js";
import { createHint } from "./controls/hint.js";
import { createReadout } from "./controls/readout.js";
import { createToolbar } from "./controls/toolbar.js";
import { element } from "./dom.js";

/** {card, toolbar, readout, tokens, chips, notice}; change(options) is what the toolbar asks. */
export function createCard({ stage, player, pointing, pinActions, change }) {
  const { undo, redo } = pinActions;
  const toolbar = createToolbar({ change, tool: pointing.choose, undo, redo });
  const readout = createReadout();
  const tokens = createTokens({
    hover: (token) => (token ? pointing.put({ token, t: null }) : pointing.leave()),
    pin: (token) => pinActions.place({ token }),
  });
  const chips = createChips(pinActions);
  const notice = element("p", { className: "nlviz-notice", role: "status" });
  const card = element(
    "section",
    { className: "nlviz", "aria-label": "Spacetime links" },
    ...[toolbar.root, createHint().root, stage.node, player.root],
    ...[readout.root, tokens.root, chips.root, notice],
  );
  return { card, toolbar, readout, tokens, chips, notice };
}
