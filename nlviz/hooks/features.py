"""Any layer's features: what a module takes or puts out, each vector where it looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Grid
from nlviz.groups import NO_KEY, NO_QUERY, Groups
from nlviz.hooks.batch import Sample
from nlviz.hooks.module_calls import tensors, this_thread
from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import cores_of

Side = Literal["input", "output"]

_MOST_BYTES = 512 << 20  # of one layer's vectors
_NEAREST = 5  # paths that an unknown one is told


@dataclass(frozen=True, slots=True, eq=False)
class LayerFeatures:
    """The vectors of one layer on a grid of cells.

    Args:
        vectors: (C, cells) float32, column i at cell i of ``grid``; 0 where there is none.
        grid: the cells, in row-major order.
        there: (T, H, W), True where a cell has a vector.
    """

    vectors: NDArray[np.float32]
    grid: Grid
    there: NDArray[np.bool_]

    @property
    def in_order(self) -> NDArray[np.float32]:
        """(C, n) the vectors of the cells that have one."""
        return self.vectors if self.there.all() else self.vectors[:, self.there.ravel()]

    def with_call(self, more: LayerFeatures) -> LayerFeatures | None:
        """With the vectors of a further call, as of a network that takes a frame at a time.

        None where that call saw one of the same cells, or another grid: the layer began again.
        """
        if (
            more.grid != self.grid
            or len(more.vectors) != len(self.vectors)
            or bool((self.there & more.there).any())
        ):
            return None
        new = more.there.ravel()
        self.vectors[:, new] = more.vectors[:, new]
        return LayerFeatures(self.vectors, self.grid, self.there | more.there)

    def similarity(self) -> Affinity:
        """Their cosines as an affinity: f/C = x_iᵀx_j / (‖x_i‖‖x_j‖), from −1 to 1.

        Raises:
            CaptureError: numbers that are not finite.
        """
        lengths = np.linalg.norm(self.vectors, axis=0)
        if not np.isfinite(lengths).all():
            off = int((~np.isfinite(lengths)).sum())
            raise CaptureError(f"puts out numbers that are not finite, at {off} of its places")
        unit = self.vectors / np.maximum(lengths, 1e-12)
        count, there = int(self.there.sum()), self.there.ravel()
        reach: tuple[Groups, ...] = ()
        if count < self.grid.size:
            query, key = (np.where(there, 0, none) for none in (NO_QUERY, NO_KEY))
            reach = (Groups(query.astype(np.int32), key.astype(np.int32)),)
        # Eq. (4) divides by the number of keys; times as many it is the cosine itself.
        return Affinity(
            "dot_product", unit, unit, self.grid, self.grid, scale=float(count), reach=reach
        )


def layer_at(module: nn.Module, path: str) -> tuple[nn.Module, int]:
    """The layer of a network at a path, and which of its calls is meant, from 1.

    Args:
        module: the network.
        path: as ``named_modules`` gives it; the class's name for the network itself; with ``#2``
            for the second call in a pass.

    Raises:
        CaptureError: a path that names nothing; says the nearest ones.
    """
    bare, _, number = path.partition("#")
    there = dict(module.named_modules())
    there[type(module).__name__] = there.pop("")
    if bare not in there or (number and not (number.isdecimal() and int(number) > 0)):
        raise CaptureError(
            f"Layer {path!r} does not exist in {type(module).__name__}; the nearest ones are "
            f"{', '.join(_nearest(bare, list(there)))}."
        )
    return there[bare], int(number or 1)


def _nearest(path: str, paths: Sequence[str]) -> list[str]:
    """The paths that are most like one, in the order of the network."""
    near = get_close_matches(path, paths, _NEAREST, 0.5)
    last = path.rpartition(".")[2].lower()
    near += [each for each in paths if last and last in each.lower()]
    chosen = list(dict.fromkeys(near or paths))[:_NEAREST]
    return sorted(chosen, key=paths.index)


Heard = Callable[[str, Callable[[], LayerFeatures]], None]


@contextmanager
def hearing_layers(
    module: nn.Module,
    paths: Sequence[str],
    places: Places,
    sample: Sample,
    heard: Heard,
    *,
    side: Side = "output",
) -> Iterator[None]:
    """Hooks on some layers for as long as the context lasts; calls of other threads go unseen.

    Args:
        module: the network.
        paths: of the layers, as ``layer_at`` takes them; one with a number hears that call alone.
        places: what the pass shows of places.
        sample: what of each batch to keep.
        heard: called in the pass with the path of each call, numbered from the second one on as
            ``"path#2"``, and what reads its features, which may raise CaptureError. What it reads
            is the module's own, and has to be read at once.
        side: whether what the layer takes or what it puts out is heard.

    Raises:
        CaptureError: a path that names nothing.
    """
    layers = {path: layer_at(module, path) for path in paths}
    with ExitStack() as hooks:
        for path, (layer, number) in layers.items():
            ear = _Ear(path, number, places, sample, heard)
            if side == "input":
                before = this_thread(ear.taken)
                handle = layer.register_forward_pre_hook(before, with_kwargs=True)
            else:
                handle = layer.register_forward_hook(this_thread(ear.put_out))
            hooks.callback(handle.remove)
        yield


class _Ear:
    """Hears the calls of one layer in one pass."""

    def __init__(
        self, path: str, number: int, places: Places, sample: Sample, heard: Heard
    ) -> None:
        self.bare, _, said = path.partition("#")
        self.only = number if said else None
        self.places, self.sample, self.heard = places, sample, heard
        self.count = 0

    def taken(self, _: nn.Module, args: Any, kwargs: Any = None) -> None:
        self._call((*args, *(kwargs or {}).values()), "takes")

    def put_out(self, _: nn.Module, __: Any, out: Any) -> None:
        self._call((out,), "puts out")

    def _call(self, values: Sequence[Any], verb: str) -> None:
        self.count += 1
        if self.only is not None and self.count != self.only:
            return
        path = self.bare if self.count == 1 else f"{self.bare}#{self.count}"
        self.heard(path, lambda: _features(values, verb, self.places, self.sample))


def _features(values: Sequence[Any], verb: str, places: Places, sample: Sample) -> LayerFeatures:
    """The features of what a layer takes or puts out: its first tensor of numbers.

    Raises:
        CaptureError: no tensor, or one whose vectors are not of one place each.
    """
    found = [each for each in _tensors(values) if each.is_floating_point() and each.ndim > 1]
    if not found:
        raise CaptureError(f"{verb} no tensor of numbers with two axes or more")
    tensor = found[0]
    shape, cores = cores_of(places.of(tensor), "features")
    if len(cores) > 1:
        raise CaptureError(f"{verb} products of two sequences, which are no vectors of one place")
    faults = []
    for core, channels in _readings(cores[0], shape, places):
        try:
            return _placed(
                tensor.detach(), core.expand(_without(shape, channels)), channels, places, sample
            )
        except CaptureError as why:
            faults.append(why)
    raise faults[0]


def _tensors(values: Sequence[Any]) -> list[Tensor]:
    """All tensors among what a layer takes or puts out, records of tensors included."""
    plain = [
        vars(each)
        if hasattr(each, "__dataclass_fields__") and not isinstance(each, Mapping)
        else each
        for each in values
    ]
    return tensors(plain)


def _readings(
    core: Tensor, shape: tuple[int, ...], places: Places
) -> Iterator[tuple[Tensor, tuple[int, ...]]]:
    """A tensor's places without its channels, and which axes these are; each way to see it.

    Channels are the axes over which the place does not change. Where it does over every axis, as
    of maps of several sizes set behind each other, they are those of a map or of a sequence.
    """
    channels = tuple(axis for axis, n in enumerate(shape) if core.shape[axis] == 1 and n > 1)
    if channels:
        yield _bare(core, channels), channels
        return
    for axis in (1, len(shape) - 1):
        yield _bare(places.coordinates.mixed(core, [axis]), (axis,)), (axis,)


def _bare(core: Tensor, channels: tuple[int, ...]) -> Tensor:
    for axis in reversed(channels):
        core = core.squeeze(axis)
    return core


def _without(shape: tuple[int, ...], channels: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for axis, n in enumerate(shape) if axis not in channels)


def _placed(
    tensor: Tensor, core: Tensor, channels: tuple[int, ...], places: Places, sample: Sample
) -> LayerFeatures:
    """Each vector in its cell; CaptureError where the places of all are no cells of one grid."""
    if places.is_sequence and sample.number is not None and sample.batch > 1:
        raise CaptureError("runs on a batch of sequences, which leaves open whose each vector is")
    slots = core.flatten()
    behind = tuple(range(tensor.ndim - len(channels), tensor.ndim))
    vectors = tensor.movedim(channels, behind).reshape(len(slots), -1)
    cell = places.coordinates.kind(slots) == Kind.CELL
    if sample.number is not None and not places.is_sequence:
        element = places.coordinates.centre(slots)[:, 0]
        cell &= element.isnan() | (element == sample.number)
    if bool(cell.any()):  # tokens take no part
        slots, vectors = slots[cell], vectors[cell.to(vectors.device)]
    layout, _ = places.laid_out(slots[None], slots[None], alone=sample.number is not None)
    grid, at = layout.grid, layout.columns[0]
    inside = at < grid.size
    if int(inside.sum()) == 1:
        raise CaptureError("has one vector for the whole clip, which is no map of several places")
    if len(np.unique(at[inside])) < int(inside.sum()):
        raise CaptureError("has several vectors for one place")
    if 4 * vectors.shape[1] * grid.size > _MOST_BYTES:
        raise CaptureError(
            f"has {grid.size:,} places × {vectors.shape[1]:,} channels, more than "
            f"{_MOST_BYTES >> 20} MiB; choose a later layer, fewer frames or a smaller input"
        )
    there = np.zeros(grid.size, np.bool_)
    there[at[inside]] = True
    laid = np.zeros((vectors.shape[1], grid.size), np.float32)
    mine = vectors[torch.from_numpy(inside).to(vectors.device)].float().cpu().numpy()
    laid[:, at[inside]] = mine.T
    return LayerFeatures(laid, grid, there.reshape(grid.shape))
