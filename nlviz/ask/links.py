"""From a pointed-at place to the top-weighted spacetime links of its row, as in Figure 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.ask.rows import Row, affinity_of, row_of
from nlviz.display import listed
from nlviz.errors import QueryError
from nlviz.query import Link, Query


def top_links(analysis: Analysis, query: Query) -> tuple[Link, ...]:
    """The k heaviest links of a query, heaviest first; fewer where fewer places are allowed.

    Equal weights come in row-major order.

    Raises:
        QueryError: what ``row_of`` raises, or an exclusion that leaves no place.
    """
    row = linkable_row(analysis, query)
    places = heaviest(row, query.k)
    return tuple(
        link_to(analysis, query, row, place, rank) for rank, place in enumerate(places, start=1)
    )


def best_path(analysis: Analysis, query: Query) -> tuple[Link, ...]:
    """The heaviest link into each time step that the query may link to, in order of time.

    ``rank`` is the link's rank among these, 1 for the heaviest; ``query.k`` plays no part. A time
    step without a place that may be linked to has none; equal weights come in row-major order.

    Raises:
        QueryError: what ``top_links`` raises.
    """
    row = linkable_row(analysis, query)
    ranked = np.where(row.allowed, row.ranked, -np.inf).reshape(row.grid.t, -1)
    best = ranked.argmax(axis=1) + np.arange(row.grid.t) * ranked.shape[1]
    kept = best[np.isfinite(ranked.max(axis=1))]
    links = [link_to(analysis, query, row, int(place)) for place in kept]
    order = sorted(range(len(links)), key=lambda i: -links[i].drawn)
    ranks = {number: rank for rank, number in enumerate(order, start=1)}
    return tuple(replace(link, rank=ranks[number]) for number, link in enumerate(links))


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


def heaviest(row: Row, k: int) -> list[int]:
    """Row-major positions of the k heaviest places that are allowed, heaviest first."""
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
        return _tokens_alone(analysis, query, row)
    frames = len(analysis.view.frames)
    return (
        f"Leaving out the query's own {query.exclude} leaves no place to link to in this clip "
        f"of {frames} frame{'s'[: frames > 1]}; choose exclude='none'"
        + (" or 'cell'." if query.exclude == "frame" else ".")
    )


def _tokens_alone(analysis: Analysis, query: Query, row: Row) -> str:
    """Where no place is linked to: links end on tokens, or nowhere."""
    side = Side(affinity_of(analysis, query), query.reverse)
    tokens = listed(side.reached_tokens(row.cells or [str(query.point)]))
    if not tokens:
        return f"Nothing can be reached from there in block {query.block!r}; choose another place."
    if query.reverse:
        return (
            f"In block {query.block!r} only tokens look there, {tokens}, which have no place to "
            "draw; ask such a token what it looks at, without reverse."
        )
    return (
        f"From there block {query.block!r} reaches only tokens, {tokens}, which have no place to "
        "link to; choose another place or block."
    )
