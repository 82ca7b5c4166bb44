"""The size to which a network's frames are resized; needs no torch."""

from __future__ import annotations

SMALLEST, LARGEST = 32, 4096  # pixels of a side


def fitted(width: int, height: int, size: int, side: int) -> tuple[int, int]:
    """(width, height), multiples of ``side`` from 32, the longer one as near to ``size`` as can be.

    The other side keeps the aspect as near as that allows.
    """
    scale = size / max(width, height)
    across, down = (
        max(round(pixels * scale / side) * side, SMALLEST) for pixels in (width, height)
    )
    return across, down


def size_for(source: tuple[int, int], fits: tuple[int, int], side: int) -> int | None:
    """The ``size`` for which ``fitted`` gives an input, its own longer side if that does.

    None where no size gives it.
    """
    longer = max(fits)
    near = sorted(range(longer - side, longer + side + 1), key=lambda size: abs(size - longer))
    sizes = (size for size in near if SMALLEST <= size <= LARGEST)
    return next((size for size in sizes if fitted(*source, size, side) == fits), None)
