"""Which of the tensors that a module is given are pictures or clips, and what their axes are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlviz.errors import CaptureError
from nlviz.hooks.module_calls import tensors

_SMALLEST = 16  # pixels: a side that is shorter may be channels
_MOST_CHANNELS = 8  # behind the pixels
_COLOURS = (1, 3, 4)

Numbers = NDArray[np.float64]
Axes = tuple[int | None, int | None, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Given:
    """An input that places are counted from.

    Args:
        tensor: the input.
        axes: which of its axes are batch, time, rows and columns; None where it has none.
        picture: its number: a mask beside a picture or clip has that one's.
        element: the first element of the batch that it is, of a list of pictures.
        unsure: whether its shape leaves open which axis is time and which is channels.
        sequence: whether it has slots already, and no pixels.
    """

    tensor: Tensor
    axes: Axes
    picture: int = 0
    element: int = 0
    unsure: bool = False
    sequence: bool = False

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """How many elements, frames, rows and columns it has."""
        batch, time, rows, columns = (
            1 if axis is None else self.tensor.shape[axis] for axis in self.axes
        )
        return batch, time, rows, columns

    @property
    def channels(self) -> int:
        """How many numbers it has at each place."""
        return self.tensor.numel() // max(1, math.prod(self.sizes))


@dataclass(frozen=True, slots=True)
class Clips:
    """How the frames of a module's inputs follow each other: those of the first picture, then more.

    Args:
        elements: of each picture, how many it has in the batch.
        frames: of each picture, how many each of them has.
        size: height and width of the largest; a smaller picture lies in its upper left corner.
    """

    elements: tuple[int, ...]
    frames: tuple[int, ...]
    size: tuple[int, int]

    @classmethod
    def of(cls, given: Sequence[Given]) -> Clips:
        """Of the inputs that places are counted from."""
        most: dict[int, list[int]] = {}
        for each in given:
            batch, *more = each.sizes
            now = [each.element + batch, *more]
            before = most.get(each.picture, now)
            most[each.picture] = [max(a, b) for a, b in zip(before, now, strict=True)]
        known = [most[picture] for picture in sorted(most)]
        elements, frames, *size = zip(*known, strict=True) if known else ((), (), (0,), (0,))
        return cls(elements, frames, (max(size[0]), max(size[1])))

    @property
    def before(self) -> list[int]:
        """For each picture, where its frames begin among those of one element."""
        return [0, *accumulate(self.frames)][:-1]

    @property
    def each(self) -> int:
        """How many frames an element has, of all pictures together."""
        return sum(self.frames)

    def is_of_several(self, frame: Numbers, size: Numbers) -> NDArray[np.bool_]:
        """Whether what lies in the middle of a size reaches over frames of several pictures."""
        crossed = np.zeros(frame.shape, bool)
        for border in self.before[1:]:
            crossed |= np.abs(frame - border) < size / 2 - 1e-3
        return crossed

    def time(self, element: Numbers, frame: Numbers) -> Numbers:
        """The frame among those of all elements, all of one picture before those of the next."""
        which = np.searchsorted(self.before, frame, side="right") - 1
        of_all = np.multiply(self.elements, self.frames)
        start = np.cumsum(of_all) - of_all - self.before
        return np.asarray(start[which] + element * np.asarray(self.frames)[which] + frame)


def given_of(inputs: Iterable[Any], module: nn.Module, layout: str | None) -> list[Given]:
    """The pictures and clips among some inputs; if there are none, the sequences.

    Args:
        inputs: what the module is called with.
        module: whose first convolution tells how many channels a picture has.
        layout: the axes of the first picture, as ``"BTCHW"``; None where its shape tells.

    Raises:
        CaptureError: an input that has no such layout.
    """
    found = list(_pictures(inputs, _first_weights(module), layout))
    # Beside a picture, what has a handful of rows is none: matrices of cameras, hidden states.
    large = [batch for batch in found if min(batch[0].sizes[2:]) >= _SMALLEST]
    found = large or found
    if found:
        return list(_numbered(found))
    # A sequence, batch first or not: which of the axes it runs over, its attention shows.
    kinds: dict[int, Axes] = {3: (None, 0, 1, 2), 2: (None, 0, 1, None)}
    floating = [x for x in tensors(inputs) if x.is_floating_point()]
    return [Given(x, kinds[x.ndim], sequence=True) for x in floating if x.ndim in kinds]


def _pictures(
    values: Iterable[Any], first: nn.Module | None, layout: str | None
) -> Iterator[list[Given]]:
    """The pictures, those of a list together, as they are one batch."""
    for value in values:
        if isinstance(value, Mapping):
            yield from _pictures(value.values(), first, layout)
        elif isinstance(value, (tuple, list)):
            alone = [_plain(each, first) if isinstance(each, Tensor) else None for each in value]
            batch = [each for each in alone if each is not None]
            if batch and len(batch) == len(value):
                yield [Given(x, axes, element=i) for i, (x, axes) in enumerate(batch)]
            else:
                yield from _pictures(value, first, layout)
        elif isinstance(value, Tensor) and _holds_pixels(value):
            given = _read(value, first, layout)
            if given is not None:
                layout = None
                yield [given]


def _numbered(found: list[list[Given]]) -> Iterator[Given]:
    """Each with the number of its picture: what has one or two channels is a mask, depth or flow.

    It lies on the picture of its size that is beside it.
    """
    whole = [batch for batch in found if batch[0].channels > 2] or found
    sizes = [batch[0].sizes for batch in whole]
    further = len(whole)
    for batch in found:
        own = batch[0].sizes
        at = next((i for i, each in enumerate(whole) if each is batch), None)
        if at is None and own in sizes:
            at = sizes.index(own)
        elif at is None and (1, *own[1:]) in ((1, *each[1:]) for each in sizes):
            continue  # one for all elements: it says nothing of which
        elif at is None:
            at, further = further, further + 1
        for each in batch:
            yield replace(each, picture=at)


def _holds_pixels(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.dtype == torch.uint8


def _first_weights(module: nn.Module) -> nn.Module | None:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.Embedding)
    return next((m for m in module.modules() if isinstance(m, kinds)), None)


def _taken(first: nn.Module | None) -> int | None:
    """How many channels a convolution of pictures takes."""
    return first.in_channels if isinstance(first, (nn.Conv2d, nn.Conv3d)) else None


def _plain(tensor: Tensor, first: nn.Module | None) -> tuple[Tensor, Axes] | None:
    """A picture of three axes (channels, rows, columns), as a convolution of pictures takes it."""
    shape = tensor.shape
    if len(shape) != 3 or shape[0] != _taken(first) or min(shape[1:]) < _SMALLEST:
        return None
    return (tensor, (None, None, 1, 2)) if _holds_pixels(tensor) else None


def _read(tensor: Tensor, first: nn.Module | None, layout: str | None) -> Given | None:
    shape = tuple(tensor.shape)
    if layout is not None:
        letters = {*layout}
        if not len(letters) == len(layout) == len(shape) or not {*"HW"} <= letters <= {*"BCTHW"}:
            raise CaptureError(
                f"The layout {layout!r} does not fit an input of {len(shape)} axes; it has a "
                "letter for each: H and W, and B, C or T, as in 'BTCHW'."
            )
        at = {letter: axis for axis, letter in enumerate(layout)}
        return Given(tensor, (at.get("B"), at.get("T"), at["H"], at["W"]))
    if len(shape) == 5:
        return _of_clip(tensor, first)
    if len(shape) == 4:
        taken = _taken(first)
        last = shape[3] <= _MOST_CHANNELS and min(shape[1:3]) >= _SMALLEST
        last = last and (taken is None or shape[1] != taken)
        return Given(tensor, (0, None, 1, 2) if last else (0, None, 2, 3))
    plain = _plain(tensor, first)
    return None if plain is None else Given(*plain)


def _of_clip(tensor: Tensor, first: nn.Module | None) -> Given:
    shape = tuple(tensor.shape)
    if shape[4] <= _MOST_CHANNELS and min(shape[2:4]) >= _SMALLEST:
        return Given(tensor, (0, 1, 2, 3))
    second, third = (n == _taken(first) for n in shape[1:3])
    if second == third:
        flat = isinstance(first, nn.Conv2d)
        second, third = (n in _COLOURS for n in shape[1:3])
        unsure = second == third
        second = not third or (second and not flat)
    else:
        unsure = False
    return Given(tensor, (0, 2, 3, 4) if second else (0, 1, 3, 4), unsure=unsure)
