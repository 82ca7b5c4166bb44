"""A choice between the part on screen and the whole clip, and a word on what that costs."""

from __future__ import annotations

from collections.abc import Hashable

import streamlit as st

from nlviz.app import whole_clip
from nlviz.app.held import HeldFolder
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.wanted import is_wanted
from nlviz.app.whole_clip import Cost
from nlviz.errors import MediaError
from nlviz.query import origin

_PART, _WHOLE = "The part on screen", "The whole clip"
_HELD = "nlviz-windows"


def choose(context: TabContext, key: str) -> Cost | None:
    """What the whole clip costs where the visitor has chosen it; no control where there is none.

    The network's own blocks alone go through windows.
    """
    told = whole_clip.cost(context.shown.choice, context.analysis)
    derived = context.analysis.affinity(context.block).is_derived
    if told is None or derived or origin(context.block)[1] is not None:
        return None
    chosen = st.segmented_control(
        "Frames",
        [_PART, _WHOLE],
        default=_PART,
        required=True,
        key=key,
        label_visibility="collapsed",
    )
    return told if chosen == _WHOLE else None


def wanted(
    context: TabContext, told: Cost, label: str, key: Hashable, *, name: str
) -> HeldFolder | None:
    """Where the windows lie, once the visitor wants them; else what that costs, and a button.

    Args:
        context: what is looked at.
        told: the cost.
        label: of the button.
        key: tells what is wanted from other things.
        name: tells two such places of one page apart.
    """
    st.caption(plain(told.sentence))
    if told.too_long:
        st.info(plain(told.too_long))
        return None
    if not is_wanted(label, key, name=f"whole-{name}", type="primary"):
        return None
    try:
        folder = whole_clip.place(context.shown, told, sizes=by_contribution(context))
    except MediaError as error:
        st.info(plain(str(error)))
        return None
    st.session_state[_HELD] = folder  # for as long as the visitor is here and wants no other
    return folder


def by_contribution(context: TabContext) -> bool:
    """Whether links are ranked by what their places add, which each window then measures."""
    return context.options.rank_by == "contribution"
