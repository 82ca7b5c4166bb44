"""How many samples an MP4 or MOV declares, read before FFmpeg sets room aside for them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import IO

PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def samples(file: IO[bytes]) -> int:
    """The greatest sample count that any track declares; 0 for a file that is not an MP4.

    Only headers are read, so a count that is out of all proportion costs nothing to find.
    """
    end = file.seek(0, os.SEEK_END)
    return max(_counts(file, 0, end, depth=0), default=0)


def _counts(file: IO[bytes], start: int, end: int, *, depth: int) -> Iterator[int]:
    """Sample counts of the ``stsz`` and ``stz2`` boxes between two offsets."""
    while end - start >= 8:
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
        if kind in PARENTS and depth < len(PARENTS):
            yield from _counts(file, start + head, min(stop, end), depth=depth + 1)
        elif kind in (b"stsz", b"stz2"):
            body = file.read(12)
            if len(body) == 12:
                yield int(struct.unpack(">I", body[8:])[0])
        start = stop
