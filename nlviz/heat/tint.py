"""Objects tinted on a picture, each in its colour with a white outline."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_SHARE = 0.55  # of the colour; the picture has the rest


def tinted(picture: Picture, numbers: NDArray[np.uint16], colours: Sequence[str]) -> Picture:
    """A picture with its objects half in a colour and outlined.

    Args:
        picture: (H, W, 3) RGB; it is not changed.
        numbers: (h, w), 0 on the background and k on the k-th object, over the whole picture.
        colours: of the objects in order, ``#RRGGBB``; they begin again after the last.
    """
    size = picture.shape[1], picture.shape[0]
    on = cv2.resize(numbers, size, interpolation=cv2.INTER_NEAREST)
    drawn = picture.astype(np.float32)
    for number in range(1, int(on.max()) + 1):
        colour = colours[(number - 1) % len(colours)]
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
        here = on == number
        drawn[here] = drawn[here] * (1 - _SHARE) + rgb * _SHARE
    outlined = np.ascontiguousarray(drawn.astype(np.uint8))
    for number in range(1, int(on.max()) + 1):
        here = (on == number).astype(np.uint8)
        edges, _ = cv2.findContours(here, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return outlined
