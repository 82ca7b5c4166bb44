"""LongAnalysis: a clip of any length as one network saw it, window by window."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.hooks.memory import give_back
from nlviz.inference.forward import analyse
from nlviz.inference.protocol import Network
from nlviz.media.own_folder import new_folder
from nlviz.media.source import Given
from nlviz.media.stream import Stream, open_stream
from nlviz.progress import Progress, part_of, silent
from nlviz.version import __version__
from nlviz.windows.joining import joined
from nlviz.windows.plan import TimeWindow, WindowPlan
from nlviz.windows.store import Store

Pixels = NDArray[np.uint8]

_FORMAT = 1
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class LongAnalysis:
    """A clip in windows, each an ordinary ``Analysis`` that is run when it is first asked for.

    What was run lies on disk, its θ and φ at half precision (a relative error of up to 0.0005), and
    is read from there: so memory is that of the windows that somebody holds. Every frame is decoded
    once. It may be asked from several threads; one window is run at a time.

    Args:
        stream: the sampled frames.
        plan: how they are cut into windows.
        network: what runs on each.
        size: longer side of its input in pixels, or None.
        store: where the windows lie.
        sizes: whether ‖W_z g_j‖ is measured in each window, for ``rank_by="contribution"``.
        features: paths of layers whose similarity is a block of each window, as for ``analyse``.
    """

    stream: Stream
    plan: WindowPlan
    network: Network
    size: int | None
    store: Store
    sizes: bool = False
    features: tuple[str, ...] = ()
    _lock: Any = field(init=False, default_factory=threading.Lock)
    _decoding: dict[int, Iterator[Pixels]] = field(init=False, default_factory=dict)

    def __len__(self) -> int:
        """How many windows there are."""
        return len(self.plan)

    def __repr__(self) -> str:
        name, count = self.stream.info.name, len(self.stream.indices)
        done = sum(self.store.has(window.number) for window in self.plan)
        return f"LongAnalysis({name!r}, {count} frames in {len(self)} windows, {done} of them run)"

    @property
    def whole(self) -> Clip:
        """All sampled frames as a clip on disk; those of windows that were not run are black."""
        return self._clip(0, self.plan.count)

    def of(self, frame: int) -> TimeWindow:
        """The window that answers for a source frame; QueryError for one that was not sampled."""
        indices = self.stream.indices
        position = int(np.searchsorted(indices, frame))
        if position == len(indices) or indices[position] != frame:
            near = sorted(
                {indices[min(max(at, 0), len(indices) - 1)] for at in (position - 1, position)}
            )
            raise QueryError(
                f"Frame {frame} was not sampled; the nearest ones are "
                f"{' and '.join(map(str, near))}, or sample the clip differently."
            )
        return self.plan.at(position)

    def at(self, frame: int, progress: Progress | None = None) -> Analysis:
        """The analysis of the window that answers for a source frame, as ``window`` gives it."""
        return self.window(self.of(frame).number, progress)

    def around(self, frame: int, progress: Progress | None = None) -> Analysis:
        """The window of a source frame joined to its neighbours, as ``joined`` does it.

        Rows then go over the keys of up to three windows, normalised anew by nlviz: the network
        never weighed keys of a neighbouring window against those of the query's own.
        """
        own = self.of(frame).number
        numbers = [n for n in (own - 1, own, own + 1) if 0 <= n < len(self)]
        found = {number: self.window(number, progress) for number in numbers}
        return joined(found, own)

    def window(
        self, number: int, progress: Progress | None = None, *, blocks: Sequence[str] = ()
    ) -> Analysis:
        """The analysis of one window, run now if it was not.

        Args:
            number: from 0.
            progress: as for ``analyse``; it is not called where the window lies on disk.
            blocks: names of the blocks to read; all of them if empty.

        Raises:
            QueryError: no such window.
            MediaError, NetworkError, CaptureError, BudgetError: what reading and running raise.
            ExportError: the disk is full, or what lies on it is damaged.
        """
        if not 0 <= number < len(self):
            raise QueryError(f"Window {number} does not exist; choose 0 to {len(self) - 1}.")
        self.make_sure(number, progress or silent)
        return self.store.get(self.plan[number], self.stream.path, blocks)

    def run(self, progress: Progress | None = None) -> None:
        """Run all windows that were not, from the first to the last.

        Stopped at any moment and started again, it goes on with the window that was not done, and
        what lies on disk in the end is the same.
        """
        waiting = self.waiting()
        report = progress or silent
        for done, number in enumerate(waiting):

            def told(fraction: float, what: str, done: int = done) -> None:
                report((done + fraction) / len(waiting), f"window {done + 1} of {len(waiting)}")

            self.make_sure(number, told)

    def waiting(self) -> list[int]:
        """The numbers of the windows that were not run."""
        return [window.number for window in self.plan if not self.store.has(window.number)]

    def make_sure(self, number: int, progress: Progress) -> None:
        """Run one window if it was not, and hold nothing of it; raises what ``window`` does."""
        if self.store.has(number):
            return
        with self._lock:
            if self.store.has(number):  # somebody else has run it meanwhile
                return
            self._run(self.plan[number], progress)
            give_back()  # else each window leaves pieces that no later one fits into

    def _run(self, window: TimeWindow, progress: Progress) -> None:
        """The network on one window, whose frames are decoded unless a neighbour had them."""
        self._keep_frames(window, part_of(progress, 0.0, 0.1))
        clip = self._clip(window.start, window.stop)
        analysis = analyse(
            clip,
            self.network,
            size=self.size,
            progress=part_of(progress, 0.1, 1.0),
            features=self.features,
        )
        if self.sizes:
            from nlviz.experiments.ablation import with_sizes

            analysis = with_sizes(analysis, self.network)
        self.store.put(window, analysis)

    def _clip(self, start: int, stop: int) -> Clip:
        stream, positions = self.stream, slice(start, stop)
        return Clip(
            frames=self.store.frames(start, stop),
            indices=stream.indices[positions],
            timestamps=stream.timestamps[positions],
            name=stream.info.name,
            total=stream.info.total,
            path=stream.path,
            notes=stream.notes,
        )

    def _keep_frames(self, window: TimeWindow, progress: Progress) -> None:
        start, stop = window.start, window.stop
        numbers = (window.number - 1, window.number + 1)
        before, after = (self.plan[n] if self._done(n) else None for n in numbers)
        start = start if before is None else max(start, before.stop)
        stop = stop if after is None else min(stop, after.start)
        if start >= stop:
            return
        decoding = self._decoding.pop(start, None)
        self._decoding.clear()
        if decoding is None:
            decoding = self.stream.frames(start, self.plan.count)
        for position in range(start, stop):
            progress((position - start) / (stop - start), "reading the clip")
            self.store.put_frame(position, next(decoding))
        self._decoding[stop] = decoding

    def _done(self, number: int) -> bool:
        return 0 <= number < len(self) and self.store.has(number)


def open_long(
    source: Given,
    network: Network,
    *,
    window: int,
    overlap: int | None = None,
    frames: int | None = None,
    stride: int | None = None,
    start: int = 0,
    size: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    sizes: bool = False,
    name: str | None = None,
    progress: Progress | None = None,
    features: Sequence[str] = (),
) -> LongAnalysis:
    """A clip of any length, cut into windows; nothing is run yet, and nothing decoded.

    Args:
        source: as for ``nlviz.read``.
        network: as for ``nlviz.analyse``.
        window: sampled frames that the network sees together.
        overlap: of these, how many the next window sees too; a quarter if None.
        frames, stride, start: which frames are sampled; every frame to the end, unless ``frames``
            or ``stride`` say otherwise.
        size: the longer side of the network's input in pixels; its own default if None.
        folder: where the windows lie, and are found the next time; a temporary folder, which goes
            with the ``LongAnalysis`` (after ``kill -9`` with the next process that makes one), if
            None.
        sizes: measure ‖W_z g_j‖ in each window, for ``rank_by="contribution"``.
        name: what to call the clip; needed for bytes.
        progress: as for ``nlviz.read``, while the source is looked through.
        features: paths of layers whose similarity is a block of each window, as for ``analyse``.

    Raises:
        MediaError: the source cannot be read.
        QueryError: a window shorter than the network's step, or another one that cannot be.
        ExportError: a folder that cannot be used, or that holds windows of another clip, network
            or of other options; says which.
    """
    stream = open_stream(
        source, frames=frames, stride=stride, start=start, name=name, progress=progress
    )
    plan = WindowPlan(len(stream.indices), window, overlap, *frames_of(network))
    info = stream.info
    shape = (plan.count, info.height, info.width)
    about = _about(stream, plan, network, size, sizes=sizes, lasting=folder is not None)
    if features:
        about["layers whose features are kept"] = list(features)
    more = sizes, tuple(features)
    if folder is not None:
        return LongAnalysis(stream, plan, network, size, Store(folder, about, shape), *more)
    store = Store(new_folder("windows-"), about, shape)
    weakref.finalize(store, shutil.rmtree, store.folder, ignore_errors=True)
    return LongAnalysis(stream, plan, network, size, store, *more)


def frames_of(network: Network) -> tuple[int, int | None]:
    """How many frames a network takes at a time, and the only number that it takes, or None."""
    declared = getattr(getattr(network, "input", None), "frames", None)
    return getattr(network, "step", 1), declared


def _about(
    stream: Stream,
    plan: WindowPlan,
    network: Network,
    size: int | None,
    *,
    sizes: bool,
    lasting: bool,
) -> dict[str, Any]:
    """What the windows of a run are windows of: all that decides what is in them."""
    info = stream.info
    return {
        "format": _FORMAT,
        "version of nlviz": __version__,
        "network": network.name,
        "weights": _weights(network) if lasting else None,
        "input size": list(
            network.input_size(info.width, info.height, size or network.default_size)
        ),
        "choice of frames": list(stream.indices),
        "window": plan.length,
        "overlap": plan.shared,
        "measure of contributions": sizes,
        "clip": _content(stream) if lasting else info.name,
    }


def _content(stream: Stream) -> str:
    """A checksum of the files that the frames come from."""
    digest = hashlib.sha256()
    for source in stream.files:
        with source.open() as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
        digest.update(b"|")
    return f"sha256:{digest.hexdigest()}"


def _weights(network: Network) -> str:
    """A checksum of the weights: of their file where it is known, else of the numbers."""
    known: str | None = getattr(network, "weights", None)
    if known is not None:
        return known
    digest = hashlib.sha256()
    for name, tensor in network.module.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).numpy(force=True).tobytes())
    return f"sha256:{digest.hexdigest()}"
