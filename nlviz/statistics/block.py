"""A block's averages over all its queries, in chunks of rows and never the matrix."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.errors import QueryError
from nlviz.groups import reached_from
from nlviz.progress import Progress, silent
from nlviz.statistics.distances import BINS, EDGES, CellCentres, Numbers, binned, distances, entropy
from nlviz.statistics.profile import check_positions

ALIKE = 0.005
"""Nats of divergence below which rows are called alike.

By Pinsker's inequality a row differs from the average row in at most √(D/2) of its weight, on
average over the queries: 0.005 nats are 5 %. Moving the query then moves less than a twentieth.
"""

_CHUNK_BYTES = 32 << 20  # of one array of rows; a handful of them are alive at a time


@dataclass(frozen=True, slots=True, eq=False)
class BlockStatistics:
    """Means over all queries i of the shares p_ij = |w_ij| / Σ_j |w_ij| of their rows on the grid.

    Args:
        block: the block's name.
        head: the head, None for the mean of all.
        queries: how many rows were averaged; rows of zeros are left out, and cells without a query.
        positions: M, how many keys there are: a block may have them on a part of its grid only.
        distance: Σ_j p_ij d_ij, the mean distance in space, in diagonals of the frame.
        duration: Σ_j p_ij |t_j − t_i| in seconds; None for a clip of one frame.
        own_frame: Σ p_ij over the keys at time steps that cover i's own frames.
        entropy: −Σ_j p_ij ln p_ij, in nats.
        divergence: D = mean over i of KL(p_i ‖ p̄), p̄ being the mean row, in nats; the same as
            H(p̄) − mean H(p_i), and at most ln M. 0 where all rows are alike.
        reach_divergence: D of rows that spread evenly over what they can reach: what windows,
            frames or groups make rows differ by; 0 where everything can be reached.
        edges: of the bins of distance, in diagonals: 0 to 1.
        by_distance: the mean share in each bin of distance.
    """

    block: str
    head: int | None
    queries: int
    positions: int
    distance: float
    duration: float | None
    own_frame: float
    entropy: float
    divergence: float
    reach_divergence: float
    edges: Numbers
    by_distance: Numbers

    @property
    def effective(self) -> float:
        """exp(entropy), the geometric mean over the queries of their effective positions."""
        return math.exp(self.entropy)

    @property
    def alike(self) -> bool:
        """Whether rows differ by less than ``ALIKE`` beyond what their reach makes them."""
        return self.divergence - self.reach_divergence < ALIKE

    @property
    def words(self) -> str:
        """One sentence on whether the rows depend on the query."""
        beyond = max(self.divergence - self.reach_divergence, 0.0)
        if self.alike:
            where = "within its reach" if self.reach_divergence else "globally"
            return (
                f"Block {self.block} pools {where} and does not look anywhere: wherever one "
                f"points, at most {math.sqrt(beyond / 2):.1%} of the weight lies elsewhere on "
                "average."
            )
        far = f"{beyond:.2g} nat" + "s" * (f"{beyond:.2g}" != "1")
        return (
            f"Block {self.block} looks: where its weight lies depends on the query "
            f"({far} between a row and the average row)."
        )


def block_statistics(
    analysis: Analysis, block: str, *, head: int | None = None, progress: Progress | None = None
) -> BlockStatistics:
    """Averages over all queries of a block, or of one head of it.

    Holds a chunk of rows at a time, about 200 MB in all whatever the grid.

    Args:
        analysis: the analysis.
        block: the block's name.
        head: one head, from 0; the mean of all if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: an unknown block or head, a block with one position, without a query or key on
            the picture, or whose weights are all zero.
    """
    affinity = analysis.affinity(block)
    affinity = affinity if head is None else affinity.head(head)
    keys = affinity.key_grid
    asking, asked = Side(affinity).cells, Side(affinity, reverse=True).cells
    if not (len(asking) and len(asked)):
        raise QueryError(
            f"Block {block!r} has no {'keys' if len(asking) else 'queries'} on the picture, so "
            "there is nothing to average; ask one of its tokens."
        )
    check_positions(len(asked), block)
    here, there = CellCentres.of(analysis, affinity.query_grid), CellCentres.of(analysis, keys)
    same = _same_frames(analysis, affinity)
    spots = keys.rows * keys.cols
    count = 0
    far = late = own = nats = even_nats = 0.0
    mean_row, even_row = np.zeros(keys.size), np.zeros(keys.size)
    by_distance = np.zeros(BINS)
    for index, shares in _shares(affinity, asking, progress or silent):
        t, spot = np.divmod(index, affinity.query_grid.rows * affinity.query_grid.cols)
        grid = shares.reshape(len(index), keys.t, spots)
        in_space, in_time = grid.sum(axis=1), grid.sum(axis=2)
        off = distances(here.spots[spot], there.spots)
        far += float((in_space * off).sum())
        late += float((in_time * np.abs(here.seconds[t, None] - there.seconds)).sum())
        own += float(in_time[same[t]].sum())
        by_distance += binned(off, in_space)
        nats += float(entropy(shares).sum())
        mean_row += shares.sum(axis=0)
        if affinity.reach:
            even = _even(affinity, index)
            even_nats += float(entropy(even).sum())
            even_row += even.sum(axis=0)
        count += len(index)
    if not count:
        raise QueryError(f"All weights of block {block!r} are zero for this clip.")
    return BlockStatistics(
        block=block,
        head=head,
        queries=count,
        positions=len(asked),
        distance=far / count,
        duration=late / count if len(analysis.view.frames) > 1 else None,
        own_frame=own / count,
        entropy=nats / count,
        divergence=max(0.0, float(entropy(mean_row / count)) - nats / count),
        reach_divergence=max(0.0, float(entropy(even_row / count)) - even_nats / count),
        edges=EDGES,
        by_distance=by_distance / count,
    )


def _shares(
    affinity: Affinity, asking: NDArray[np.intp], report: Progress
) -> Iterator[tuple[NDArray[np.intp], Numbers]]:
    """(positions, their rows' shares) of some queries, a chunk at a time, without empty rows."""
    report(0.0, "averaging over all queries")
    cells = [affinity.query_grid.cell(int(i)) for i in asking]
    # Half of the budget: as float64 they are twice that.
    for some, rows in affinity.chunks(cells, budget=_CHUNK_BYTES // 2):
        index = asking[some]
        shares = np.abs(rows.reshape(len(index), -1), dtype=np.float64)
        sums = shares.sum(axis=1)
        shares, index, sums = shares[sums > 0], index[sums > 0], sums[sums > 0]
        shares /= sums[:, None]
        yield index, shares
        if some.stop < len(cells):
            report(some.stop / len(cells), "averaging over all queries")
    report(1.0, "done")


def _even(affinity: Affinity, index: NDArray[np.intp]) -> Numbers:
    """(n, M): rows that spread evenly over the keys on the grid that can be reached."""
    reached = reached_from(affinity.reach, index)
    if reached is None:
        return np.full((len(index), affinity.key_grid.size), 1 / affinity.key_grid.size)
    able = reached[:, : affinity.key_grid.size].astype(np.float64)
    even: Numbers = able / able.sum(axis=1, keepdims=True)
    return even


def _same_frames(analysis: Analysis, affinity: Affinity) -> Numbers:
    """(T, T'), True where a query's and a key's time step cover a common frame."""
    view, queries, keys = analysis.view, affinity.query_grid, affinity.key_grid
    covered = [set(view.positions(t, keys)) for t in range(keys.t)]
    return np.array(
        [
            [bool(set(view.positions(t, queries)) & there) for there in covered]
            for t in range(queries.t)
        ]
    )
