"""The scan as a figure: a heat table of blocks by heads, the best of them outlined."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import Rectangle

from nlviz.errors import FigureError
from nlviz.figures.figure import Figure, drawing_style
from nlviz.scans.found import NAMES, Of, Scan, Score
from nlviz.scans.interval import INTERVAL

_CM = 1 / 2.54
_ROW, _MARGIN = 0.5, 3.4  # centimetres
_SIZE = 6.5  # points
_LETTERS = 6.8  # of a line, for each centimetre
_WIDE = 12  # columns
_DARK = 0.55  # of the scale: numbers on what is darker are white


def scan_figure(found: Scan, *, width_cm: float = 17.4) -> Figure:
    """Blocks from input to output downwards; the cosine, the mean and each head to the right.

    Raises:
        FigureError: nothing was measured.
    """
    best = found.best
    if best is None:
        raise FigureError("No block could be measured, so there is nothing to draw.")
    columns = columns_of(found)
    table = np.array(
        [[_value(found.at(block, head, of)) for _, head, of in columns] for block in found.blocks]
    )
    low, high = float(np.nanmin(table)), float(np.nanmax(table))
    height = _MARGIN + _ROW * len(found.blocks)
    with drawing_style({"font.size": _SIZE}):
        drawing = Drawing(figsize=(width_cm * _CM, height * _CM), layout="constrained")
        axes = drawing.add_subplot()
        shown = axes.imshow(table, cmap="viridis", aspect="auto", interpolation="nearest")
        for row, column in zip(*np.nonzero(~np.isnan(table)), strict=True):
            value = table[row, column]
            dark = high == low or (value - low) / (high - low) < _DARK
            axes.text(
                *(column, row, _short(value, wide=len(columns) <= _WIDE)),
                ha="center", va="center", color="white" if dark else "black",
            )  # fmt: skip
        at = [i for i, (_, head, of) in enumerate(columns) if (head, of) == (best.head, best.of)]
        corner = at[0] - 0.5, found.blocks.index(best.block) - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="#D55E00", linewidth=1.6))
        axes.set_xticks(range(len(columns)), [name for name, _, _ in columns])
        axes.set_yticks(range(len(found.blocks)), found.blocks)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_xlabel("head" if found.heads else "")
        axes.set_title(
            _wrapped(f"{found.words} {INTERVAL}.", int(_LETTERS * width_cm)),
            loc="left",
            fontsize=_SIZE,
        )
        bar = drawing.colorbar(shown, ax=axes, fraction=0.03, pad=0.01)
        bar.set_label(NAMES[found.measure])
        bar.outline.set_visible(False)
    return Figure(drawing)


def columns_of(found: Scan) -> list[tuple[str, int | None, Of]]:
    """The table's columns: what they are called, the head, and whose they are."""
    columns: list[tuple[str, int | None, Of]] = []
    if found.best_cosine is not None:
        columns.append(("cosine", None, "cosine"))
    columns.append(("mean" if found.heads else "block", None, "weights"))
    return [*columns, *((str(head), head, "weights") for head in range(found.heads))]


def _short(value: float, *, wide: bool) -> str:
    """The number as the words and the bar have it: 0.57, or .57 where columns are narrow."""
    full = f"{value:.2f}"
    return full if wide else full.removeprefix("0").removesuffix("0" if value >= 0.995 else "")


def _value(score: Score | None) -> float:
    return np.nan if score is None else score.value


def _wrapped(words: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, width))
