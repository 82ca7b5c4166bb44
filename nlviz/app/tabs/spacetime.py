"""Spacetime: the links in three dimensions, to be turned and zoomed."""

from __future__ import annotations

from html import escape

import streamlit as st

from nlviz.app.tabs.context import Look, ink


def show(look: Look) -> None:
    """The solid; for an image a sentence in its place."""
    if len(look.analysis.view.frames) == 1:
        st.info("An image has no time axis, so there is no spacetime to turn; the viewer shows it.")
        return
    st.caption(
        "Frames along time; lines are the links, wider for more weight; dashed is the heaviest "
        "place of each frame. Drag to turn, scroll to zoom, double-click to turn it back."
    )
    from nlviz.app.tabs import spacetime_plot  # brings plotly: the words need not wait for it

    asked = [
        spacetime_plot.Asked(escape(look.name(pin)), ink(pin), look.query(pin), links)
        for pin, links in look.links.items()
        if links
    ]
    st.plotly_chart(
        spacetime_plot.spacetime(look.analysis, asked),
        config={"displayModeBar": False, "scrollZoom": True},
        key="spacetime",
        alt="Frames as planes along time with the links between them",
    )
