"""Tables: links, profiles and block statistics as CSV, each with its provenance in the first line.

The first line starts with ``#``: ``pandas.read_csv(path, comment="#")``, or ``skip_header=1`` for
``numpy.genfromtxt``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nlviz.geometry import Region
from nlviz.provenance import Provenance
from nlviz.query import Link, Query
from nlviz.scans import Scan
from nlviz.statistics import BlockStatistics, Profile

if TYPE_CHECKING:
    from nlviz.tracking.points import FollowedPoints

_ASKED = ("query", "block", "head", "reverse", "frame", "x", "y", "token")
_LINK = {
    **{name: name for name in ("rank", "weight", "share")},
    **{name: f"to_{name}" for name in ("frame", "x", "y")},
}  # of a link's record → in the table
LINK_COLUMNS = (*_ASKED, *_LINK.values())
_POINT = ("point", "frame", "x", "y", "visible", "confidence")
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
    return table(LINK_COLUMNS, link_lines(answers), asdict(provenance))


def link_lines(answers: Sequence[Sequence[Link]]) -> Iterator[dict[str, Any]]:
    """The lines of ``links_csv``, by column."""
    for number, links in enumerate(answers, start=1):
        for link in links:
            named = {_LINK[name]: value for name, value in link.record.items()}
            yield {**_asked(number, link.query), **named}


def points_csv(found: FollowedPoints) -> bytes:
    """Followed points as ``read_point_tracks`` reads them, in source pixels, with the confidence.

    Without the line of provenance, which other readers of point tracks would take for a point.
    """
    content = io.StringIO()
    lines = csv.writer(content, lineterminator="\n")
    lines.writerow(_POINT)
    confidence, visible = found.confidence, found.visible
    for i, places in enumerate(found.places):
        for at, (frame, (x, y)) in enumerate(zip(found.frames, places.tolist(), strict=True)):
            seen = int(visible[i, at])
            lines.writerow([i, frame, f"{x:.2f}", f"{y:.2f}", seen, f"{confidence[i, at]:.4f}"])
    return content.getvalue().encode()


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
    return table((*_ASKED, *_PROFILE), lines, asdict(provenance))


def statistics_csv(blocks: Sequence[BlockStatistics], provenance: Provenance) -> bytes:
    """One line for each block: its averages over all queries, named as in ``BlockStatistics``."""
    lines = ({name: getattr(block, name) for name in _STATISTICS} for block in blocks)
    return table(_STATISTICS, lines, asdict(provenance))


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


def scan_csv(found: Scan, provenance: Provenance) -> bytes:
    """One line for each score of a scan, then one for each block that was refused.

    ``head`` is empty for the mean of all and for the cosine, which ``of`` tells apart; ``low`` and
    ``high`` are the ends of the interval over ``count`` queries, points or frames; δ at each
    threshold, or J and F, follow; ``best`` is 1 for the highest of the network's own weights.
    """
    lines = found.records
    names = dict.fromkeys(name for line in lines for name in line)
    return table([*(n for n in names if n != "refused"), "refused"], lines, asdict(provenance))


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


def table(
    columns: Sequence[str], lines: Iterable[Mapping[str, Any]], made: Mapping[str, Any]
) -> bytes:
    """Lines by column as CSV, after a line that says how they were made."""
    text = io.StringIO(newline="")
    text.write(f"# {json.dumps(made, ensure_ascii=False)}\n")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().encode()
