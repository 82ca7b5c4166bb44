"""What the boxes of an MP4 or MOV say before FFmpeg reads it: how many samples, and a cut."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO

MOST = 2**18
"""Boxes that are looked at in one; a fragmented film of a day has fewer."""

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
FRAGMENT = (b"moof", b"mdat")
FIRST = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"wide", b"free")


def samples(file: IO[bytes]) -> int:
    """The greatest sample count that any track declares; 0 for a file that is not an MP4.

    Only headers are read, so a count that is out of all proportion costs nothing to find.
    """
    end = file.seek(0, os.SEEK_END)
    return max(_counts(file, 0, end, depth=0), default=0)


def is_cut(file: IO[bytes]) -> bool:
    """Whether the file ends within pictures or the index of a fragment, as when a download broke.

    A fragmented file says nowhere how many frames it should have.
    """
    end = file.seek(0, os.SEEK_END)
    first, last = b"", (b"", 0, 0)
    for box in _boxes(file, 0, end):
        first, last = first or box[0], box
    kind, _, stop = last
    return first in FIRST and kind in FRAGMENT and (stop > end or 0 < end - stop < 8)


def _counts(file: IO[bytes], start: int, end: int, *, depth: int) -> Iterator[int]:
    """Sample counts of the ``stsz`` and ``stz2`` boxes between two offsets."""
    for kind, body, stop in _boxes(file, start, end):
        if kind in PARENTS and depth < len(PARENTS):
            yield from _counts(file, body, min(stop, end), depth=depth + 1)
        elif kind in (b"stsz", b"stz2"):
            file.seek(body)
            head = file.read(12)
            if len(head) == 12:
                yield int(struct.unpack(">I", head[8:])[0])


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, where its body begins, where it ends) of the boxes between two offsets."""
    for _ in range(MOST):
        if end - start < 8:
            return
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            large = file.read(8)
            if len(large) < 8:
                return
            (size,), head = struct.unpack(">Q", large), 16
        stop = end if size == 0 else start + size
        if stop < start + head or not kind.isascii():
            return
        yield kind, start + head, stop
        start = stop
