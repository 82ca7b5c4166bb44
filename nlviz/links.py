"""From a pointed-at pixel to the top-weighted spacetime links of its row, as in Figure 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.geometry import Cell, Grid, Point, View

if TYPE_CHECKING:  # links ask an analysis, but need none of the machinery that makes one
    from nlviz.analysis import Analysis

Exclude = Literal["none", "cell", "frame"]
EXCLUDES: tuple[Exclude, ...] = get_args(Exclude)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of an analysis.

    Args:
        point: the place pointed at.
        block: the name of the block that is asked.
        k: how many links, at least 1.
        exclude: which keys get no link: ``"none"``; ``"cell"``, those that cover the query's own
            cell; ``"frame"``, those that cover the query's own frame.

    Raises:
        QueryError: k below 1, or an unknown ``exclude``.
    """

    point: Point
    block: str
    k: int = 20
    exclude: Exclude = "frame"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise QueryError(f"k must be at least 1; got {self.k}.")
        if self.exclude not in EXCLUDES:
            raise QueryError(f"exclude must be one of {', '.join(EXCLUDES)}; got {self.exclude!r}.")


@dataclass(frozen=True, slots=True)
class Link:
    """One weight of the query's row, drawn from the query to where it lies.

    Args:
        rank: 1 for the heaviest.
        weight: f(x_i, x_j)/C(x), Eq. (1); its affinity, not its importance.
        share: |weight| over the sum of the row's absolute weights, 0 to 1; the shares of the
            links add up to the share of the row that they cover.
        source: the point that was asked about.
        target: the centre of the key cell, in source pixels.
        block: the block whose affinity it is.
    """

    rank: int
    weight: float
    share: float
    source: Point
    target: Point
    block: str


def top_links(analysis: Analysis, query: Query) -> tuple[Link, ...]:
    """The k heaviest links of a query, heaviest first; fewer where fewer keys are allowed.

    Raises:
        QueryError: an unknown block, a point outside the clip or on a frame that was not sampled,
            or an exclusion that leaves no key.
    """
    affinity, view = analysis.affinity(query.block), analysis.view
    cell = view.cell(query.point, affinity.query_grid)
    allowed = allowed_keys(view, cell, affinity.query_grid, affinity.key_grid, query.exclude)
    if not allowed.any():
        raise QueryError(
            f"Leaving out the query's own {query.exclude} leaves no place to link to in this clip "
            f"of {len(view.frames)} frame{'s'[: len(view.frames) > 1]}; choose exclude='none'"
            + (" or 'cell'." if query.exclude == "frame" else ".")
        )
    total = float(np.abs(affinity.row(cell)).sum()) or 1.0
    cells, weights = affinity.top(cell, query.k, allowed)
    return tuple(
        Link(
            rank=rank,
            weight=float(weight),
            share=abs(float(weight)) / total,
            source=query.point,
            target=view.point(target, affinity.key_grid),
            block=query.block,
        )
        for rank, (target, weight) in enumerate(zip(cells, weights, strict=True), start=1)
    )


def allowed_keys(
    view: View, cell: Cell, queries: Grid, keys: Grid, exclude: Exclude
) -> NDArray[np.bool_]:
    """Which keys of a query cell may be linked to: (T', H', W'), True where allowed."""
    allowed = np.ones(keys.shape, dtype=np.bool_)
    if exclude == "none":
        return allowed
    own = set(view.positions(cell.t, queries))
    same_frame = [t for t in range(keys.t) if own & set(view.positions(t, keys))]
    if exclude == "frame":
        allowed[same_frame] = False
    else:
        # The key whose cell holds the query cell's centre.
        centre = view.cell(view.point(cell, queries), keys)
        allowed[same_frame, centre.row, centre.col] = False
    return allowed
