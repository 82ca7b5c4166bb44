"""Everything a training run depends on; written into its log and its card."""

from __future__ import annotations

from dataclasses import dataclass

from nlviz.models.nonlocal_block import Function


@dataclass(frozen=True, slots=True)
class Recipe:
    """First θ and φ of every block learn to find, then g and W learn to mend.

    The backbone stays as it is. In the first ``find_steps`` the rows of f/C are aimed at the true
    places in other frames; the Gaussian kind has nothing to learn there. Then, for ``mend_steps``,
    what the corrupted clips' classes should be is taken from the untouched backbone on the clean
    clips; that moves no θ and no φ.

    Clips to find in are of ``length`` frames of ``width`` × ``height``, those to mend are square,
    of one of the ``mend_sides``.
    """

    function: Function = "embedded_gaussian"
    seed: int = 0
    find_steps: int = 300
    mend_steps: int = 450
    length: int = 4
    width: int = 320
    height: int = 240
    mend_length: int = 6
    mend_sides: tuple[int, ...] = (144, 192, 240, 320)
    inner: tuple[int, int, int] = (40, 64, 64)
    queries: int = 200
    near: float = 1.5  # of a key cell, the width of the aim around the true place
    same_object: float = 0.4
    find_rate: float = 1e-4
    mend_rate: float = 3e-3
    keep: float = 2.0  # weight of staying the same on clean clips

    @property
    def steps(self) -> int:
        """Of both parts together."""
        return self.find_steps + self.mend_steps
