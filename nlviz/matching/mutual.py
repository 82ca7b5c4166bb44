"""Mutual nearest neighbours: places of two clips that each find the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nlviz.geometry import Point
from nlviz.matching.pairing import Pairing
from nlviz.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class MutualPair:
    """Two places that find each other.

    Args:
        here: the centre of a cell of the first clip.
        there: the centre of a cell of the second.
        weight: f/C, or the cosine.
    """

    here: Point
    there: Point
    weight: float


def mutual_pairs(
    pairing: Pairing, *, head: int | None = None, progress: Progress = silent
) -> tuple[MutualPair, ...]:
    """The pairs of cells (i, j) that find each other, heaviest first.

    j is the heaviest key of row i, and i the query that weighs key j most: the greatest of its row
    and of its column. Of equal weights the first in row-major order counts. All rows are worked
    out, a chunk at a time.

    Args:
        pairing: the clips and the block.
        head: one head of the block, from 0; None for the mean of all.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: an unknown head.
    """
    affinity = pairing.affinity if head is None else pairing.affinity.head(head)
    queries, keys = affinity.query_grid, affinity.key_grid
    asking = np.flatnonzero(affinity.has_query.ravel())
    asked = np.flatnonzero(affinity.has_key.ravel())
    if not asking.size or not asked.size:
        return ()
    best_key = np.empty(asking.size, np.intp)
    weight = np.empty(asking.size, np.float32)
    best_query = np.zeros(asked.size, np.intp)
    most = np.full(asked.size, -np.inf, np.float32)
    for some, rows in affinity.chunks([queries.cell(int(i)) for i in asking]):
        progress(some.start / asking.size, "matching all places")
        weights = rows.reshape(len(rows), -1)[:, asked]
        best_key[some], weight[some] = weights.argmax(axis=1), weights.max(axis=1)
        top = weights.max(axis=0)
        heavier = top > most
        best_query[heavier] = some.start + weights.argmax(axis=0)[heavier]
        most[heavier] = top[heavier]
    mutual = np.flatnonzero(best_query[best_key] == np.arange(asking.size))
    order = mutual[np.argsort(-weight[mutual], kind="stable")]
    here, there = pairing.here.view, pairing.there.view
    return tuple(
        MutualPair(
            here.point(queries.cell(int(asking[i])), queries),
            there.point(keys.cell(int(asked[best_key[i]])), keys),
            float(weight[i]),
        )
        for i in order
    )
