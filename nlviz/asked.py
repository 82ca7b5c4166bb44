"""What was asked, as plain JSON: every file that leaves says it in these words."""

from __future__ import annotations

from typing import Any

from nlviz.geometry import Point, Region
from nlviz.links import Query


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
