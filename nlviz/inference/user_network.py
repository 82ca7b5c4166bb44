"""A user's own module as a network, and how frames become its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import NetworkError, NlvizError
from nlviz.hooks.memory import is_out_of_memory
from nlviz.inference.protocol import Tap
from nlviz.inference.tracebacks import is_users, sentence
from nlviz.media.filters import INTERPOLATIONS, Interpolation

if TYPE_CHECKING:
    import torch

AxisOrder = Literal["BCTHW", "BTCHW", "TCHW"]
_AXIS_ORDERS: tuple[AxisOrder, ...] = get_args(AxisOrder)
_CHANNEL_ORDERS = ("RGB", "BGR")

LARGEST = 4096
"""Pixels of a side of an input, at most."""

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601's grey of red, green and blue


@dataclass(frozen=True, slots=True)
class Input:
    """How frames become what a module is called with; the defaults are ImageNet's.

    Args:
        size: the longer side in pixels, which keeps the aspect; or (width, height), to which every
            frame is stretched; up to 4096.
        multiple: each side is rounded to a multiple of this where the aspect is kept, or of the
            size where that is smaller, so that a size of 28 is 28 × 28.
        mean: subtracted from each channel of pixels from 0 to 1; of three numbers for one channel,
            their grey.
        deviation: what the rest is divided by, likewise.
        frames: how many frames the module takes; the app and the command line then sample as
            many where nobody says. None for any number.
        frames_step: where the module takes other numbers of frames than ``frames`` too: what each
            number is a multiple of. None where it takes ``frames`` alone.
        layout: the axes: "BCTHW" or "BTCHW" for clips, "TCHW" for a module of images that runs on
            each frame alone. None lets the module's first convolution decide: clips as "BCTHW"
            if it is 3-D, else images.
        classes: names of the classes, in the order of the scores the module returns.
        channels: 3 for red, green, blue; 1 for grey, 0.299 red + 0.587 green + 0.114 blue.
        channel_order: "RGB", or "BGR" for a module that takes blue first; mean and deviation are in
            this order, too.
        interpolation: how frames are resized, as Pillow names its filters: "nearest", "bilinear",
            "bicubic", "lanczos", "box" or "hamming". None for nlviz's own way: the mean of the
            pixels that are covered where frames shrink, else linear.

    Raises:
        NetworkError: a value outside these.
    """

    size: int | tuple[int, int] = 224
    multiple: int = 32
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    deviation: tuple[float, ...] = (0.229, 0.224, 0.225)
    frames: int | None = None
    layout: AxisOrder | None = None
    classes: tuple[str, ...] = ()
    channels: int = 3
    channel_order: Literal["RGB", "BGR"] = "RGB"
    interpolation: Interpolation | None = None
    frames_step: int | None = None

    def __post_init__(self) -> None:
        for name, kind in (("mean", Real), ("deviation", Real), ("classes", str)):
            object.__setattr__(self, name, _row(name, getattr(self, name), kind))
        one = isinstance(self.size, Integral)
        sizes = tuple(map(int, _row("size", [self.size] if one else self.size, Integral)))
        object.__setattr__(self, "size", sizes[0] if one else sizes)
        if len(sizes) not in (1, 2) or not all(1 <= s <= LARGEST for s in sizes):
            raise NetworkError(
                f"The input's size {self.size!r} is not supported; give one number or (width, "
                f"height), 1 to {LARGEST} pixels."
            )
        if self.layout not in (None, *_AXIS_ORDERS):
            raise NetworkError(
                f"The input's layout {self.layout!r} is unknown; choose one of "
                f"{', '.join(_AXIS_ORDERS)}."
            )
        counts = (self.multiple, self.frames, self.frames_step)
        if not all(isinstance(n, Integral) and n >= 1 for n in counts if n is not None):
            raise NetworkError("The input's multiple, frames and frames_step must be at least 1.")
        _check_choice("channel_order", self.channel_order, _CHANNEL_ORDERS)
        _check_choice("interpolation", self.interpolation, (None, *INTERPOLATIONS))
        if self.channels not in (1, 3):
            raise NetworkError(
                f"The input's channels {self.channels!r} are not supported; choose 3 for red, "
                "green and blue or 1 for grey, or wrap the module in one that takes these."
            )
        numbers = {len(self.mean), len(self.deviation)}
        if not numbers <= {3, self.channels} or not all(self.deviation):
            raise NetworkError(
                "The input's mean and deviation must be a number for each channel, or three, no "
                "deviation being 0."
            )

    @classmethod
    def of(cls, said: Input | Mapping[str, Any] | None) -> Input:
        """An ``Input`` from one, from a mapping of its fields, or from nothing."""
        if isinstance(said, Input):
            return said
        known = [f.name for f in fields(cls)]
        unknown = [str(key) for key in said or {} if key not in known]
        if unknown:
            raise NetworkError(
                f"The input's record has {', '.join(unknown)}; it may have {', '.join(known)}."
            )
        return cls(**(said or {}))


@dataclass(frozen=True, slots=True, eq=False)
class UserNetwork:
    """Any module as a network for ``analyse``.

    The module's device and precision are kept; its input is moved there. One that is offloaded or
    spread over devices stays so, and gets its input where its first part runs.

    Args:
        module: any module with non-local blocks or attention in it.
        input: how frames become its input; an ``Input`` or a mapping of its fields.
        name: what to call it; the module's class by default.
        taps: block name → where its queries sit on the input, see
            ``nlviz.inference.protocol.Tap``; blocks without one lie where nlviz follows
            them to.
        path: the file that built it, so that errors can say which line.
        weights: checksum of the checkpoint that was loaded into it, as ``"sha256:…"``, or None.
        blocks: which children of its non-local blocks are θ, φ, g and W, where they have names of
            their own: a block's path, or the name of a class for all blocks of it → ``theta``,
            ``phi``, ``g``, ``W`` or ``concat`` → the child's path in the block. Without theta and
            phi the block is Gaussian; without W it puts out y + x, or γ y + x if it has a
            ``gamma``.
        summary: what it is and where its input's record comes from, in a line; empty where nobody
            said.

    Raises:
        NetworkError: a block or a child that does not exist, or one that is missing.
    """

    module: torch.nn.Module
    input: Input = field(default_factory=Input)
    name: str = ""
    taps: Mapping[str, Tap] = field(default_factory=dict)
    path: str | None = None
    weights: str | None = None
    blocks: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    summary: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", Input.of(self.input))
        if self.blocks != {}:
            from nlviz.hooks.nonlocal_blocks.parts import name_children

            name_children(self.module, self.blocks)
        object.__setattr__(self, "name", self.name or type(self.module).__name__)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""
        return self.input.classes

    @property
    def stages(self) -> tuple[str, ...]:
        """The module's children."""
        return tuple(name for name, _ in self.module.named_children())

    @property
    def default_size(self) -> int:
        """The longer side of the input, in pixels."""
        size = self.input.size
        return size if isinstance(size, int) else max(size)

    def input_size(self, width: int, height: int, size: int) -> tuple[int, int]:
        """(width, height) of the input: the record's own if it has both, else by the aspect."""
        if not isinstance(self.input.size, int):
            return self.input.size
        by, scale = min(self.input.multiple, size), size / max(width, height)
        return max(round(width * scale / by), 1) * by, max(round(height * scale / by), 1) * by

    def prepare(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """The module's input from (T, H, W, 3) uint8 RGB frames of ``input_size``.

        NetworkError where the module takes another number of frames.
        """
        import torch

        from nlviz.inference.offloading import input_like

        self._check_count(len(frames))
        like = input_like(self.module)
        pixels, mean, deviation = (
            self._of_channels(torch.tensor(each, device="cpu").float())
            for each in (frames, self.input.mean, self.input.deviation)
        )
        if self.input.channel_order == "BGR":
            pixels = pixels.flip(-1)
        clip = ((pixels / 255 - mean) / deviation).permute(0, 3, 1, 2)  # (T, channels, H, W)
        if self.layout != "TCHW":
            clip = (clip if self.layout == "BTCHW" else clip.transpose(0, 1)).unsqueeze(0)
        prepared: torch.Tensor = clip.contiguous().to(like.device, like.dtype)
        return prepared

    def _check_count(self, count: int) -> None:
        """NetworkError for a number of frames that the module does not take."""
        wanted, step = self.input.frames, self.input.frames_step
        if step is not None:
            if count % step:
                fewer = count - count % step
                near = " or ".join(str(n) for n in (fewer, fewer + step) if n)
                raise NetworkError(
                    f"{self.name} takes a multiple of {step} frames and got {count}; choose "
                    f"{near}, of a clip that has so many."
                )
        elif wanted is not None and count != wanted:
            raise NetworkError(
                f"{self.name} takes {wanted} frames and got {count}; choose {wanted}, of a "
                "clip that has so many."
            )

    def _of_channels(self, values: torch.Tensor) -> torch.Tensor:
        """Values of red, green and blue along the last axis, as the module's channels have them."""
        if values.shape[-1] == self.input.channels:
            return values
        return (values * values.new_tensor(_LUMA)).sum(-1, keepdim=True)

    @property
    def layout(self) -> AxisOrder:
        """The axes of the module's input: the record's, else by its first convolution.

        Without a convolution it is a module of images, as vision transformers are.
        """
        if self.input.layout is not None:
            return self.input.layout
        from torch import nn

        kinds = (m for m in self.module.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)))
        return "BCTHW" if isinstance(next(kinds, None), nn.Conv3d) else "TCHW"

    @contextmanager
    def explaining(self, prepared: torch.Tensor) -> Iterator[None]:
        """Turns what the module itself raises into one sentence and the line it came from."""
        try:
            yield
        except NlvizError:
            raise
        except Exception as error:
            if is_out_of_memory(error) or not is_users(error):
                raise
            raise NetworkError(
                f"{self.name} cannot take an input of shape {tuple(prepared.shape)}: "
                f"{sentence(error, self.path)}; build() may return its input's record (size, "
                "channels, frames, layout) beside the module, or wrap it in one that takes this."
            ) from error


def _check_choice(name: str, given: Any, allowed: Iterable[str | None]) -> None:
    if given not in allowed:
        words = ", ".join(filter(None, allowed))
        raise NetworkError(f"The input's {name} {given!r} is unknown; choose one of {words}.")


def _row(name: str, value: Any, kind: type) -> tuple[Any, ...]:
    """Several numbers or words; NetworkError for anything else."""
    row = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
    if row is None or not all(isinstance(each, kind) for each in row):
        several = "a sequence of words" if kind is str else "numbers"
        raise NetworkError(f"The input's {name} is {value!r}; give {several}.")
    return row
