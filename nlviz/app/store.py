"""One store for all visitors, bounded in bytes: analyses by their content, and tabs' results."""

from __future__ import annotations

import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from nlviz.app import startup
from nlviz.app.weight import buffers

_LEAST, _MOST, _SHARE = 256 << 20, 4 << 30, 8
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


class Store:
    """What was made last, up to a number of bytes; what was used longest ago goes first.

    Two things that share an array weigh it once. What a visitor has on screen, the visit holds
    by itself; leaving the store takes nothing from anybody's page.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, dict[int, int]]] = OrderedDict()
        self._holders: Counter[int] = Counter()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """All that it holds."""
        return self._bytes

    def get(self, key: Hashable) -> Any:
        """What is held under a key, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, value: Any, weighs: Any = None) -> bool:
        """Hold one thing more; False where it alone weighs more than all may, so it stays out.

        ``weighs`` is what to weigh in its place.
        """
        weighed = buffers(value if weighs is None else weighs)
        with self._lock:
            self._drop(key)
            if sum(weighed.values()) > self._most:
                return False
            self._kept[key] = value, weighed
            for buffer, size in weighed.items():
                self._holders[buffer] += 1
                if self._holders[buffer] == 1:
                    self._bytes += size
            while self._bytes > self._most:
                self._drop(next(iter(self._kept)))
            return key in self._kept

    def drop(self, key: Hashable) -> None:
        """Hold it no longer."""
        with self._lock:
            self._drop(key)

    def forget(self, owner: object) -> None:
        """Drop all whose key is a tuple that begins with ``owner``."""
        with self._lock:
            for key in [k for k in self._kept if isinstance(k, tuple) and k[0] is owner]:
                self._drop(key)

    def _drop(self, key: Hashable) -> None:
        _, weighed = self._kept.pop(key, (None, {}))
        for buffer, size in weighed.items():
            self._holders[buffer] -= 1
            if not self._holders[buffer]:
                del self._holders[buffer]
                self._bytes -= size


@st.cache_resource(show_spinner=False)
def shared() -> Store:
    """The server's: as large as it was started with, else an eighth of the machine's memory."""
    return Store(startup.keep_bytes() or usual())


def usual() -> int:
    """An eighth of the memory of the machine or container, from 256 MiB to 4 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if _can_ask() else 0
    with suppress(OSError, ValueError):  # no container, or one without a limit
        memory = min(memory or 1 << 62, int(_CONTAINER.read_text()))
    return min(max(memory // _SHARE, _LEAST), _MOST)


def _can_ask() -> bool:
    return "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {})
