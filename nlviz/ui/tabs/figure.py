"""Figure: the pinned links as a film strip to take away."""

from __future__ import annotations

import streamlit as st

from nlviz.errors import NlvizError
from nlviz.ui import reproduce
from nlviz.ui.tabs.look import Look

_KINDS = {"png": "image/png", "svg": "image/svg+xml", "pdf": "application/pdf"}


def show(look: Look) -> None:
    """The figure, its files, and the command that makes them."""
    from nlviz.figures import film_strip  # brings matplotlib: the first picture need not wait

    try:
        figure = film_strip(look.analysis, [each for each in look.links.values() if each])
        with st.container(key="figure", border=True):
            st.image(figure.png(), width="stretch", alt="Film strip of the pinned links")
    except NlvizError as error:
        st.info(str(error))
        return
    clip = look.analysis.clip
    name = clip.name.rpartition(".")[0] or clip.name
    with st.container(horizontal=True):
        for kind, mime in _KINDS.items():
            st.download_button(
                kind.upper(),
                data=getattr(figure, kind),
                file_name=f"{name}-{look.block}.{kind}",
                mime=mime,
                on_click="ignore",
                key=f"download-{kind}",
            )
    st.caption("Or from the command line:")
    points = [pin.point for pin in look.pins]
    line = reproduce.command("figure", look.shown.choice, points, look.options, "-o figure.svg")
    st.code(line, language=None)
