"""Below the viewer: how to reproduce it, a figure of it, and each pin's weight by frame."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from nlviz.errors import NlvizError
from nlviz.links import Link
from nlviz.ui import reproduce
from nlviz.ui.messages import Options
from nlviz.ui.pins import Pin
from nlviz.ui.work import Shown

Links = Mapping[Pin, tuple[Link, ...]]
_KINDS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


def show(shown: Shown, links: Links, options: Options) -> None:
    """Three tabs; only the open one is worked out."""
    if not links:
        st.caption("Pin a place to get its figure, its weight by frame and the command for it.")
        return
    names = ("Reproduce", "Figure", "Weight by frame")
    tabs = st.tabs(names, key="details", on_change="rerun")
    for tab, draw in zip(tabs, (_reproduce, _figure, _weights), strict=True):
        if tab.open:
            with tab:
                draw(shown, links, options)


def _reproduce(shown: Shown, links: Links, options: Options) -> None:
    points = [pin.point for pin in links]
    st.code(reproduce.command("links", shown.choice, points, options), language=None)
    st.code(reproduce.python(shown.choice, points, options), language=None)
    if shown.choice.material.data is not None:
        st.caption("Run it in the folder that holds your file.")


def _figure(shown: Shown, links: Links, options: Options) -> None:
    from nlviz.figures import film_strip  # brings matplotlib: the first picture need not wait

    try:
        figure = film_strip(shown.analysis, [each for each in links.values() if each])
        with st.container(key="figure", border=True):
            st.image(figure.png(), width="stretch", alt="Film strip of the pinned links")
    except NlvizError as error:
        st.info(str(error))
        return
    name = shown.analysis.clip.name.rpartition(".")[0] or shown.analysis.clip.name
    with st.container(horizontal=True):
        for kind, mime in _KINDS.items():
            st.download_button(
                kind.upper(),
                data=getattr(figure, kind),
                file_name=f"{name}-{options.block}.{kind}",
                mime=mime,
                on_click="ignore",
                key=f"download-{kind}",
            )
    st.caption("Or from the command line:")
    points = [pin.point for pin in links]
    line = reproduce.command("figure", shown.choice, points, options, "-o figure.svg")
    st.code(line, language=None)


def _weights(shown: Shown, links: Links, options: Options) -> None:
    if len(shown.analysis.view.frames) == 1:
        st.caption("With one frame there is nothing to compare.")
        return
    from nlviz.ui import chart  # brings plotly

    block = options.block or shown.analysis.blocks[-1]
    st.plotly_chart(
        chart.weight_by_frame(shown.analysis, block, tuple(links)),
        config={"displayModeBar": False},
        key="weights",
        alt="Share of each pin's row that falls on each frame",
    )
    st.caption(
        f"How much of a pin's whole row in {block} lies on each frame: affinity, "
        "not importance. Frames that one time step covers share its weight."
    )
