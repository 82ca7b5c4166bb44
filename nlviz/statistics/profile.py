"""The profile of a query: how its weight is spread over frames, space and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.ask.places import Side
from nlviz.ask.rows import Row, affinity_of, row_of
from nlviz.display import bars, table
from nlviz.errors import QueryError
from nlviz.query import Query
from nlviz.statistics.distances import EDGES, CellCentres, Numbers, binned, distances, entropy


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Shares p_j = |w_j| / Σ |w| of a row or column on its grid, summed in several ways.

    Where weights are signed or do not sum to 1, their absolute values are what is shared out.
    Distances are from the middle of the cells asked about. What needs a place is None for a
    token, what needs time for a clip of one frame.

    Args:
        query: what was asked.
        frames: the sampled source frames.
        by_frame: share of each frame; frames that one time step covers split its share evenly.
        edges: of the bins of distance, in diagonals of the frame: 0 to 1.
        by_distance: share in each bin of distance in space, whatever the frame.
        seconds: of each time step of the grid, relative to the query's own.
        by_second: share of each of these time steps.
        distance: Σ p_j d_j, the mean distance in space, in diagonals.
        duration: Σ p_j |t_j − t|, the mean distance in time, in seconds.
        entropy: −Σ p_j ln p_j, in nats.
        positions: how many positions could get weight, M.
        own_frame: share of the time steps that cover the query's own frames.
        links: share of the k links, as ``top_links`` gives them with the query's exclusion; 0
            where the exclusion leaves none.
        tokens: share of Σ |w| that the tokens have; the rest is what is shared out above.
    """

    query: Query
    frames: tuple[int, ...]
    by_frame: Numbers
    edges: Numbers
    by_distance: Numbers | None
    seconds: Numbers | None
    by_second: Numbers | None
    distance: float | None
    duration: float | None
    entropy: float
    positions: int
    own_frame: float | None
    links: float
    tokens: float

    @property
    def effective(self) -> float:
        """exp(entropy): as many positions of equal weight would have this entropy."""
        return math.exp(self.entropy)

    def _repr_html_(self) -> str:
        """In a notebook: the shares of the frames as bars, and the numbers."""
        numbers = {
            "mean distance, diagonals": self.distance,
            "mean time apart, s": self.duration,
            "entropy, nats": self.entropy,
            f"effective positions of {self.positions}": self.effective,
            "share of the own frame": self.own_frame,
            f"share of the {self.query.k} links": self.links,
        }
        rows = [(name, f"{number:.3g}") for name, number in numbers.items() if number is not None]
        named = [f"frame {frame}" for frame in self.frames]
        shares = zip(named, map(float, self.by_frame), strict=True)
        return bars(shares, f"{self.query.block}: weight by frame") + table(("number", ""), rows)


def profile(analysis: Analysis, query: Query) -> Profile:
    """How the weight of a query is spread.

    Raises:
        QueryError: what ``row_of`` raises, a block with one position, or a row of zeros.
    """
    row, view = row_of(analysis, query), analysis.view
    check_positions(len(Side(affinity_of(analysis, query), not query.reverse).cells), query.block)
    weights = np.abs(row.weights, dtype=np.float64)
    if not weights.any():
        raise QueryError(f"All weights of this query in block {query.block!r} are zero.")
    shares = weights / weights.sum()
    places = CellCentres.of(analysis, row.grid)
    steps, spots = shares.sum(axis=(1, 2)), shares.sum(axis=0).ravel()
    by_frame = np.zeros(len(view.frames))
    for t, share in enumerate(steps):
        covered = list(view.positions(t, row.grid))
        by_frame[covered] += share / len(covered)
    far = seconds = None
    if row.cells:
        affinity = affinity_of(analysis, query)
        own = affinity.key_grid if query.reverse else affinity.query_grid
        here = CellCentres.of(analysis, own)
        chosen = [cell.row * own.cols + cell.col for cell in row.cells]
        far = distances(here.spots[chosen].mean(axis=0)[None], places.spots)[0]
        if len(view.frames) > 1:
            seconds = places.seconds - here.seconds[row.cells[0].t]
    return Profile(
        query=query,
        frames=view.frames,
        by_frame=by_frame,
        edges=EDGES,
        by_distance=None if far is None else binned(far, spots),
        seconds=seconds,
        by_second=None if seconds is None else steps,
        distance=None if far is None else float(far @ spots),
        duration=None if seconds is None else float(np.abs(seconds) @ steps),
        entropy=float(entropy(shares.ravel())),
        positions=int(row.reached.sum()),
        own_frame=_own_frame(analysis, query, row, steps) if row.cells else None,
        links=sum(link.share for link in top_links(analysis, query)) if row.allowed.any() else 0.0,
        tokens=sum(map(abs, row.tokens.values())) / row.total,
    )


def check_positions(count: int, block: str) -> None:
    """QueryError for a block with one position, whose weights say nothing."""
    if count == 1:
        raise QueryError(
            f"Block {block!r} has one position, which gets all the weight whatever is asked; take "
            "a larger input size or an earlier block."
        )


def _own_frame(analysis: Analysis, query: Query, row: Row, steps: Numbers) -> float:
    view, affinity = analysis.view, affinity_of(analysis, query)
    own = affinity.key_grid if query.reverse else affinity.query_grid
    covered = set(view.positions(row.cells[0].t, own))
    same = [t for t in range(row.grid.t) if covered & set(view.positions(t, row.grid))]
    return float(steps[same].sum())
