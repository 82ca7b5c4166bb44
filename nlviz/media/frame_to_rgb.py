"""FrameToRgb: a video's frames become upright RGB with square pixels, as a player shows them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from nlviz.media.orientation import TRANSPARENT, Orientation, on_white

# Pixels more oblong than this are a broken header, not a format.
OBLONG = 8
UNSPECIFIED = 2
# Transfer functions PQ and HLG.
HDR = (16, 18)
FINE = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND


@dataclass(frozen=True, slots=True)
class FrameToRgb:
    """Size and orientation of the first frame, kept for all.

    Args:
        stored: (width, height) as stored in the file.
        square: (width, height) once pixels are square: the shorter side of each is stretched.
        orientation: what then sets the picture upright.
    """

    stored: tuple[int, int]
    square: tuple[int, int]
    orientation: Orientation

    @classmethod
    def of(cls, frame: VideoFrame, stream: VideoStream) -> FrameToRgb:
        """For a stream, by its first frame."""
        stored = frame.width, frame.height
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, OBLONG) <= aspect <= OBLONG:
            aspect = Fraction(1)
        square = (
            round(stored[0] * max(aspect, Fraction(1))),
            round(stored[1] * max(1 / aspect, Fraction(1))),
        )
        return cls(stored, square, _orientation(frame))

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the pictures."""
        return self.orientation.size(*self.square)

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """(H, W, 3) RGB of a frame; one of another size is brought to that of the first."""
        alpha = any(component.is_alpha for component in frame.format.components)
        pixels = frame.to_ndarray(
            format="rgba" if alpha else "rgb24",
            width=self.square[0],
            height=self.square[1],
            src_colorspace=_matrix(frame),
            interpolation=FINE,
        ).astype(np.uint8, copy=False)
        return self.orientation(on_white(pixels) if alpha else pixels)

    def notes(self, frame: VideoFrame) -> tuple[str, ...]:
        """What ``rgb`` does to a frame that a reader should know."""
        width, height = self.size
        told = {
            f"Its pixels are not square; places are counted in the {width}×{height} "
            "that a player shows.": self.square != self.stored,
            "Turned upright as the file says.": self.orientation != Orientation(),
            "Its size changes on the way; all frames are brought to that of the first.": (
                (frame.width, frame.height) != self.stored
            ),
            "Its HDR brightness is shown without tone mapping.": frame.color_trc in HDR,
            TRANSPARENT: any(component.is_alpha for component in frame.format.components),
        }
        return tuple(note for note, holds in told.items() if holds)


def _matrix(frame: VideoFrame) -> int:
    """The YUV matrix: as tagged, else by the picture's size as players guess it."""
    if frame.colorspace != UNSPECIFIED:
        return frame.colorspace
    large = frame.width >= 1280 or frame.height > 576
    return int(Colorspace.ITU709 if large else Colorspace.DEFAULT)


def _orientation(frame: VideoFrame) -> Orientation:
    """The nearest of the eight orientations to the frame's display matrix."""
    # PyAV's types know the keys as strings only.
    side_data: Any = frame.side_data
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return Orientation()
    # x' = a·x + c·y, y' = b·x + d·y; third column and row do not turn.
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(data))
    swap = abs(b) > abs(a)
    return Orientation(swap, mirror_x=(c if swap else a) < 0, mirror_y=(b if swap else d) < 0)
