"""Encoding: drawn frames as an MP4 that browsers play, or as a GIF."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

_QUALITY = "20"  # x264's constant rate factor: no difference to be seen
_BT709 = 1


def mp4(pictures: Iterable[Picture], rate: Fraction, comment: str = "") -> bytes:
    """H.264 in MP4, yuv420p and BT.709: what every browser plays.

    Args:
        pictures: (H, W, 3) uint8 RGB, all of one size, both sides even; at least one.
        rate: pictures a second.
        comment: kept in the file's metadata.
    """
    content = io.BytesIO()
    waiting = iter(pictures)
    first = next(waiting)
    with av.open(content, "w", format="mp4") as container:
        container.metadata["comment"] = comment
        stream = container.add_stream("libx264", rate=rate, options={"crf": _QUALITY})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = 1  # 16 to 235
        for picture in chain([first], waiting):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return content.getvalue()


def gif(pictures: Iterable[Picture], rate: Fraction, comment: str = "") -> bytes:
    """An endless GIF, each picture in its own 256 colours; arguments as for ``mp4``.

    Times in a GIF are whole hundredths of a second.
    """
    images = _indexed(pictures)
    content = io.BytesIO()
    next(images).save(
        content,
        format="GIF",
        save_all=True,
        append_images=images,
        duration=max(20, round(100 / rate) * 10),
        loop=0,
        comment=comment.encode(),
    )
    return content.getvalue()


def _indexed(pictures: Iterable[Picture]) -> Iterator[Image.Image]:
    for picture in pictures:
        yield Image.fromarray(picture).quantize(256, Image.Quantize.MEDIANCUT)
