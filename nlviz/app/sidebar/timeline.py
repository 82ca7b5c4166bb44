"""The small timeline: thumbnails along the clip, and a mark for each sampled frame."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from nlviz.app.choice import ClipPart
from nlviz.media import MediaInfo
from nlviz.media.jpeg import data_address, resized
from nlviz.media.sampling import Sampling

COUNT = 6
"""Pictures along the clip."""

_TALL = 54


def thumbnail(frame: NDArray[np.uint8], tall: int = _TALL) -> str:
    """A frame, ``tall`` CSS pixels high on a sharp screen, as a data address."""
    height, width = frame.shape[:2]
    wide = max(1, min(round(width * 2 * tall / height), 8 * tall))
    return data_address(resized(frame, wide, 2 * tall), 80)


def markup(
    info: MediaInfo, part: ClipPart, pictures: tuple[str, ...], windows: tuple[int, ...] = ()
) -> str:
    """The timeline as HTML; ``windows`` are the frames that the clip's windows begin at."""
    indices = Sampling(part.frames, part.stride, part.start).indices(info.total, info.name)
    strip = "".join(f'<img src="{escape(picture)}" alt="">' for picture in pictures)
    marks = "".join(f'<i style="left:{_place(i, info):.2f}%"></i>' for i in indices)
    marks = "".join(f'<u style="left:{_place(i, info):.2f}%"></u>' for i in windows) + marks
    left, right = _place(indices[0], info), _place(indices[-1], info)
    span = f'<b style="left:{left:.2f}%;width:{right - left:.2f}%"></b>'
    words = f"{len(indices)} of {info.total} frames, {_seconds(indices[0], info)}"
    words += f" to {_seconds(indices[-1], info)}" if len(indices) > 1 else ""
    return (
        f'<figure class="timeline"><div class="strip">{strip}</div>'
        f'<div class="marks">{span}{marks}</div><figcaption>{escape(words)}</figcaption></figure>'
    )


def _place(index: int, info: MediaInfo) -> float:
    return 100 * (index + 0.5) / info.total


def _seconds(index: int, info: MediaInfo) -> str:
    return f"{index / info.rate:.1f} s" if info.rate else f"frame {index}"
