"""The field for a layer of the network, whose similarity becomes one more block."""

from __future__ import annotations

import streamlit as st

from nlviz.app.choice import LONGEST_LAYER, Choice
from nlviz.app.visit import Visit
from nlviz.display import one_line


def choose(visit: Visit, choice: Choice) -> str:
    """The path that is asked for of that network; empty for none. Each network has its own."""
    if choice.asked is not None:  # a vision-language model is asked in words alone
        return ""
    name = choice.network
    said = st.text_input(
        "Similarity of a layer",
        visit.layers.get(name, ""),
        max_chars=LONGEST_LAYER,
        key=f"layer-{name}",
        placeholder="a path, such as layer3",
        help="The cosines of what this layer puts out, as one more block: similarity, not a weight "
        "of the network. So a network without attention can be looked at too. A path that does "
        "not exist is told the nearest ones.",
    )
    visit.layers[name] = one_line(said or "", LONGEST_LAYER).strip()
    return visit.layers[name]
