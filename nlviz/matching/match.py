"""A match: what a place of one clip finds in another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nlviz.analysis import Analysis
from nlviz.ask.links import heaviest, link_to
from nlviz.ask.rows import Row, row_of
from nlviz.errors import QueryError
from nlviz.geometry import Footprint, Point, Region
from nlviz.matching.pairing import Of, Pairing, pair
from nlviz.query import Link, Query

if TYPE_CHECKING:
    from nlviz.inference.protocol import Network

Place = Point | Region | str
"""A point, a region, or a token by its name."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """What a place of one clip finds in another.

    Args:
        pairing: the clips and the block.
        query: what was asked, in the first clip.
        row: where the weight lies, on the key grid of the second: (T', H', W').
        links: the heaviest, heaviest first; each target is a place of the second clip.
    """

    pairing: Pairing
    query: Query
    row: Row
    links: tuple[Link, ...]

    @property
    def best(self) -> Link:
        """The heaviest link: the best match."""
        return self.links[0]

    @property
    def footprint(self) -> Footprint:
        """The cell of the best match, in pixels and frames of the second clip."""
        view, grid = self.pairing.there.view, self.row.grid
        return view.footprint(view.cell(self.best.target, grid), grid)

    @property
    def back(self) -> Point:
        """The place of the first clip that weighs the best match most: its greatest in the column.

        Where it lies in the asked place's own cell, the two are mutual nearest neighbours. For a
        softmax it takes a pass over all rows, once for a pairing and head.
        """
        affinity, view = self.pairing.affinity, self.pairing.here.view
        affinity = affinity if self.query.head is None else affinity.head(self.query.head)
        there = self.pairing.there.view.cell(self.best.target, affinity.key_grid)
        column = affinity.column(there)
        column[~affinity.has_query] = -float("inf")
        return view.point(affinity.query_grid.cell(int(column.argmax())), affinity.query_grid)


def match(
    here: Analysis,
    there: Analysis,
    block: str | None = None,
    *,
    at: Place,
    of: Of = "weights",
    network: Network | None = None,
) -> Match:
    """Ask at a place of one clip and look in another: the 20 heaviest links, and the whole row.

    For more questions to the same two clips, ``pair`` them once and use ``matched``.

    Args:
        here, there, block, of, network: as for ``pair``.
        at: a point, a region or a token of ``here``.

    Raises:
        QueryError, CaptureError, BudgetError: as for ``pair`` and ``matched``.
    """
    return matched(pair(here, there, block, of=of, network=network), at)


def matched(pairing: Pairing, at: Place, *, k: int = 20, head: int | None = None) -> Match:
    """What a place finds: the k heaviest links from it into the other clip, and its whole row.

    Args:
        pairing: the clips and the block.
        at: a point, a region (the mean over its cells) or a token of the first clip.
        k: how many links, at least 1; fewer where the second clip has fewer places.
        head: one head of the block, from 0; None for the mean of all. Cosines have none.

    Raises:
        QueryError: a place outside the first clip, on a frame that was not sampled or without a
            query, an unknown token or head, k below 1, or a second clip without a key.
    """
    query = Query(at, pairing.name, k, exclude="none", head=head)
    asked = pairing.asked
    row = row_of(asked, query)
    if not row.allowed.any():
        raise QueryError(
            f"Block {pairing.block!r} has no key on the picture of '{pairing.there.clip.name}' to "
            "look at; choose another block."
        )
    there = replace(asked, view=pairing.there.view)
    links = (
        link_to(there, query, row, place, rank)
        for rank, place in enumerate(heaviest(row, k), start=1)
    )
    return Match(pairing, query, row, tuple(links))
