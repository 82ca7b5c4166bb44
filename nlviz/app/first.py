"""The first picture: the first sample opens from a session file that was made with the weights.

It is used only where it is exactly what would be computed: the same frames of the same sample, the
same network with the same weights, the same size. Its θ and φ are at half precision, as the page
hovers in any case. The fresh analysis is made behind it, and then takes its place for everybody.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import Any

from nlviz.app import startup, store, turns
from nlviz.app.analysing import make
from nlviz.app.choice import Choice, ClipPart, bundled
from nlviz.app.kept import find as kept
from nlviz.app.meters import METERS
from nlviz.app.reading import clip_of, look
from nlviz.app.shown import Shown
from nlviz.errors import ExportError, NlvizError
from nlviz.export.session import Session, open_session
from nlviz.models import zoo
from nlviz.models.input_size import fitted
from nlviz.progress import silent
from nlviz.resources import ASSETS, WEIGHTS
from nlviz.version import __version__
from nlviz.viewer.staged import packed

logger = logging.getLogger("nlviz")

FILE = ASSETS / "first.nlviz"
"""The session file; ``python -m tools.first_session`` makes it anew."""

_AGAIN = 1.0  # seconds until a pass is tried again that made room for others


def first_choice() -> Choice:
    """What a new visitor sees: the first sample in the first network, as both come."""
    model = startup.first_model()
    record = zoo.record(model)
    return Choice(bundled()[0], ClipPart(frames=record.frames or 8), model, record.default_size)


def prepare() -> None:
    """Read the first sample and its session ahead of the first visitor."""
    choice = first_choice()
    try:
        look(choice.material, silent)
    except NlvizError:
        return  # whoever opens it is told
    find(choice)


def find(choice: Choice) -> Shown | None:
    """The first sample from its session file; None where that is not what would be computed."""
    if choice != first_choice():
        return None
    key = "first", choice
    shown: Shown | None = store.shared().get(key)
    if shown is None:
        try:
            clip = clip_of(choice.material, choice.part, silent)
            held = open_session(FILE, clip=clip)
            fault = stale(held, choice)
            if fault:
                raise ExportError(f"The session of the first sample {fault}.")
        except NlvizError as error:
            logger.info("the first sample is analysed afresh: %s", error)
            return None
        shown = Shown(choice, held.analysis, *packed(held.analysis), half=True)
        store.shared().put(key, shown)
    return shown


def stale(held: Session, choice: Choice) -> str:
    """How a session differs from what would be computed of a choice; empty where it does not."""
    made, clip = held.provenance, held.analysis.clip
    size = fitted(clip.width, clip.height, choice.size, zoo.side(choice.model))
    told: dict[str, tuple[Any, Any]] = {
        "nlviz": (made.version, __version__),
        "network": (made.model, choice.model),
        "weights": (made.weights, _weights(choice.model)),
        "frames": (made.frames, clip.indices),
        "input": (made.input, size),
    }
    wrong = [name for name, (then, now) in told.items() if then != now]
    return f"was made with another {' and '.join(wrong)}" if wrong else ""


def _weights(model: str) -> str | None:
    """The checksum of the file that a bundled network's weights lie in now."""
    record = zoo.record(model)
    file = WEIGHTS / getattr(record, "file", "")
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}" if file.is_file() else None


class Behind:
    """Makes the fresh analysis in the background, once for the server, when it is begun.

    It makes room for whoever else wants to run a network, and then tries again. ``problem`` is
    the sentence on why there can be none.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._made: Shown | None = None  # where the store of all has no room for it

    def begin(self, choice: Choice) -> None:
        """Make it, unless it is being made."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self.problem = None
                self._thread = threading.Thread(target=self._run, args=(choice,), daemon=True)
                self._thread.start()

    def found(self, choice: Choice) -> Shown | None:
        """The fresh analysis; None while it is not there."""
        shown = kept(choice) or self._made
        return shown if shown is not None and shown.choice == choice else None

    def _run(self, choice: Choice) -> None:
        try:
            while (made := self._tried(choice)) is None:
                time.sleep(_AGAIN)
            self._made = None if kept(choice) else made
            store.shared().drop(("first", choice))
        except NlvizError as error:
            self.problem = str(error)
        except Exception:
            logger.exception("the fresh analysis of the first sample failed")
            METERS.error()
            self.problem = "The network could not be loaded; the server's log says why."

    def _tried(self, choice: Choice) -> Shown | None:
        try:
            return make(choice, _make_room)
        except _RoomError:
            return None


class _RoomError(BaseException):
    """Ends a pass for somebody else's; no ``except Exception`` on its way may take it."""


def _make_room(fraction: float, what: str) -> None:
    if turns.shared().visitor_waits():
        raise _RoomError


BEHIND = Behind()
