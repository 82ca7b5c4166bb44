"""The frames of a track with its object tinted, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.media.jpeg import data_address
from nlviz.media.mask_objects import Masks
from nlviz.tracking import Track

_WIDTH = 360  # pixels across of a frame


def strip(
    analysis: Analysis, found: Track, scores: Sequence[tuple[float, float]], color: str
) -> str:
    """The frames with the object tinted, as HTML."""
    figures = []
    for position, (frame, mask) in enumerate(zip(analysis.view.frames, found.objects, strict=True)):
        words = f"frame {frame}" + (" · start" if frame == found.frame else "")
        told = f"{mask.mean():.1%} of the frame"
        if scores:
            told = "J {:.2f} · F {:.2f}".format(*scores[position])
        picture = tinted(analysis.clip.frames[position], mask, color)
        src = data_address(picture, 85)
        figures.append(
            f'<figure><img src="{src}" alt="Frame {frame} with the object tinted">'
            f"<figcaption>{escape(words)}<span>{escape(told)}</span></figcaption></figure>"
        )
    return f'<div class="tracked">{"".join(figures)}</div>'


def tinted(frame: NDArray[np.uint8], mask: Masks, color: str) -> NDArray[np.uint8]:
    """A smaller frame with the object half in a colour and outlined."""
    width = min(_WIDTH, frame.shape[1])
    size = width, max(1, round(width * frame.shape[0] / frame.shape[1]))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    on = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
    small[on > 0] = small[on > 0] * 0.45 + rgb * 0.55
    picture = np.ascontiguousarray(small.astype(np.uint8))
    edges, _ = cv2.findContours(on, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture
