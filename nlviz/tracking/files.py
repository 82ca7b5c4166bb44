"""A track's masks as files: 8-bit PNG, named by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from nlviz.tracking.propagation import Track


def pictures(found: Track, frames: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """A name, ``00012.png``, and a PNG of 0 to 255 for each mask; ``frames`` are their indices."""
    for frame, mask in zip(frames, found.masks, strict=True):
        _, content = cv2.imencode(".png", np.rint(mask * 255).astype(np.uint8))
        yield f"{frame:05d}.png", content.tobytes()
