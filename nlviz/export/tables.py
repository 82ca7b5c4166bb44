"""Tables: links, profiles and block statistics as CSV, each with its provenance in the first line.

The first line starts with ``#``: ``pandas.read_csv(path, comment="#")``, or ``skip_header=1`` for
``numpy.genfromtxt``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from nlviz.geometry import Region
from nlviz.provenance import Provenance
from nlviz.query import Link, Query
from nlviz.statistics import BlockStatistics, Profile

_ASKED = ("query", "block", "head", "reverse", "frame", "x", "y", "token")
_LINK = ("rank", "weight", "share", "to_frame", "to_x", "to_y")
_PROFILE = ("measure", "from", "to", "value")
_NUMBERS = ("distance", "duration", "entropy", "effective", "positions", "own_frame", "links")
_STATISTICS = (
    *("block", "head", "queries", "positions", "distance", "duration", "own_frame"),
    *("entropy", "effective", "divergence", "reach_divergence", "alike"),
)


def links_csv(answers: Sequence[Sequence[Link]], provenance: Provenance) -> bytes:
    """One line for each link: what was asked, its rank, weight, share and the place it leads to.

    ``frame``, ``x``, ``y`` are those of the query in source pixels, a region's centre, empty for a
    token; ``to_frame``, ``to_x``, ``to_y`` those of the other end.
    """
    lines = (
        {
            **_asked(number, link.query),
            "rank": link.rank,
            "weight": link.weight,
            "share": link.share,
            "to_frame": link.target.frame,
            "to_x": link.target.x,
            "to_y": link.target.y,
        }
        for number, links in enumerate(answers, start=1)
        for link in links
    )
    return _csv((*_ASKED, *_LINK), lines, provenance)


def profile_csv(profiles: Sequence[Profile], provenance: Provenance) -> bytes:
    """One line for each number of each query's profile.

    Shares have the measure ``by_frame`` (``from`` is the source frame), ``by_distance`` (in
    diagonals, ``from`` and ``to`` the bin's edges) or ``by_second`` (relative to the query);
    single numbers have the name of their field in ``Profile``, and neither ``from`` nor ``to``.
    """
    lines = (
        {**_asked(number, profile.query), **line}
        for number, profile in enumerate(profiles, start=1)
        for line in _spread(profile)
    )
    return _csv((*_ASKED, *_PROFILE), lines, provenance)


def statistics_csv(blocks: Sequence[BlockStatistics], provenance: Provenance) -> bytes:
    """One line for each block: its averages over all queries, named as in ``BlockStatistics``."""
    lines = ({name: getattr(block, name) for name in _STATISTICS} for block in blocks)
    return _csv(_STATISTICS, lines, provenance)


def _spread(profile: Profile) -> Iterable[dict[str, Any]]:
    for frame, share in zip(profile.frames, profile.by_frame, strict=True):
        yield {"measure": "by_frame", "from": frame, "value": share}
    if profile.by_distance is not None:
        edges = profile.edges
        for low, high, share in zip(edges, edges[1:], profile.by_distance, strict=False):
            yield {"measure": "by_distance", "from": low, "to": high, "value": share}
    if profile.seconds is not None and profile.by_second is not None:
        for second, share in zip(profile.seconds, profile.by_second, strict=True):
            yield {"measure": "by_second", "from": second, "value": share}
    for name in (*_NUMBERS, "tokens"):
        if getattr(profile, name) is not None:
            yield {"measure": name, "value": getattr(profile, name)}


def _asked(number: int, query: Query) -> dict[str, Any]:
    asked = {
        "query": number,
        "block": query.block,
        "head": query.head,
        "reverse": int(query.reverse),
    }
    if isinstance(query.point, str):
        return {**asked, "token": query.point}
    point = query.point.centre if isinstance(query.point, Region) else query.point
    return {**asked, "frame": point.frame, "x": point.x, "y": point.y}


def _csv(columns: Sequence[str], lines: Iterable[dict[str, Any]], provenance: Provenance) -> bytes:
    text = io.StringIO(newline="")
    text.write(f"# {json.dumps(asdict(provenance), ensure_ascii=False)}\n")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()
