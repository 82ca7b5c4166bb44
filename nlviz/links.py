"""From a pointed-at place to the top-weighted spacetime links of its row, as in Figure 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.rows import Row, row_of

if TYPE_CHECKING:  # links ask an analysis, but need none of the machinery that makes one
    from nlviz.analysis import Analysis

Exclude = Literal["none", "cell", "frame"]
RankBy = Literal["affinity", "contribution"]
RANKS: tuple[RankBy, ...] = get_args(RankBy)
EXCLUDES: tuple[Exclude, ...] = get_args(Exclude)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of an analysis.

    Args:
        point: the place pointed at, a region of one frame, or a token by its name.
        block: the name of the block that is asked.
        k: how many links, at least 1.
        exclude: which places get no link: ``"none"``; ``"cell"``, those that cover the query's own
            cell; ``"frame"``, those that cover the query's own frame.
        head: one head of the block, from 0; None for the mean of all.
        reverse: ask who looks here: column j of f/C in place of row i.
        rank_by: ``"contribution"`` ranks links by weight × ‖W_z g_j‖, the size of what the key
            adds to the query's z; the analysis must come from ``with_sizes``.

    Raises:
        QueryError: k below 1, or an unknown ``exclude`` or ``rank_by``.
    """

    point: Point | Region | str
    block: str
    k: int = 20
    exclude: Exclude = "frame"
    head: int | None = None
    reverse: bool = False
    rank_by: RankBy = "affinity"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise QueryError(f"k must be at least 1; got {self.k}.")
        if self.exclude not in EXCLUDES:
            raise QueryError(f"exclude must be one of {', '.join(EXCLUDES)}; got {self.exclude!r}.")
        if self.rank_by not in RANKS:
            raise QueryError(f"rank_by must be one of {', '.join(RANKS)}; got {self.rank_by!r}.")


@dataclass(frozen=True, slots=True)
class Link:
    """One weight of the query's row or column, between the query and where it lies.

    Args:
        rank: 1 for the heaviest.
        weight: f(x_i, x_j)/C(x), Eq. (1); its affinity, not its importance.
        share: |weight| over the sum of the row's or column's absolute weights, 0 to 1; the shares
            of the links add up to the share of the row that they cover.
        target: the centre of the cell at the other end, in source pixels.
        query: what was asked.
        contribution: weight × ‖W_z g_j‖ where the query ranks by it; else None.
    """

    rank: int
    weight: float
    share: float
    target: Point
    query: Query
    contribution: float | None = None

    @property
    def drawn(self) -> float:
        """What the link was ranked by, and what its width shows."""
        return self.weight if self.contribution is None else self.contribution

    @property
    def source(self) -> Point | None:
        """The place that was asked about: a region's centre, None for a token.

        Where the query is reversed it is the target that looks at the source.
        """
        point = self.query.point
        if isinstance(point, str):
            return None
        return point.centre if isinstance(point, Region) else point

    @property
    def block(self) -> str:
        """The block whose affinity it is."""
        return self.query.block


def top_links(analysis: Analysis, query: Query) -> tuple[Link, ...]:
    """The k heaviest links of a query, heaviest first; fewer where fewer places are allowed.

    Equal weights come in row-major order.

    Raises:
        QueryError: what ``row_of`` raises, or an exclusion that leaves no place.
    """
    row = linkable_row(analysis, query)
    places = _heaviest(row, query.k)
    return tuple(
        link_to(analysis, query, row, place, rank) for rank, place in enumerate(places, start=1)
    )


def linkable_row(analysis: Analysis, query: Query) -> Row:
    """The row of a query that leaves some place to link to; QueryError as in ``top_links``."""
    row = row_of(analysis, query)
    if not row.allowed.any():
        raise QueryError(_nothing_left(analysis, query, row))
    return row


def link_to(analysis: Analysis, query: Query, row: Row, place: int, rank: int = 1) -> Link:
    """The link of a query to one position of its row, in row-major order."""
    weight = float(row.weights.flat[place])
    return Link(
        rank=rank,
        weight=weight,
        share=abs(weight) / (row.total or 1.0),
        target=analysis.view.point(row.grid.cell(place), row.grid),
        query=query,
        contribution=None if row.contributions is None else float(row.ranked.flat[place]),
    )


def _heaviest(row: Row, k: int) -> list[int]:
    """Positions of the k heaviest that are allowed."""
    places = np.flatnonzero(row.allowed)
    weights = row.ranked.ravel()[places]
    if k < weights.size:
        # Everything as heavy as the k-th, so that ties are cut by position and not by chance.
        kept = weights >= np.partition(weights, -k)[-k]
        places, weights = places[kept], weights[kept]
    order = np.argsort(-weights, kind="stable")[:k]
    return [int(place) for place in places[order]]


def _nothing_left(analysis: Analysis, query: Query, row: Row) -> str:
    if not row.reached.any():
        return f"Nothing can be reached from there in block {query.block!r}; choose another place."
    frames = len(analysis.view.frames)
    return (
        f"Leaving out the query's own {query.exclude} leaves no place to link to in this clip "
        f"of {frames} frame{'s'[: frames > 1]}; choose exclude='none'"
        + (" or 'cell'." if query.exclude == "frame" else ".")
    )
