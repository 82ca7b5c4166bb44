"""How many frames a GIF has, found by walking its blocks: nothing is decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

_TABLE = 0x80  # a flag: a colour table follows
_END, _EXTENSION, _FRAME = b";", b"!", b","
_OFTEN = 4096  # frames between two looks


def count(file: IO[bytes], most: int, look: Callable[[], None]) -> int:
    """The frames that Pillow would find, but not more than ``most``.

    ``look`` is called now and then; what it raises ends the walk.
    """
    head = file.read(13)
    if len(head) < 13:
        return 0
    _skip_table(file, head[10])
    frames = 0
    while frames < most and (sign := file.read(1)) not in (b"", _END):
        if sign == _EXTENSION:
            file.read(1)  # its kind
            _skip_blocks(file)
        elif sign == _FRAME:
            described = file.read(9)
            if len(described) < 9:
                break
            _skip_table(file, described[8])
            file.read(1)  # bits of a code
            _skip_blocks(file)
            frames += 1
            if frames % _OFTEN == 0:
                look()
    return frames


def _skip_table(file: IO[bytes], flags: int) -> None:
    if flags & _TABLE:
        file.read(3 << ((flags & 7) + 1))


def _skip_blocks(file: IO[bytes]) -> None:
    while (size := file.read(1)) not in (b"", b"\0"):
        file.read(size[0])
