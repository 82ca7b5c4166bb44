"""The Spacetime tab: the links in three dimensions, to turn and zoom."""

from __future__ import annotations

from html import escape

import streamlit as st

from nlviz.app.markdown import plain
from nlviz.app.tabs.context import TabContext, ink


def show(context: TabContext) -> None:
    """The plot; a sentence instead for an image, and where there are no links."""
    if len(context.analysis.view.frames) == 1:
        st.info("An image has no time axis, so there is no spacetime to turn; the viewer shows it.")
        return
    if (why := context.why_no_links) is not None:
        st.info(plain(why))
        return
    st.caption(
        "Frames along time; lines are the links, wider for more weight; dashed is the heaviest "
        "place of each frame. Drag to turn, scroll to zoom, double-click to reset."
    )
    from nlviz.app.tabs import spacetime_plot  # brings plotly: the words need not wait for it

    queries = [
        spacetime_plot.PinnedQuery(escape(context.name(pin)), ink(pin), context.query(pin), links)
        for pin, links in context.links.items()
        if links
    ]
    st.plotly_chart(
        spacetime_plot.spacetime(context.analysis, queries),
        config={"displayModeBar": False, "scrollZoom": True},
        key="spacetime",
        alt="Frames as planes along time with the links between them",
    )
