"""The door: so many visitors at a time; whoever comes then waits, first come, first served."""

from __future__ import annotations

import threading
from collections.abc import Callable

import streamlit as st

from nlviz.app import sessions, startup
from nlviz.app.markdown import plain
from nlviz.app.meters import METERS

_LOOK = 3.0  # seconds between two looks whether there is room


class Door:
    """Who is inside and who waits.

    Args:
        most: how many may be inside.
        is_here: whether a visitor's page is still there.
    """

    def __init__(self, most: int, is_here: Callable[[str], bool]) -> None:
        self._most, self._is_here = most, is_here
        self._lock = threading.Lock()
        self._inside: dict[str, None] = {}
        self._waiting: dict[str, None] = {}

    @property
    def inside(self) -> int:
        """How many are inside."""
        with self._lock:
            self._see_out()
            return len(self._inside)

    @property
    def waiting(self) -> int:
        """How many wait."""
        with self._lock:
            self._see_out()
            return len(self._waiting)

    def before(self, visitor: str) -> int | None:
        """How many wait before this one; None for who is inside, or comes in now."""
        with self._lock:
            self._see_out()
            if visitor in self._inside:
                return None
            if visitor not in self._waiting:
                self._waiting[visitor] = None
            before = list(self._waiting).index(visitor)
            if len(self._inside) + before >= self._most:
                return before
            del self._waiting[visitor]
            self._inside[visitor] = None
            return None

    def _see_out(self) -> None:
        for rooms in (self._inside, self._waiting):
            for visitor in [each for each in rooms if not self._is_here(each)]:
                del rooms[visitor]


def is_open() -> bool:
    """Whether this visitor may come in; else the page says that the server is full."""
    visitor = sessions.own()
    if visitor is None or of_server().before(visitor) is None:
        return True
    if "nlviz-full" not in st.session_state:
        st.session_state["nlviz-full"] = True
        METERS.refused("visitor")
    _wait(visitor)
    return False


@st.fragment(run_every=_LOOK)
def _wait(visitor: str) -> None:
    before = of_server().before(visitor)
    if before is None:
        st.rerun()
    others = {0: "You are next.", 1: "1 person waits before you."}.get(
        before, f"{before} people wait before you."
    )
    st.info(
        f"This server is full: {startup.most_visitors():d} people use it now. {plain(others)} "
        "The page opens by itself as soon as there is room.",
        icon="⏳",
    )


@st.cache_resource(show_spinner=False)
def of_server() -> Door:
    """The server's."""
    return Door(startup.most_visitors(), sessions.is_connected)
