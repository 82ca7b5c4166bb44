"""All blocks and heads of one query in one sheet: its heat in each, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.figures.figure import Figure, drawing_style
from nlviz.figures.legend import asked_in_words
from nlviz.geometry import Point, Region
from nlviz.heat.overlay import Shade, heat
from nlviz.progress import Progress, silent
from nlviz.query import Query

Picture = NDArray[np.uint8]

SHADE = Shade()
"""The viewer's own colours."""

_CM, _SIZE = 1 / 2.54, 6.5  # inches in a centimetre; points
_EDGE, _PIXELS = 1.4, 150  # centimetres for the blocks' names; pixels of a picture across
_TITLE = 1.2  # centimetres


@dataclass(frozen=True, slots=True, eq=False)
class HeadPicture:
    """One block's or head's heat of the query.

    Args:
        block: its name.
        head: from 0; None for the mean of all.
        picture: (height, width, 3) RGB, its frames side by side; None where there is no answer.
        why: a sentence on why there is none; empty where there is.
    """

    block: str
    head: int | None
    picture: Picture | None
    why: str = ""


def head_pictures(
    analysis: Analysis,
    query: Query,
    *,
    frames: Sequence[int] | None = None,
    width: int = _PIXELS,
    shade: Shade = SHADE,
) -> Iterator[HeadPicture]:
    """The query's heat in each block and each head, one at a time as they are drawn.

    Args:
        analysis: whose blocks, from input to output; of each the mean of its heads, then each.
        query: what is asked; its block and head are each in turn.
        frames: source frames, side by side; the query's own and the one farthest from it if None.
        width: of each picture in pixels.
        shade: how weights become colours; each picture has its own scale.

    Raises:
        QueryError: a frame that was not sampled.
    """
    positions = _positions(analysis, query, frames)
    each_width = max(1, width // len(positions))
    for block, affinity in analysis.affinities.items():
        for head in (None, *(range(affinity.heads) if affinity.heads > 1 else ())):
            asked = replace(query, block=block, head=head)
            try:
                drawn = heat(analysis, asked, positions, each_width, shade, scaled_to_drawn=True)
                yield HeadPicture(block, head, np.concatenate(drawn, axis=1))
            except QueryError as why:
                yield HeadPicture(block, head, None, str(why))


def head_sheet(
    analysis: Analysis,
    query: Query,
    *,
    frames: Sequence[int] | None = None,
    width_cm: float = 17.4,
    progress: Progress | None = None,
) -> Figure:
    """The query's heat in every block and every head, as a sheet of blocks by heads.

    Each picture has its own scale, so that where a head looks can be seen however evenly it weighs.

    Args:
        analysis, query, frames: as for ``head_pictures``.
        width_cm: width of the figure, 8 to 100.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: a frame that was not sampled, or a place that no block can be asked about.
    """
    report = progress or silent
    most = max(each.heads for each in analysis.affinities.values())
    columns = 1 + (most if most > 1 else 0)
    blocks = list(analysis.blocks)
    across = (width_cm - _EDGE) / columns
    pixels = max(24, round(across / 2.54 * 300))
    table: dict[tuple[int, int], Picture] = {}
    why = ""
    for each in head_pictures(analysis, query, frames=frames, width=pixels):
        row, column = blocks.index(each.block), 0 if each.head is None else 1 + each.head
        report((row + column / columns) / len(blocks), f"drawing block {each.block}")
        if each.picture is not None:
            table[row, column] = each.picture
        why = why or each.why
    if not table:
        raise QueryError(why)
    shown = [block for row, block in enumerate(blocks) if any(row == r for r, _ in table)]
    height, width = next(iter(table.values())).shape[:2]
    gap = max(1, width // 24)
    page = np.full(
        (len(shown) * (height + gap), columns * (width + gap), 3), 255, dtype=np.uint8
    )  # fmt: skip
    for (row, column), picture in table.items():
        y, x = shown.index(blocks[row]) * (height + gap), column * (width + gap)
        page[y : y + height, x : x + width] = picture
    down = across * page.shape[0] / page.shape[1] * columns
    with drawing_style({"font.size": _SIZE}):
        size = width_cm * _CM, (down + _TITLE) * _CM
        drawing = Drawing(figsize=size)
        left, top = _EDGE / width_cm, down / (down + _TITLE)
        axes = drawing.add_axes((left, 0, 1 - left, top))
        axes.imshow(page, aspect="auto", interpolation="nearest")
        axes.set_xticks(
            [(i + 0.5) * (width + gap) - gap / 2 for i in range(columns)],
            ["mean" if columns > 1 else "", *map(str, range(columns - 1))],
        )
        axes.set_yticks([(i + 0.5) * (height + gap) - gap / 2 for i in range(len(shown))], shown)
        axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_title(_words(analysis, query, frames), loc="left", fontsize=_SIZE)
    report(1.0, "done")
    return Figure(drawing)


def _positions(analysis: Analysis, query: Query, frames: Sequence[int] | None) -> list[int]:
    """Which sampled frames are drawn, from 0."""
    sampled = analysis.view.frames
    if frames is None:
        own = 0
        if isinstance(query.point, (Point, Region)):
            analysis.view.check(query.point)
            own = sampled.index(query.point.frame)
        far = 0 if own > (len(sampled) - 1) / 2 else len(sampled) - 1
        return sorted({own, far})
    for frame in frames:
        if frame not in sampled:
            raise QueryError(
                f"Frame {frame} was not sampled; draw some of {', '.join(map(str, sampled))}."
            )
    return [sampled.index(frame) for frame in frames]


def _words(analysis: Analysis, query: Query, frames: Sequence[int] | None) -> str:
    drawn = [analysis.view.frames[each] for each in _positions(analysis, query, frames)]
    many = "frame" if len(drawn) == 1 else "frames"
    return (
        f"{analysis.network}: {asked_in_words(query)}, on {many} {', '.join(map(str, drawn))}\n"
        "each block (down) and head (across), each picture scaled to its own heaviest weight"
    )
