"""Tidy up after visitors who have left.

Streamlit lets go of their session when the next visitor comes. What it held is a ring of objects,
which Python looks for the more rarely the more objects there are: with PyTorch loaded, hours can go
by. And what is freed goes back to the system only where it lies at the end of the heap. So all of
it is done once somebody has left, and not after each run: one collection takes a tenth of a second.
Threads share a few heaps, for what one leaves free in a heap of its own no other takes.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import streamlit as st
from streamlit import runtime
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state import SessionState

from nlviz.app import sessions
from nlviz.hooks.memory import give_back

logger = logging.getLogger("nlviz")

_LOOK = 4.0  # seconds between two looks
_M_ARENA_MAX = -8  # as malloc.h of glibc numbers it
_MARK = "nlviz_lets_go"
_ROUNDS = 3  # of tidying up after the last who left
_EARLY = 25.0  # seconds before Streamlit forgets a session, and can no longer be told to close it


class Tidying:
    """Knows who came, and tidies up once they have been gone for long enough.

    Args:
        is_here: whether a visitor's page is connected.
        kept: seconds for which the session of one who left is kept, as they may come back.
        close: ends a visitor's session then, soon after it returns.
        tidy: what to do once it has ended.
    """

    def __init__(
        self,
        is_here: Callable[[str], bool],
        kept: float,
        close: Callable[[str], None],
        tidy: Callable[[], None],
    ) -> None:
        self._is_here, self._kept, self._close, self._tidy = is_here, kept, close, tidy
        self._rounds = 0  # looks at which there may still be something to tidy up
        self._lock = threading.Lock()
        self._gone: dict[str, float | None] = {}  # visitor → since when, None while they are here

    def note(self, visitor: str) -> None:
        """This visitor is here."""
        with self._lock:
            self._gone[visitor] = None

    def look(self, now: float) -> None:
        """Close sessions whose time is over, and tidy up at the next looks; ``now`` in seconds.

        At a few of them: where many leave at once, Streamlit is not done with the last one's
        session at the first.
        """
        if self._rounds:
            self._rounds -= 1
            self._tidy()
        left: list[str] = []
        with self._lock:
            for visitor, since in list(self._gone.items()):
                if self._is_here(visitor):
                    self._gone[visitor] = None
                elif since is None:
                    self._gone[visitor] = now
                elif now - since > self._kept:
                    del self._gone[visitor]
                    left.append(visitor)
        for visitor in left:
            self._close(visitor)
        if left:
            self._rounds = _ROUNDS


def share_heaps() -> None:
    """Let all threads from now on share two heaps.

    glibc gives new threads heaps of their own, up to eight for each core, and each visitor and job
    comes with new threads.
    """
    with suppress(OSError, AttributeError):  # only glibc can be told
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def tidy() -> None:
    """Free what nobody needs any more.

    Matplotlib keeps the fonts of threads that have ended, with their files open.
    """
    fonts = sys.modules.get("matplotlib.font_manager")
    if fonts is not None:
        with suppress(AttributeError):  # another Matplotlib may keep them elsewhere
            fonts._get_font.cache_clear()
    give_back()


def let_go_at_the_end() -> None:
    """Let a session that has ended hold nothing; doing it again changes nothing.

    Streamlit's loop keeps the session that it sent to last, which would keep its visitor's files
    and results for as long as nobody else comes.
    """
    shutdown = AppSession.shutdown
    if hasattr(shutdown, _MARK):
        return

    def ended(session: AppSession) -> None:
        shutdown(session)
        if session._scriptrunner is None:  # nothing runs that would miss it
            session._session_state = SessionState()
            session._fragment_storage.clear()

    setattr(ended, _MARK, True)
    AppSession.shutdown = ended  # type: ignore[assignment, method-assign]


def note() -> None:
    """The visitor whose page is drawn is here."""
    visitor = sessions.own()
    if visitor is not None:
        _of_server().note(visitor)


@st.cache_resource(show_spinner=False)
def _of_server() -> Tidying:
    share_heaps()
    let_go_at_the_end()
    kept = float(st.get_option("server.disconnectedSessionTTL") or 0.0)
    tidying = Tidying(sessions.is_connected, max(kept - _EARLY, 0.0), _close, tidy)
    threading.Thread(target=_go_on, args=(tidying,), name="tidying", daemon=True).start()
    return tidying


def _close(session: str) -> None:
    """End a session whose page is gone; this asks Streamlit's own thread to do it."""
    if runtime.exists():
        runtime.get_instance().clear_user_info_for_session(session)


def _go_on(tidying: Tidying) -> None:
    while True:
        time.sleep(_LOOK)
        try:
            tidying.look(time.monotonic())
        except Exception:
            logger.exception("what visitors left could not be tidied up")
