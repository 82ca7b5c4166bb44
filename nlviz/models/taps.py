"""Where the cells of a block's grid sit on the network's input, and how layers move them."""

from __future__ import annotations

from dataclasses import dataclass

Axes = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Tap:
    """Where the cells of a block's query grid sit on the network's input.

    ``stride`` and ``first`` are (frames, pixels down, pixels right): the step between cells and
    the centre of cell (0, 0, 0), the first pixel and the first frame having theirs at 0.5.
    """

    stride: Axes = (1.0, 1.0, 1.0)
    first: Axes = (0.5, 0.5, 0.5)

    def after(self, kernel: Axes, stride: Axes, padding: Axes) -> Tap:
        """The grid that a convolution or pool gives: a cell at the centre of all that it reads."""
        moved = [
            first + step * ((k - 1) / 2 - p)
            for first, step, k, p in zip(self.first, self.stride, kernel, padding, strict=True)
        ]
        wider = [step * s for step, s in zip(self.stride, stride, strict=True)]
        return Tap((wider[0], wider[1], wider[2]), (moved[0], moved[1], moved[2]))
