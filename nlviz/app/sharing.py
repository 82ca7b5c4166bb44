"""Work that several want at the same time is done by one of them, and given to all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from nlviz.app.turns import counted_wait
from nlviz.progress import Progress

_PATIENCE = 0.1  # seconds between two checks whether it is still wanted


@dataclass(slots=True, eq=False)
class _Work:
    """What is being worked out; ``done`` says that there is a result or an error."""

    ended: threading.Event = field(default_factory=threading.Event)
    fraction: float = 0.0
    status: str = ""
    done: bool = False
    result: Any = None
    error: Exception | None = None


class Sharing:
    """What is being worked out now, by its content."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: dict[Hashable, _Work] = {}

    def once(
        self,
        key: Hashable,
        work: Callable[[Progress], Any],
        progress: Progress,
        *,
        errors: bool = True,
    ) -> Any:
        """What ``work`` gives: by this thread, or by another that does the same now.

        Whoever waits sees how far that is. Should the other be stopped, one of those who wait
        begins anew. An error of the work is everybody's; but not with ``errors`` false, where it
        may name what is one visitor's: then each finds out for themselves.
        """
        while True:
            with self._lock:
                theirs = self._works.get(key)
                if theirs is None:
                    mine = self._works[key] = _Work()
                    break
            with counted_wait() as goes_on:
                while not theirs.ended.wait(_PATIENCE):
                    goes_on()
                    progress(theirs.fraction, theirs.status or "Waiting its turn")
            if theirs.error is not None and errors:
                raise theirs.error
            if theirs.done:
                return theirs.result
        return self._do(key, mine, work, progress)

    def _do(
        self, key: Hashable, mine: _Work, work: Callable[[Progress], Any], progress: Progress
    ) -> Any:
        def told(fraction: float, what: str) -> None:
            mine.fraction, mine.status = fraction, what
            progress(fraction, what)

        try:
            mine.result = work(told)
            mine.done = True
        except Exception as error:
            mine.error = error
            raise
        finally:
            with self._lock:
                del self._works[key]
            mine.ended.set()
        return mine.result


@st.cache_resource(show_spinner=False)
def shared() -> Sharing:
    """The server's."""
    return Sharing()
