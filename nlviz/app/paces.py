"""How long networks take here: measured by each analysis that ran and by short probes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import TYPE_CHECKING

import streamlit as st

from nlviz.app.choice import Choice

if TYPE_CHECKING:
    from nlviz.inference.pace import Pace

_KINDS = 256  # networks at sizes of inputs that are remembered


class Paces:
    """What analyses took, by network, size of the input and of the clip."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, dict[int, Pace]] = OrderedDict()
        self._lock = Lock()

    def note(self, key: Hashable, pace: Pace) -> None:
        """One was measured; the newest of a length takes the place of those before."""
        with self._lock:
            known = self._known.pop(key, {})
            known[pace.frames[-1]] = pace
            self._known[key] = known
            while len(self._known) > _KINDS:
                self._known.popitem(last=False)

    def find(self, key: Hashable, frames: int) -> Pace | None:
        """What is known for so many frames: an analysis of as many, else what others tell.

        None where nothing was measured, or nothing of half as many frames or more: a single
        shorter one says too little.
        """
        with self._lock:
            known = dict(self._known.get(key, {}))
        if frames in known:
            return known[frames]
        if not known:
            return None
        few, many = known[min(known)], known[max(known)]
        if few.frames[0] != many.frames[-1]:
            from nlviz.inference.pace import both

            return both(few, many)
        return many if 2 * many.frames[-1] >= frames else None


def note(choice: Choice, clip: tuple[int, int], pace: Pace) -> None:
    """Remember what an analysis of a choice took; ``clip`` is its (width, height)."""
    shared().note(_key(choice, clip), pace)


def find(choice: Choice, clip: tuple[int, int]) -> Pace | None:
    """What is known of how long a choice takes; None where that is not enough."""
    return shared().find(_key(choice, clip), choice.part.frames)


def _key(choice: Choice, clip: tuple[int, int]) -> Hashable:
    own = choice.weights and choice.weights.checksum
    return choice.model, own, choice.size, choice.layer, clip


@st.cache_resource(show_spinner=False)
def shared() -> Paces:
    """Those of this server, for all visitors."""
    return Paces()
