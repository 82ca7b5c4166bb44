"""What needs the network waits for it with a word, while the first sample is at half precision."""

from __future__ import annotations

import streamlit as st

from nlviz.app.first import BEHIND
from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext
from nlviz.app.torch_loading import WORD


def for_network(context: TabContext) -> bool:
    """Whether the fresh analysis, and so the network, is not there yet; the page then says so.

    The viewer and its tabs are drawn again once it is.
    """
    if not context.shown.half:
        return False
    if BEHIND.problem is not None:
        st.info(plain(BEHIND.problem))
    else:
        BEHIND.begin(context.shown.choice)
        st.caption(f"{WORD} …")
    return True
