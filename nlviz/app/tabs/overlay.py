"""What a tab lays over the clip in the viewer, for as long as that tab is open."""

from __future__ import annotations

import streamlit as st

from nlviz.app.choice import Choice

TAB_ROW = "details"
"""Key of the row of tabs."""

_KEY = "nlviz-overlay"


def put(choice: Choice, tab: str, blob: bytes | None) -> bool:
    """Lay a mask's blob over an analysis, or take it away; whether that is news to the page."""
    before = st.session_state.get(_KEY)
    now = None if blob is None else (choice, tab, blob)
    st.session_state[_KEY] = now
    return now != before


def current(choice: Choice) -> bytes | None:
    """What lies over an analysis now, or None."""
    about, tab, blob = st.session_state.get(_KEY) or (None, None, None)
    is_open = about == choice and st.session_state.get(TAB_ROW) == tab
    return blob if is_open else None
