"""The path of a query: its best link in each frame, in order of time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nlviz.links import Link, Query, link_to, linkable_row

if TYPE_CHECKING:
    from nlviz.analysis import Analysis


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
