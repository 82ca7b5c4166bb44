"""Budget: how much may still be decoded of a file, and whether anybody still wants it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from nlviz.errors import MediaError
from nlviz.media import sampling
from nlviz.progress import Progress, silent

_OFTEN = 0.1  # seconds between two looks whether it is still wanted
_SMALLER = "cut it to the part that you want to see, or save it smaller, as H.264 MP4"


class _Sized(Protocol):
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


Frame = TypeVar("Frame", bound=_Sized)


class _Over(BaseException):
    """Ends the decoding; no reader may take it for damage of the file."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


class Budget:
    """Counts what is decoded of one file, however many passes that takes.

    Args:
        name: of the file.
        progress: told several times a second; what it raises ends the decoding.

    Once more than ``sampling.MAX_DECODED`` pixels were decoded, or ``sampling.MAX_SECONDS`` are
    over, ``spend`` and ``look`` end the work: ``kept`` then raises a MediaError, or what the
    progress raised, whatever the readers make of errors on the way.
    """

    def __init__(self, name: str, progress: Progress | None = None) -> None:
        self._name = name
        self._progress = progress or silent
        self._begun = self._told = time.monotonic()
        self._pixels = self._frames = 0
        self.share = 0.0
        """How much of the work is done, from 0 to 1, as far as that is known."""

    @contextmanager
    def kept(self) -> Iterator[Budget]:
        """Around all that is decoded."""
        try:
            yield self
        except _Over as over:
            raise over.why from None

    def renew(self) -> None:
        """What comes now is bounded by itself: the next part of a file that is read in parts."""
        self._begun = time.monotonic()
        self._pixels = 0

    def over(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames as they are decoded."""
        for frame in frames:
            self.spend(frame.width, frame.height)
            yield frame

    def spend(self, width: int, height: int) -> None:
        """One frame was decoded."""
        self._frames += 1
        self._pixels += width * height
        if self._pixels > sampling.MAX_DECODED:
            what = f"more than {sampling.MAX_DECODED / 1e6:,.0f} million pixels"
            raise _Over(MediaError(f"'{self._name}' takes {what} to decode; {_SMALLER}."))
        self.look()

    def look(self) -> None:
        """Nothing was decoded, but time went by."""
        now = time.monotonic()
        if now - self._begun > sampling.MAX_SECONDS:
            what = f"longer than {sampling.MAX_SECONDS:.0f} s"
            raise _Over(MediaError(f"'{self._name}' takes {what} to decode; {_SMALLER}."))
        if now - self._told >= _OFTEN:
            self._told = now
            try:
                self._progress(self.share, f"reading the clip, {self._frames} frames decoded")
            except Exception as error:  # noqa: BLE001 (it is raised again, by ``kept``)
                raise _Over(error) from None
