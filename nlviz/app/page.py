"""The page: style, sidebar, stage, in the order in which a visitor sees them come."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import tidying
from nlviz.app.choice import bundled
from nlviz.app.guard import guarded

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def show() -> None:
    """Draw everything."""
    tidying.note()
    st.html(f"<style>{_STYLE}</style>")
    with guarded():
        place = st.empty()  # what is being done
        if "nlviz" not in st.session_state:
            _while_starting(place)
        # These load torch; the frames' grey shapes are on the page before.
        from nlviz.app.sidebar import restore, sidebar
        from nlviz.app.stage import stage
        from nlviz.app.visit import current, is_new

        new = is_new()
        visit = current(bundled()[0])
        if new:
            restore.from_address(
                visit, {name: st.query_params.get_all(name) for name in st.query_params}
            )
        with st.sidebar:
            choice = sidebar.choose(visit, place)
        place.empty()
        if choice is not None:
            stage.update(visit, choice, place)
        stage.show(visit)


def _while_starting(place: DeltaGenerator) -> None:
    from nlviz.app.loading import skeleton

    with place.container():
        skeleton()
        st.progress(0.0, "Starting PyTorch …")
