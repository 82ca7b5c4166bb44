"""Pace: what a network costs on this machine, measured by a short probe before the long work."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nlviz.analysis import Analysis
from nlviz.clip import Clip
from nlviz.inference.forward import analyse
from nlviz.inference.protocol import Network
from nlviz.progress import Progress, silent

_TRIED = 4  # frames of the longer of two short passes, if the network takes so few


@dataclass(frozen=True, slots=True)
class Pace:
    """What analyses of one network at one input size cost, by two short ones that were run.

    Args:
        frames: how many frames the two had; the same twice where the network takes no other number.
        seconds: how long each took.
        memory: bytes that tensors took at most while each ran, and what it gave.
        positions: queries of the block that has the most of them.
        kept: numbers in θ and φ of all blocks.
    """

    frames: tuple[int, int]
    seconds: tuple[float, float]
    memory: tuple[float, float]
    positions: tuple[float, float]
    kept: tuple[float, float]

    def seconds_of(self, frames: int) -> float:
        """About how long an analysis of so many frames takes."""
        return self._along(self.seconds, frames)

    def memory_of(self, frames: int) -> int:
        """About how many bytes it takes beside the network's weights."""
        return round(self._along(self.memory, frames))

    def positions_of(self, frames: int) -> int:
        """How many queries the block has that has the most."""
        return round(self._along(self.positions, frames))

    def kept_of(self, frames: int) -> int:
        """How many numbers θ and φ of all blocks have."""
        return round(self._along(self.kept, frames))

    def _along(self, measured: tuple[float, float], frames: int) -> float:
        """A curve through both: what grows with the frames, and with their square or not at all.

        Layers take a time for each frame and attention for each pair; what is left is fixed.
        """
        (few, many), (low, high) = self.frames, measured
        if few == many:
            return low * frames / few
        bent = (high / many - low / few) / (many - few)
        if bent > 0:
            return max((low / few - bent * few), 0.0) * frames + bent * frames**2
        slope = (high - low) / (many - few)
        return max(low + slope * (frames - few), 0.0)


def measure(
    network: Network,
    width: int,
    height: int,
    *,
    size: int | None = None,
    most: int = 8,
    clock: Callable[[], float] = time.perf_counter,
    progress: Progress | None = None,
) -> Pace:
    """Run a network on a few frames of noise, as small as it takes them, and see what that costs.

    Args:
        network: as for ``analyse``.
        width, height: of the clip.
        size: as for ``analyse``.
        most: how many frames are to be analysed later; no more are tried.
        clock: seconds, for tests.
        progress: as for ``analyse``.

    Raises:
        NetworkError, CaptureError, BudgetError: as ``analyse``.
    """
    declared = getattr(getattr(network, "input", None), "frames", None)
    step = getattr(network, "step", 1)
    few = declared or min(step, most)
    many = declared or min(max(2, min(most, _TRIED) // step) * step, most)
    report = progress or silent
    noise = np.random.default_rng(0).integers(0, 256, (many, height, width, 3), dtype=np.uint8)
    turns = [few, few, *([many, many] if many > few else [])]  # the first pass warms up
    found: dict[int, list[Pace]] = {}
    for turn, count in enumerate(turns):
        report(turn / len(turns), "measuring how fast this machine is")
        found.setdefault(count, []).append(_tried(noise[:count], network, size, clock))
    report(1.0, "done")
    return both(*(min(found[count], key=lambda pace: pace.seconds) for count in (few, many)))


@dataclass(slots=True)
class Watch:
    """What a piece of work took: seconds, and bytes of tensors at most; 0 until it has ended."""

    seconds: float = 0.0
    memory: int = 0

    def pace(self, analysis: Analysis) -> Pace:
        """What the analysis that was watched says of others."""
        count = len(analysis.clip.frames)
        blocks = analysis.affinities.values()
        positions = max(each.query_grid.size for each in blocks)
        kept = sum(each.theta.size + each.phi.size for each in blocks)
        return Pace(
            (count, count),
            (self.seconds, self.seconds),
            (self.memory, self.memory),
            (positions, positions),
            (kept, kept),
        )


@contextmanager
def watching(clock: Callable[[], float] = time.perf_counter) -> Iterator[Watch]:
    """See what an analysis inside takes."""
    watch, begun = Watch(), clock()
    with _LiveBytes() as live:
        yield watch
    watch.seconds, watch.memory = clock() - begun, live.most


def both(few: Pace, many: Pace) -> Pace:
    """What two analyses of different lengths say together."""
    pairs = (
        (getattr(few, name)[0], getattr(many, name)[-1])
        for name in ("frames", "seconds", "memory", "positions", "kept")
    )
    return Pace(*pairs)


def _tried(
    frames: NDArray[np.uint8], network: Network, size: int | None, clock: Callable[[], float]
) -> Pace:
    """What one analysis takes."""
    count = len(frames)
    clip = Clip(frames, tuple(range(count)), tuple(map(float, range(count))), "noise", count + 1)
    with watching(clock) as watch:
        analysis = analyse(clip, network, size=size)
    return watch.pace(analysis)


def held_now() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def free_now() -> int | None:
    """Bytes of memory that are free on this machine; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) << 10
    except (OSError, ValueError, KeyError):
        return None


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that come into being inside and are not let go yet."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._known: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Not by PyTorch's wrapper, which would load its whole compiler: seconds, and a folder."""
        return False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        for each in tree_leaves(out):
            if isinstance(each, torch.Tensor) and not each.is_meta:
                self._count(each.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._let_go, key, size).atexit = False

    def _let_go(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size
