"""The page: style, sidebar, stage, in the order in which a visitor sees them come."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import door, login, startup, tidying
from nlviz.app.choice import bundled
from nlviz.app.guard import guarded, logged
from nlviz.app.stage.component import mount_code

ICON = Path(__file__).with_name("icon.svg")
"""The picture beside the page's title in the browser."""

_LOGO = Path(__file__).with_name("logo.svg")
_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def show() -> None:
    """Draw everything."""
    tidying.note()
    st.html(f"<style>{_STYLE}</style>")
    with guarded():
        if not (login.is_passed() and door.is_open()):
            return
        mount_code(key="store-code", height=1)  # first: the page reads it while Python goes on
        place = st.empty()  # what is being done
        new = "nlviz" not in st.session_state
        if new:
            _while_starting(place)
        reading = _preparing()
        from nlviz.app.sidebar import gallery, restore
        from nlviz.app.stage import stage
        from nlviz.app.visit import current

        reading.join()
        visit = current(bundled()[0])
        said = {name: st.query_params.get_all(name) for name in st.query_params}
        # Who comes without an address sees the first picture before the sidebar's controls.
        first = new and not said and startup.user_model() is None and stage.open_first(visit)
        if new and said:
            restore.from_address(visit, said)
        with st.sidebar:
            st.logo(str(_LOGO), size="large")
            draw_pictures = gallery.show(visit)
        if first:
            place.empty()
            stage.show(visit)
        from nlviz.app.sidebar import sidebar

        with st.sidebar:
            choice = sidebar.choose(visit, place)
            login.offer_to_leave()
        place.empty()
        if choice is not None:
            stage.update(visit, choice, place)
        if not first:
            stage.show(visit)
        elif visit.coming is not None or visit.problem is not None:
            st.rerun()
        draw_pictures()


def _while_starting(place: DeltaGenerator) -> None:
    from nlviz.app.loading import skeleton

    with place.container():
        skeleton()
        st.progress(0.0, "Starting …")


@cache
def _preparing() -> threading.Thread:
    """The first sample is read while the modules of the page are loaded: once for the server."""
    thread = threading.Thread(target=_prepare, name="first-picture", daemon=True)
    thread.start()
    return thread


def _prepare() -> None:
    with logged():
        from nlviz.app import first

        first.prepare()
