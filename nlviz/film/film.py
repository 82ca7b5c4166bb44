"""Film: pictures that are drawn one by one as they are encoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nlviz.media.encode import gif, mp4
from nlviz.progress import Progress, silent
from nlviz.writing import check, write

Picture = NDArray[np.uint8]

ENDINGS = (".mp4", ".gif")


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A film, drawn while it is written.

    Args:
        count: how many pictures it has.
        rate: pictures a second.
        draw: picture i, (H, W, 3) uint8 RGB, both sides even.
        comment: kept in the file: how it was made.
    """

    count: int
    rate: Fraction
    draw: Callable[[int], Picture]
    comment: str = ""

    def save(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> None:
        """Write an .mp4 or a .gif, by the ending.

        Args:
            path: where to.
            progress: called with a fraction from 0 to 1 and a word before each picture; what it
                raises stops the work, and nothing is written.

        Raises:
            ExportError: another ending, a missing folder, or a file that cannot be written; what
                was there before is then still there.
        """
        encode = mp4 if check(path, ENDINGS, force=True) == ".mp4" else gif
        write(path, encode(self.pictures(progress), self.rate, self.comment))

    def mp4(self, progress: Progress | None = None) -> bytes:
        """H.264 in MP4, as browsers play it."""
        return mp4(self.pictures(progress), self.rate, self.comment)

    def gif(self, progress: Progress | None = None) -> bytes:
        """A GIF that repeats."""
        return gif(self.pictures(progress), self.rate, self.comment)

    def pictures(self, progress: Progress | None = None) -> Iterator[Picture]:
        """The pictures, drawn one by one."""
        report = progress or silent
        for i in range(self.count):
            report(i / self.count, f"drawing picture {i + 1} of {self.count}")
            yield self.draw(i)
