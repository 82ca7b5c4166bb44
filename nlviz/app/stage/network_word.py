"""The word in the corner while the network loads behind the first picture.

The page asks how far that is, for the first time once it is drawn: that begins the loading, so that
nothing takes the processor from the first picture.
"""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from nlviz.app.first import BEHIND
from nlviz.app.guard import safely
from nlviz.app.shown import Shown
from nlviz.app.tabs import jobs
from nlviz.app.tabs.context import VIEWER_FRAGMENT
from nlviz.app.torch_loading import WORD
from nlviz.app.visit import Visit

_HERE = Path(__file__).parent
_mount = st.components.v2.component(
    "nlviz_network_word",
    html="""<p class="word" role="status"></p>
""",
    css=(_HERE / "network_word.css").read_text(encoding="utf-8"),
    js=(_HERE / "network_word.js").read_text(encoding="utf-8"),
)


def refine(visit: Visit) -> None:
    """Put the fresh analysis in the place of that at half precision, once it is there."""
    shown = visit.shown
    if shown is None or not shown.half:
        return
    fresh = BEHIND.found(shown.choice)
    if fresh is not None:
        visit.amend(shown.made_afresh(fresh))
        jobs.current().forget_all()


@st.fragment
def show(shown: Shown) -> None:
    """Say that the network loads; the viewer and its tabs are drawn again when it has."""
    if not shown.half or BEHIND.problem is not None:
        return
    _mount(
        key="network-word",
        # The beat makes each answer a new one: the page asks again after each.
        data=[WORD, time.monotonic()],
        on_tick_change=safely(lambda: _look(shown)),
        height=1,
    )


def _look(shown: Shown) -> None:
    if BEHIND.problem is None and BEHIND.found(shown.choice) is None:
        BEHIND.begin(shown.choice)
    else:
        st.rerun(VIEWER_FRAGMENT)
