"""A clip: the sampled frames of a video or an image, read-only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import MediaError


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Sampled frames and where they come from.

    Args:
        frames: (T, H, W, 3) uint8 RGB; made read-only.
        indices: source frame index of each frame, rising; source frames count from 0.
        timestamps: seconds of each frame in the source.
        name: what to call the clip: its file name.
        total: number of frames in the source; 1 for an image.
        path: the path as it was given; None for a clip that came as bytes.
        notes: one sentence for each thing a reader should know was done to the input.

    Raises:
        MediaError: the frames are not (T, H, W, 3) uint8, or the lengths do not agree.
    """

    frames: NDArray[np.uint8]
    indices: tuple[int, ...]
    timestamps: tuple[float, ...]
    name: str
    total: int
    path: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.frames.shape
        if self.frames.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
            raise MediaError(
                f"Frames must be (T, H, W, 3) uint8 RGB with at least one pixel; "
                f"got {shape} {self.frames.dtype}."
            )
        if not len(self.indices) == len(self.timestamps) == len(self.frames):
            raise MediaError(
                f"A clip of {len(self.frames)} frames needs as many indices and time stamps; got "
                f"{len(self.indices)} and {len(self.timestamps)}."
            )
        frames = self.frames.view()
        frames.flags.writeable = False
        object.__setattr__(self, "frames", frames)

    @property
    def width(self) -> int:
        """Source pixels across."""
        return int(self.frames.shape[2])

    @property
    def height(self) -> int:
        """Source pixels down."""
        return int(self.frames.shape[1])

    @property
    def is_image(self) -> bool:
        """Whether the source has one frame only."""
        return self.total == 1

    def __repr__(self) -> str:
        return (
            f"Clip({self.name!r}, {len(self.frames)} of {self.total} frames, "
            f"{self.width}×{self.height})"
        )
