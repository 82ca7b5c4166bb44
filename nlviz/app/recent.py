"""The last few analyses, kept so that going back to one is instant."""

from __future__ import annotations

import threading
from collections import OrderedDict

import streamlit as st

from nlviz.app.choice import Choice
from nlviz.app.shown import Shown

_KEPT_BYTES = 512 << 20


class Recent:
    """The last few analyses, up to half a gigabyte: going back is instant."""

    def __init__(self, budget: int = _KEPT_BYTES) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._kept: OrderedDict[Choice, Shown] = OrderedDict()

    def get(self, choice: Choice) -> Shown | None:
        """The analysis of a choice, if it is still held."""
        with self._lock:
            if choice in self._kept:
                self._kept.move_to_end(choice)
            return self._kept.get(choice)

    def put(self, shown: Shown) -> None:
        """Hold one more, and let go of the oldest where the budget asks for it."""
        with self._lock:
            self._kept[shown.choice] = shown
            while len(self._kept) > 1 and sum(s.size for s in self._kept.values()) > self._budget:
                self._kept.popitem(last=False)


@st.cache_resource(show_spinner=False)
def of_bundled() -> Recent:
    """What was made of bundled clips, shared by all visitors: a reload is instant."""
    return Recent()
