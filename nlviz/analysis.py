"""One forward pass of a network on a clip, and everything a view of it needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.about import About, about
from nlviz.affinity import Affinity
from nlviz.blame import is_out_of_memory
from nlviz.clip import Clip
from nlviz.display import table, thumbnail
from nlviz.errors import BudgetError, NetworkError, QueryError
from nlviz.foreign import UserNetwork
from nlviz.geometry import View
from nlviz.hooks import capture
from nlviz.network import Network, Tap

if TYPE_CHECKING:
    from nlviz.links import Query
    from nlviz.notebook.widget import Widget

Progress = Callable[[float, str], None]

_TOP_CLASSES = 5
_SMALLEST, _LARGEST = 32, 4096
_MOST_PIXELS = 180_000_000  # of all frames together at the input's size: 2 GiB as float32


@dataclass(frozen=True, slots=True)
class Prediction:
    """A class the network sees in the clip, and its softmax score from 0 to 1."""

    label: str
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """A clip as one network saw it; immutable.

    Args:
        clip: the frames that were analysed.
        view: how they became the network's input.
        network: the network's name.
        affinities: block name → Affinity, from input to output.
        fidelity: block name → relative error of the y recomputed from the captured affinity
            against the y that the block really put out; about 1e-6 where the capture is right.
        prediction: the network's top classes, best first; empty for a network without classes.
        refused: block name → why it was found but not understood, and so is not among the others.
        kinds: block name → what it is, in a few words.
        sizes: block name → (M,) ‖W_z g_j‖ of each key, where ``with_sizes`` has measured it.
    """

    clip: Clip
    view: View
    network: str
    affinities: Mapping[str, Affinity]
    fidelity: Mapping[str, float]
    prediction: tuple[Prediction, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the captured blocks, from input to output."""
        return tuple(self.affinities)

    def affinity(self, block: str) -> Affinity:
        """The affinity of one block; QueryError naming the blocks there are for an unknown one."""
        if block not in self.affinities:
            raise QueryError(
                f"Block {block!r} is not captured; choose one of {', '.join(self.blocks)}."
            )
        return self.affinities[block]

    def about(self, block: str) -> About:
        """What is honest to say of one block; QueryError for an unknown one."""
        affinity, kind = self.affinity(block), self.kinds.get(block, "non-local block")
        return about(block, kind, affinity, self.view, self.fidelity[block])

    def _repr_html_(self) -> str:
        """In a notebook: a frame, what was seen in it, and the blocks."""
        clip = self.clip
        length = "image" if clip.is_image else f"{len(clip.frames)} of {clip.total} frames"
        seen = [f"{each.label.split(',')[0]} {each.score:.0%}" for each in self.prediction[:3]]
        facts = [clip.name, f"{clip.width}×{clip.height}", length, self.network, *seen]
        rows = [
            (name, about.function, each.query_grid, each.key_grid, f"{about.fidelity:.1e}")
            for name, each in self.affinities.items()
            for about in [self.about(name)]
        ]
        head = ("block", "function", "queries", "keys", "fidelity")
        frame = clip.frames[len(clip.frames) // 2]
        return thumbnail(frame, clip.name) + table(head, rows, " · ".join(facts))

    def show(
        self,
        queries: Sequence[Query] = (),
        settings: Mapping[str, Any] | None = None,
    ) -> Widget:
        """The viewer in a Jupyter notebook: hover and pin there, and read the pins in Python.

        Args:
            queries: the pins it opens with, at most eight; the first one's block, head, direction,
                k, ranking and exclusion are those of the whole view.
            settings: of the viewer, as a ``Session`` holds them; its own if None.

        Returns:
            a widget; its ``queries``, ``pins`` and ``links`` are what is pinned now, and
            ``widget.observe(told, "queries")`` tells of each change.

        Raises:
            ExportError: anywidget is not installed, or more than eight queries.
            QueryError: a query that cannot be answered.
        """
        # By name: the library is below its notebook, and loads it for those alone who ask.
        widget: Widget = import_module("nlviz.notebook").show(self, queries, settings)
        return widget


def analyse(
    clip: Clip, network: Network, *, size: int | None = None, progress: Progress | None = None
) -> Analysis:
    """Run a network once on a clip and keep each block's θ and φ.

    Args:
        clip: the frames.
        network: a network of ``models.zoo.load`` or one of the same shape.
        size: the longer side of the network's input in pixels, 32 to 4096; the network's own
            default if None. The aspect ratio is kept, up to rounding to the network's grid.
        progress: called with a fraction from 0 to 1 and a word on what is being done; what it
            raises stops the analysis.

    Raises:
        NetworkError: a size outside the range, or a network none of whose blocks can be seen.
        BudgetError: the machine has too little memory; says what to lower.
    """
    size = network.default_size if size is None else size
    if not _SMALLEST <= size <= _LARGEST:
        raise NetworkError(
            f"The input size {size} is not supported; choose {_SMALLEST} to {_LARGEST} pixels."
        )
    report = progress or _silent
    report(0.0, "preparing the frames")
    width, height = network.input_size(clip.width, clip.height, size)
    view = View((clip.width, clip.height), (width, height), clip.indices)
    most = _MOST_PIXELS // (width * height)
    if len(clip.frames) > most:
        raise BudgetError(
            f"{len(clip.frames)} frames at {width}×{height} are more than fit; take at most {most} "
            "frames, or a smaller input size."
        )
    try:
        frames = network_input(clip, view, network)
        with _reporting(network, report), _explaining(network, frames):
            seen = capture(network.module, frames, sample=None)
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise BudgetError(
            f"Not enough memory for {len(clip.frames)} frames at {width}×{height}; "
            "take fewer frames or a smaller input size."
        ) from error
    report(1.0, "done")
    return Analysis(
        clip=clip,
        view=view,
        network=network.name,
        affinities=MappingProxyType(
            {
                name: _placed(affinity, view, network.taps.get(name.partition("#")[0]))
                for name, affinity in seen.affinities.items()
            }
        ),
        fidelity=MappingProxyType(dict(seen.fidelity)),
        prediction=top_classes(seen.output, network.classes),
        refused=seen.refused,
        kinds=seen.kinds,
    )


def network_input(clip: Clip, view: View, network: Network) -> torch.Tensor:
    """What a network's module is called with for a clip."""
    return network.prepare(_resize(clip.frames, *view.input))


def _explaining(network: Network, frames: torch.Tensor) -> AbstractContextManager[None]:
    """What a user's own module raises is told as such; our own networks raise only by a fault."""
    return network.explaining(frames) if isinstance(network, UserNetwork) else nullcontext()


def _silent(fraction: float, what: str) -> None:
    """Progress for those who did not ask for any."""


def _resize(frames: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Area-averaged where the frames shrink, so that no detail aliases."""
    shrinks = frames.shape[1] > height or frames.shape[2] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])


def _placed(affinity: Affinity, view: View, tap: Tap | None) -> Affinity:
    """The affinity with its grids put where the network's tap says; else they tile the input."""
    queries = affinity.query_grid
    if tap is None:
        dt, dy, dx = (
            len(view.frames) / queries.t,
            *(size / n for size, n in zip(reversed(view.input), queries.shape[1:], strict=True)),
        )
        queries = replace(queries, stride=(dt, dy, dx), first=(dt / 2, dy / 2, dx / 2))
    else:
        queries = replace(queries, stride=tap.stride, first=tap.first)
    return replace(affinity, query_grid=queries, key_grid=queries.pooled(affinity.key_grid.shape))


def class_scores(output: Any, classes: tuple[str, ...]) -> torch.Tensor | None:
    """Softmax scores (classes,) of a network's output; None where it holds no class scores.

    Hugging Face's outputs hold them as ``logits``.
    """
    output = getattr(output, "logits", output)
    if not isinstance(output, torch.Tensor) or output.shape[-1:] != (len(classes),):
        return None
    return output.detach().float().cpu().reshape(-1, len(classes)).mean(0).softmax(0)


def top_classes(output: Any, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    """The classes of greatest score, best first; none where there are no class scores."""
    scores = class_scores(output, classes)
    if scores is None:
        return ()
    best = scores.topk(min(_TOP_CLASSES, len(classes)))
    return tuple(
        Prediction(classes[int(i)], float(score))
        for score, i in zip(best.values, best.indices, strict=True)
    )


@contextmanager
def _reporting(network: Network, report: Progress) -> Iterator[None]:
    """Say which stage has begun, as the network's stages are entered one after the other."""
    stages = network.stages
    begun: set[str] = set()

    thread = threading.get_ident()

    def entered(stage: str) -> None:
        if stage not in begun and threading.get_ident() == thread:
            begun.add(stage)
            report(len(begun) / (len(stages) + 1), f"running {network.name}: {stage}")

    handles = [
        network.module.get_submodule(stage).register_forward_pre_hook(
            lambda module, args, stage=stage: entered(stage)
        )
        for stage in stages
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
