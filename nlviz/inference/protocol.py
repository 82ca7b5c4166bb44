"""What the library needs of a network: ``nlviz.models.zoo.load`` gives one; you can too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class Tap(Protocol):
    """Where a block's queries sit on the network's input; the same two fields as ``Grid``."""

    @property
    def stride(self) -> tuple[float, float, float]:
        """(frames, pixels down, pixels right) between neighbouring cells."""
        ...

    @property
    def first(self) -> tuple[float, float, float]:
        """Centre of the first cell; pixel i has its centre at i + 0.5."""
        ...


class Network(Protocol):
    """A module together with how a clip becomes its input."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """Called with what ``prepare`` gives; returns class scores (…, classes) or anything."""
        ...

    @property
    def taps(self) -> Mapping[str, Tap]:
        """Block name → where its queries sit; nlviz follows those of blocks without one."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; empty if it does not classify."""
        ...

    @property
    def stages(self) -> tuple[str, ...]:
        """Paths of sub-modules worth naming while the network runs, in order of use."""
        ...

    @property
    def default_size(self) -> int:
        """The longer side of the input that the network works best at, in pixels."""
        ...

    def input_size(self, width: int, height: int, size: int) -> tuple[int, int]:
        """(width, height) of the input for a source and a longer side of about ``size``."""
        ...

    def prepare(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """The module's input from (T, H, W, 3) uint8 RGB frames of ``input_size``."""
        ...
