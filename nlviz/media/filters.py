"""Resizing by a filter's name, as Pillow has it and image processors name it."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)


def filtered(
    frames: NDArray[np.uint8], width: int, height: int, interpolation: Interpolation
) -> NDArray[np.uint8]:
    """Frames (T, height, width, 3) from (T, H, W, 3), each by Pillow's filter of that name.

    Where frames shrink, the filter grows with what a pixel covers, so that no detail aliases; but
    for "nearest", which takes one pixel.
    """
    how = Image.Resampling[interpolation.upper()]
    return np.stack(
        [np.asarray(Image.fromarray(frame).resize((width, height), how)) for frame in frames]
    )
