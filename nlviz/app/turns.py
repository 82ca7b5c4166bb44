"""Whose turn it is to run a network: one at a time, and fair between visitors.

Whoever ran one longest ago goes first, and whoever never did before all others; so nobody who asks
again and again keeps somebody else from a first answer. What the server does for itself goes last.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import streamlit as st

from nlviz.app.meters import METERS
from nlviz.progress import Progress

_PATIENCE = 0.1  # seconds between two checks whether the turn is still wanted
_KINDS = 256  # kinds of work whose seconds are remembered
_NEW = 0.5  # what the newest measurement weighs


class Visitor:
    """Who asks: one for each visit, compared by identity and known by nothing else."""


VISITOR: ContextVar[Visitor | None] = ContextVar("visitor", default=None)
"""For whom this thread works; None for the server itself."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells how long a turn takes.

    Args:
        stage: a word of ours for what is done, such as "effects".
        size: what its length depends on besides, such as the network and the size of its input.
    """

    stage: str
    size: Hashable = None


class Durations:
    """How long turns took, by their kind; the newest weighs as much as all before it together."""

    def __init__(self) -> None:
        self._seconds: OrderedDict[Hashable, float] = OrderedDict()

    def note(self, kind: Kind, seconds: float) -> None:
        """One turn took that long; of its kind, of its stage, and of all."""
        for key in (kind, kind.stage, None):
            before = self._seconds.pop(key, seconds)
            self._seconds[key] = _NEW * seconds + (1 - _NEW) * before
        while len(self._seconds) > _KINDS:
            self._seconds.popitem(last=False)

    def expected(self, kind: Kind) -> float | None:
        """Seconds; None where nothing has been measured yet."""
        known = (self._seconds.get(key) for key in (kind, kind.stage, None))
        return next((seconds for seconds in known if seconds is not None), None)


@dataclass(slots=True, eq=False)
class _Turn:
    visitor: Visitor | None
    kind: Kind
    number: int
    began: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody stands who waits.

    Args:
        before: how many come first, whoever runs included.
        seconds: until their turn as far as can be expected; None where nothing was measured yet.
    """

    before: int
    seconds: float | None

    @property
    def in_words(self) -> str:
        """For the page."""
        who = "1 computation is" if self.before == 1 else f"{self.before} computations are"
        if self.seconds is None:
            return f"Waiting: {who} before this one"
        return f"Waiting: {who} before this one, about {_spoken(self.seconds)}"


def _spoken(seconds: float) -> str:
    if seconds < 100:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min"


@dataclass(slots=True)
class Turns:
    """Who waits, who runs, and who ran when."""

    clock: Callable[[], float] = time.monotonic
    durations: Durations = field(default_factory=Durations)
    ended: Callable[[str, float, float], None] = lambda stage, waited, took: None
    """Told of each turn that went to its end: what it did, and its seconds of waiting and work."""

    _changed: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[_Turn] = field(default_factory=list)
    _running: _Turn | None = None
    _count: int = 0
    _last: weakref.WeakKeyDictionary[Visitor, int] = field(
        default_factory=weakref.WeakKeyDictionary
    )

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """1 while somebody has the turn, else 0."""
        return int(self._running is not None)

    def visitor_waits(self) -> bool:
        """Whether somebody other than the server itself waits."""
        return any(turn.visitor is not None for turn in list(self._waiting))

    @contextmanager
    def take(self, kind: Kind, progress: Progress) -> Iterator[None]:
        """The turn of this thread's visitor, once it has come.

        ``progress`` is told the place meanwhile; what it raises ends the waiting.
        """
        turn = self._enter(kind)
        asked = self.clock()
        try:
            with counted_wait() as goes_on:
                while not self._begins(turn):
                    goes_on()
                    progress(0.05, self.place(turn).in_words)
        except BaseException:
            self._leave(turn)
            raise
        began = turn.began = self.clock()
        whole = False
        try:
            yield
            whole = True
        finally:
            took = self.clock() - began
            self._leave(turn)
            if whole:
                with self._changed:
                    self.durations.note(kind, took)
                self.ended(kind.stage, began - asked, took)

    def place(self, turn: _Turn) -> Place:
        """Where a turn that waits stands."""
        with self._changed:
            ahead = [other for other in self._waiting if self._order(other) < self._order(turn)]
            seconds = [self.durations.expected(other.kind) for other in ahead]
            if (now := self._running) is not None:
                left = self.durations.expected(now.kind)
                gone = self.clock() - (now.began or self.clock())
                seconds.append(left if left is None else max(left - gone, 0.0))
            known = [each for each in seconds if each is not None]
            whole = len(known) == len(seconds)
            return Place(len(seconds), sum(known) if whole else None)

    def _order(self, turn: _Turn) -> tuple[bool, int, int]:
        last = 0 if turn.visitor is None else self._last.get(turn.visitor, 0)
        return turn.visitor is None, last, turn.number

    def _enter(self, kind: Kind) -> _Turn:
        with self._changed:
            self._count += 1
            turn = _Turn(VISITOR.get(), kind, self._count)
            self._waiting.append(turn)
            return turn

    def _begins(self, turn: _Turn) -> bool:
        with self._changed:
            if not self._is_next(turn):
                self._changed.wait(_PATIENCE)
            if not self._is_next(turn):
                return False
            self._waiting.remove(turn)
            self._running = turn
            if turn.visitor is not None:
                self._count += 1
                self._last[turn.visitor] = self._count
            return True

    def _is_next(self, turn: _Turn) -> bool:
        return self._running is None and turn is min(self._waiting, key=self._order)

    def _leave(self, turn: _Turn) -> None:
        with self._changed:
            if turn in self._waiting:
                self._waiting.remove(turn)
            if self._running is turn:
                self._running = None
            self._changed.notify_all()


_mine = threading.local()


def waited() -> float:
    """Seconds for which this thread has waited for others, which is no work of its own."""
    seconds: float = getattr(_mine, "waited", 0.0)
    return seconds


@contextmanager
def counted_wait() -> Iterator[Callable[[], None]]:
    """What is done in it is waiting; call what it gives to count what has passed so far."""
    before, began = waited(), time.monotonic()

    def goes_on() -> None:
        _mine.waited = before + time.monotonic() - began

    try:
        yield goes_on
    finally:
        goes_on()


@st.cache_resource(show_spinner=False)
def shared() -> Turns:
    """The server's."""
    return Turns(ended=METERS.turn)
