"""Where class scores come from: square windows of the picture, at the size a network was made for.

A network that was trained to classify squares of 224 pixels says little of one large input: its
last mean goes over many times the places that it was trained with. Needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

_COUNTS = ("no", "one", "two", "three", "four", "five")


@dataclass(frozen=True, slots=True)
class ScoreWindows:
    """Square windows spread evenly along the longer side of a picture.

    The shorter side is a window's own side. Nothing in it is fitted to any data.

    Args:
        size: pixels of a side that each window is resized to before it goes through the network.
        count: of windows, at least 1; a square picture has one. Three overlap where the longer
            side is up to three times the shorter, and leave gaps beyond.
    """

    size: int = 224
    count: int = 3

    def corners(self, width: int, height: int) -> tuple[tuple[int, int], ...]:
        """(x, y) of the first pixel of each window in a picture; each is min(width, height) wide.

        The first window begins at the picture's edge, the last one ends at the other.
        """
        room = abs(width - height)
        count = self.count if room else 1
        starts = [room // 2] if count == 1 else [room * i // (count - 1) for i in range(count)]
        return tuple((start, 0) if width > height else (0, start) for start in starts)

    def words(self, width: int, height: int) -> str:
        """What class scores of a picture of this size come from, in a few words."""
        count = len(self.corners(width, height))
        number = _COUNTS[count] if count < len(_COUNTS) else str(count)
        if count == 1:
            return f"{number} square window at {self.size} pixels"
        return f"{number} square windows at {self.size} pixels, mean of logits"
