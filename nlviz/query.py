"""What is asked of an analysis, what is answered, and both as plain JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from nlviz.errors import QueryError
from nlviz.geometry import Point, Region

Exclude = Literal["none", "cell", "frame"]
RankBy = Literal["affinity", "contribution"]
RANKS: tuple[RankBy, ...] = get_args(RankBy)
EXCLUDES: tuple[Exclude, ...] = get_args(Exclude)
Baseline = Literal["uniform", "cosine", "shuffled"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
Of = Literal["input", "theta", "phi", "output"]
OFS: tuple[Of, ...] = get_args(Of)
"""Whose vectors: what a block takes, its θ and φ, what it puts out."""
WhichSide = Literal["above", "below"]
SIDES: tuple[WhichSide, ...] = get_args(WhichSide)
"""Of a threshold, on which the foreground lies."""


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
        reverse: ask who looks here: column j of f/C instead of row i.
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

    @property
    def record(self) -> dict[str, Any]:
        """A line of a table, without what was asked: rank, weight, share, frame, x and y."""
        told = {"rank": self.rank, "weight": self.weight, "share": self.share}
        return {**told, **where(self.target)}


def asked(query: Query) -> dict[str, Any]:
    """All of a query."""
    ranked = {} if query.rank_by == "affinity" else {"rank_by": query.rank_by}
    return {
        **place(query),
        "block": query.block,
        "k": query.k,
        "exclude": query.exclude,
        **ranked,
    }


def place(query: Query) -> dict[str, Any]:
    """Where was asked; the keys that say how are there only where they were used."""
    point = query.point
    if isinstance(point, str):
        at: dict[str, Any] = {"token": point}
    elif isinstance(point, Region):
        at = {"region": {"frame": point.frame, "outline": [list(xy) for xy in point.outline]}}
    else:
        at = {"at": where(point)}
    head = {} if query.head is None else {"head": query.head}
    return {**at, **head, **({"reverse": True} if query.reverse else {})}


def where(point: Point) -> dict[str, float]:
    """A point."""
    return {"frame": point.frame, "x": point.x, "y": point.y}


def origin(block: str) -> tuple[str, Baseline | None]:
    """The block that a baseline's name came from and its kind; another name itself, and None."""
    name, _, rest = block.rpartition(" (")
    for kind in BASELINES:
        if name and rest == f"{kind})":
            return name, kind
    return block, None


_SIMILARITY = " (similarity)"


def similarity_of(layer: str) -> str:
    """What the cosines of a layer's features are called, wherever a block's name stands."""
    return f"{layer}{_SIMILARITY}"


def layer_of(block: str) -> str | None:
    """The layer whose features' cosines a block is, as ``similarity_of`` names it; else None."""
    return block.removesuffix(_SIMILARITY) if block.endswith(_SIMILARITY) else None
