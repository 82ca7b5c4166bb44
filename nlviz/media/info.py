"""MediaInfo: what a file holds, without its frames."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Size and length of a source.

    Args:
        name: file name.
        width: pixels across, upright and square, as in the frames that ``read`` gives.
        height: pixels down, likewise.
        total: number of frames; 1 for an image.
        duration: seconds from the first frame to the end of the last; 0 for an image.
        rate: mean frames a second; 0 for an image.
    """

    name: str
    width: int
    height: int
    total: int
    duration: float
    rate: float

    @property
    def is_image(self) -> bool:
        """Whether the source has one frame only."""
        return self.total == 1
