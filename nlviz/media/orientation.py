"""Orientation: how a picture is set upright; and transparent pixels put on white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

TRANSPARENT = "Transparent pixels are shown on white."


@dataclass(frozen=True, slots=True)
class Orientation:
    """Swap rows and columns, then mirror left-right and top-bottom: the eight ways to turn."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    def __call__(self, picture: NDArray[Number]) -> NDArray[Number]:
        """The picture (H, W) or (H, W, 3) turned; a view."""
        turned = picture.swapaxes(0, 1) if self.swap else picture
        return turned[:: -1 if self.mirror_y else 1, :: -1 if self.mirror_x else 1]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after turning."""
        return (height, width) if self.swap else (width, height)


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA with straight alpha, laid over white: (H, W, 3) RGB."""
    # Band by band, in 16 bits, so that a large picture does not need floats of its size.
    out = np.empty((*rgba.shape[:2], 3), np.uint8)
    for top in range(0, len(rgba), 256):
        band = rgba[top : top + 256].astype(np.uint16)
        alpha = band[..., 3:]
        out[top : top + 256] = (band[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return out
