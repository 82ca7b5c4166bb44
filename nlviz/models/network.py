"""A network ready to run: the module, and how RGB frames become its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.errors import ZooError
from nlviz.models.input_size import LARGEST, SMALLEST, fitted
from nlviz.models.score_windows import ScoreWindows
from nlviz.models.taps import Tap

Channels = tuple[float, float, float]

_DEVICES = ("auto", "cuda", "mps", "cpu")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A network ready to run, in evaluation mode, and what a view needs to know about it.

    Args:
        name: in the zoo.
        summary: what it is, in a line.
        module: takes what ``prepare`` gives, and gives logits (1, classes).
        device: what ``module`` is on.
        taps: block name → where its queries sit on the input, from input to output.
        classes: names of the classes, in the order of the scores.
        stages: the module's children, in order of use.
        default_size: the longer side of the input, in pixels.
        mean: of the input, red, green, blue from 0 to 255; it is subtracted.
        deviation: what the rest is divided by.
        side: what each side of the input is a multiple of, in pixels.
        step: what the number of frames is a multiple of; ``prepare`` sees to it.
        weights: checksum of the file that its weights came from, as ``"sha256:…"``: the bundled
            one, the checkpoint that was fetched and converted, or your own; None where that is
            not known.
        score_windows: the square windows that its class scores come from, each a pass of its own;
            None where they come from the pass that is drawn.
    """

    name: str
    summary: str
    module: nn.Module
    device: torch.device
    taps: Mapping[str, Tap]
    classes: tuple[str, ...]
    stages: tuple[str, ...]
    default_size: int
    mean: Channels
    deviation: Channels
    side: int
    step: int = 1
    weights: str | None = None
    score_windows: ScoreWindows | None = None

    def input_size(self, width: int, height: int, size: int) -> tuple[int, int]:
        """(width, height) to resize a frame to: each side a multiple of ``side``, at least 32.

        The longer side comes as near to ``size`` as that allows, the other keeps the aspect.

        Raises:
            ZooError: a frame without pixels, or a size outside 32 to 4096.
        """
        if width < 1 or height < 1:
            raise ZooError(f"A frame of {width}×{height} pixels has nothing to look at.")
        if not SMALLEST <= size <= LARGEST:
            raise ZooError(
                f"Input size {size} is outside the range; choose {SMALLEST} to {LARGEST} pixels."
            )
        return fitted(width, height, size, self.side)

    def prepare(self, frames: np.ndarray) -> Tensor:
        """What ``module`` takes, (1, 3, T, h, w) on the device, from RGB frames (T, h, w, 3) uint8.

        The frames have been resized to ``input_size``. Where T is not a multiple of ``step``, the
        last frame is repeated: the network would drop what is left over, or have nothing to pool.

        Raises:
            ZooError: another shape or type of frames.
        """
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
            raise ZooError(
                f"Frames of shape {frames.shape} and type {frames.dtype} cannot be read; "
                "give (T, h, w, 3) uint8 RGB."
            )
        pixels = torch.tensor(frames, device=self.device)
        short = -len(pixels) % self.step
        if short:
            pixels = torch.cat([pixels, pixels[-1:].expand(short, -1, -1, -1)])
        mean, deviation = torch.tensor([self.mean, self.deviation], device=self.device).float()
        prepared: Tensor = (pixels.float() - mean) / deviation
        prepared = prepared.permute(3, 0, 1, 2).unsqueeze(0).contiguous()
        weight = next(self.module.parameters(), prepared)
        return prepared.to(weight.dtype)


def device(name: str) -> torch.device:
    """The device of a name, "auto" for the first of CUDA, MPS and CPU that is available.

    Raises:
        ZooError: an unknown one, or one that is not on this machine.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, found in there.items() if found))
    if not there.get(name, False):
        found = ", ".join(["auto", *(kind for kind, is_there in there.items() if is_there)])
        known = "not on this machine" if name in _DEVICES else "unknown"
        raise ZooError(f"Device {name!r} is {known}; choose one of {found}.")
    return torch.device(name)
