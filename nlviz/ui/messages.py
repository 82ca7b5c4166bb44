"""What the viewer and Python say to each other: small JSON, checked on the way in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeGuard

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.geometry import Point, View
from nlviz.links import EXCLUDES, Exclude, Link, Query, top_links
from nlviz.ui.pins import MOST, Pin, Pins

MOST_LINKS = 200


@dataclass(frozen=True, slots=True)
class Options:
    """What the visitor chose in the viewer's toolbar.

    ``block`` None is the last one; ``opacity`` is the heat map's, 0 to 1.
    """

    block: str | None = None
    k: int = 20
    opacity: float = 0.7
    links: bool = True
    heat: bool = True
    exclude: Exclude = "frame"

    def changed(self, said: object) -> Options:
        """With what the viewer said; a value that makes no sense leaves the old one."""
        if not isinstance(said, Mapping):
            return self
        k, opacity, block = said.get("k"), said.get("opacity"), said.get("block")
        exclude = said.get("exclude")
        return Options(
            block=block if isinstance(block, str) else self.block,
            k=min(max(int(k), 1), MOST_LINKS) if _is_number(k) else self.k,
            opacity=min(max(float(opacity), 0.0), 1.0) if _is_number(opacity) else self.opacity,
            links=said["links"] if isinstance(said.get("links"), bool) else self.links,
            heat=said["heat"] if isinstance(said.get("heat"), bool) else self.heat,
            exclude=exclude if exclude in EXCLUDES else self.exclude,
        )

    def fitting(self, analysis: Analysis) -> Options:
        """For one analysis: a block that it has, and 'cell' where one frame is all there is."""
        block = self.block if self.block in analysis.blocks else analysis.blocks[-1]
        alone = len(analysis.view.frames) == 1 and self.exclude == "frame"
        return replace(self, block=block, exclude="cell" if alone else self.exclude)


def acted(pins: Pins, said: object, view: View) -> Pins:
    """The pins after what the viewer asked for; unchanged where it makes no sense."""
    if not isinstance(said, Mapping):
        return pins
    match said.get("type"):
        case "add":
            point = _point(said, view)
            return pins if point is None else pins.add(point)
        case "remove":
            return pins.remove(str(said.get("id")))
        case "undo":
            return pins.undo()
        case "clear":
            return pins.clear()
        case _:
            return pins


def asked(analysis: Analysis, pin: Pin, options: Options) -> Query:
    """What a pin asks under the options."""
    block = options.block or analysis.blocks[-1]
    return Query(pin.point, block, options.k, options.exclude)


def answer(analysis: Analysis, pin: Pin, options: Options) -> tuple[Link, ...]:
    """The exact links of a pin; none where the exclusion leaves no key."""
    try:
        return top_links(analysis, asked(analysis, pin, options))
    except QueryError:
        return ()


def scene(
    analysis: Analysis,
    tags: tuple[str, ...],
    pins: Mapping[Pin, tuple[Link, ...]],
    options: Options,
    notice: str | None = None,
) -> dict[str, Any]:
    """All that the viewer needs beside the blobs: ``tags`` are the clip's and each block's."""
    position = {frame: t for t, frame in enumerate(analysis.view.frames)}
    return {
        "clip": tags[0],
        "blocks": list(tags[1:]),
        "pins": [
            {
                "id": pin.id,
                "color": pin.color,
                "t": position[pin.point.frame],
                "x": float(pin.point.x),
                "y": float(pin.point.y),
                "exact": {
                    "block": options.block,
                    "k": options.k,
                    "exclude": options.exclude,
                    "links": [_link(link, position) for link in links],
                    "covered": sum(link.share for link in links),
                },
            }
            for pin, links in pins.items()
        ],
        "options": asdict(options),
        "max_pins": MOST,
        "notice": notice,
    }


def _link(link: Link, position: Mapping[int, int]) -> dict[str, float]:
    return {
        "rank": link.rank,
        "weight": link.weight,
        "share": link.share,
        "t": position[link.target.frame],
        "x": float(link.target.x),
        "y": float(link.target.y),
    }


def _point(said: Mapping[str, Any], view: View) -> Point | None:
    t, x, y = said.get("t"), said.get("x"), said.get("y")
    if not (_is_number(t) and _is_number(x) and _is_number(y)) or not 0 <= t < len(view.frames):
        return None
    width, height = view.source
    # To a hundredth of a pixel, so that the command line shown beside is short.
    inside = (
        min(max(round(float(at), 2), 0.0), end - 0.01)
        for at, end in zip((x, y), (width, height), strict=True)
    )
    return Point(view.frames[int(t)], *inside)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
