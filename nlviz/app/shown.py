"""From a choice to everything that the page shows of it; one inference at a time."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import streamlit as st

from nlviz.analysis import Analysis
from nlviz.app import startup
from nlviz.app.choice import Choice
from nlviz.errors import NetworkError, NlvizError
from nlviz.experiments.ablation import with_sizes
from nlviz.inference.forward import analyse
from nlviz.media import read
from nlviz.models import zoo
from nlviz.progress import Progress, silent
from nlviz.query import origin
from nlviz.viewer import blobs
from nlviz.viewer.staged import Staged

_KEPT_BYTES = 512 << 20
_PATIENCE = 0.1  # seconds between two looks at whether the visitor has chosen something else


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An analysis, the choice it answers, and its blobs: the clip's first, then each block's.

    ``constants`` and ``sizes`` are blobs by block's tag that were worked out since, when first
    asked for.
    """

    choice: Choice
    analysis: Analysis
    blobs: tuple[bytes, ...]
    tags: tuple[str, ...]
    constants: dict[str, bytes] = field(default_factory=dict)
    sizes: Mapping[str, bytes] = field(default_factory=dict)

    def network(self) -> Any:
        """The network that was run; NetworkError where a session file is shown, which has none."""
        if self.choice.material.session is not None:
            raise NetworkError(
                f"'{self.choice.material.title}' is a saved session and holds no network to run; "
                "give its clip again (in the sidebar) for that."
            )
        return network(self.choice.model)

    def work_out(self, block: str | None) -> None:
        """The constants of a block's rows, once."""
        name = block or self.analysis.blocks[-1]
        tag = self.tags[1 + self.analysis.blocks.index(name)]
        if tag not in self.constants:
            self.constants[tag] = blobs.constants_blob(self.analysis, name, tag)

    def measured(self) -> Shown:
        """With what each place of each block adds; runs the network once more."""
        analysis, problem = self.analysis, None
        try:
            if not analysis.sizes:  # a session file may have them
                with turn(silent):
                    analysis = with_sizes(analysis, self.network())
        except NlvizError as error:
            problem = str(error)
        named = zip(analysis.blocks, self.tags[1:], strict=True)
        sizes = {tag: blobs.sizes_blob(analysis, name, tag, problem) for name, tag in named}
        return replace(self, analysis=analysis, sizes=sizes)

    def beside(self, found: Analysis) -> Shown:
        """With a baseline as a block of its own, after the block that it is held against."""
        (name,) = found.blocks
        if name in self.analysis.blocks:
            return self
        at = 1 + self.analysis.blocks.index(origin(name)[0])
        blob = blobs.block_blob(found, name, self.tags[0])
        tag = blobs.tag(blob)
        sizes = {tag: blobs.sizes_blob(found, name, tag)} if self.sizes else {}
        order = (*self.analysis.blocks[:at], name, *self.analysis.blocks[at:])
        affinities = {**self.analysis.affinities, **found.affinities}
        together = replace(
            self.analysis,
            affinities=MappingProxyType({block: affinities[block] for block in order}),
            fidelity=MappingProxyType({**self.analysis.fidelity, **found.fidelity}),
        )
        return replace(
            self,
            analysis=together,
            blobs=(*self.blobs[: at + 1], blob, *self.blobs[at + 1 :]),
            tags=(*self.tags[: at + 1], tag, *self.tags[at + 1 :]),
            sizes={**self.sizes, **sizes},
        )

    @property
    def without_baselines(self) -> Analysis:
        """The analysis without baselines: what the network itself has."""
        named = self.analysis.affinities.items()
        affinities = {block: each for block, each in named if origin(block)[1] is None}
        return replace(self.analysis, affinities=MappingProxyType(affinities))

    @property
    def size(self) -> int:
        """Bytes it holds, about."""
        held = self.analysis.affinities.values()
        arrays = sum(a.theta.nbytes + a.phi.nbytes for a in held)
        upload = len(self.choice.material.data or b"")
        return self.analysis.clip.frames.nbytes + arrays + sum(map(len, self.blobs)) + upload


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


def make(choice: Choice, progress: Progress) -> Shown:
    """Read, analyse and pack what was chosen; a session file is packed as it is.

    ``report`` is called between the steps; what it raises ends the work, so that a new choice can
    take its place. NlvizError for what the visitor can mend.
    """
    material = choice.material
    analysis = (
        _analysed(choice, progress) if material.session is None else material.session.analysis
    )
    progress(0.92, "Sending it to the page")
    staged = Staged.of(analysis, ())
    return Shown(choice, analysis, staged.blobs, staged.tags)


def _analysed(choice: Choice, progress: Progress) -> Analysis:
    part, material = choice.part, choice.material
    progress(0.0, "Reading the clip")
    clip = read(
        material.source,
        frames=part.frames,
        stride=part.stride,
        start=part.start,
        name=material.name,
    )
    with turn(progress):
        progress(0.05, f"Loading {choice.model}")
        loaded = network(choice.model)
        return analyse(
            clip,
            loaded,
            size=choice.size,
            progress=lambda fraction, what: progress(0.15 + 0.75 * fraction, _sentence(what)),
        )


@st.cache_resource(show_spinner=False, max_entries=2)
def network(name: str) -> Any:
    """A loaded network, shared by all visitors; NetworkError if it cannot be had."""
    # A file is run for its owner alone, who named it at the start: never for what an address names.
    loaded = startup.load(name) if startup.is_user_model(name) else zoo.load(name)
    # Torch's half a million objects live as long as the server: no collection need walk them.
    gc.collect()
    gc.freeze()
    return loaded


@st.cache_resource(show_spinner=False)
def of_bundled() -> Recent:
    """What was made of bundled clips, shared by all visitors: a reload is instant."""
    return Recent()


@st.cache_resource(show_spinner=False)
def _door() -> threading.Lock:
    return threading.Lock()


@contextmanager
def turn(progress: Progress) -> Iterator[None]:
    """Held by whoever runs a network; ``report`` is told while another does."""
    door = _door()
    while not door.acquire(timeout=_PATIENCE):
        progress(0.05, "Waiting for another computation to end")
    try:
        yield
    finally:
        door.release()


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
