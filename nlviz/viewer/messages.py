"""What the viewer and Python say to each other: small JSON, checked on the way in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeGuard, get_args

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region, View
from nlviz.heat.colormap import Colours
from nlviz.heat.scale import Against, Curve
from nlviz.query import Exclude, Link, Query, RankBy
from nlviz.viewer.pins import MOST, Pin, Pins, Place

MOST_LINKS = 200
MOST_CORNERS = 400

Look = Literal["strip", "player"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the visitor chose in the viewer's toolbar.

    Args:
        block: None is the last one.
        head: one head of the block, from 0; None for the mean of all.
        reverse: who looks here, in place of what is looked at.
        k: how many links.
        rank_by: what links and heat show: affinity, or what each place adds.
        exclude: which places get no link.
        links: whether links are drawn.
        heat: whether the heat map is drawn.
        opacity: the heat map's, 0 to 1.
        scale: what the heat map is scaled to.
        curve: how weights become colours.
        colours: the heat map's, for weights from 0 up.
        together: the links of all pins, or of the chosen one alone.
        view: all frames, or one that plays.
    """

    block: str | None = None
    head: int | None = None
    reverse: bool = False
    k: int = 20
    rank_by: RankBy = "affinity"
    exclude: Exclude = "frame"
    links: bool = True
    heat: bool = True
    opacity: float = 0.7
    scale: Against = "row"
    curve: Curve = "linear"
    colours: Colours = "dusk"
    together: bool = True
    view: Look = "strip"

    def changed(self, said: object) -> Options:
        """With what the viewer said; a value that makes no sense leaves the old one."""
        if not isinstance(said, Mapping):
            return self
        known = {name: _READ[name](said[name]) for name in _READ if name in said}
        good = {name: value for name, value in known.items() if value is not _WRONG}
        return replace(self, **good)

    @property
    def needs_constants(self) -> bool:
        """Whether the page needs what ``payload.constants_blob`` holds."""
        return self.reverse or self.scale == "block"

    @property
    def needs_sizes(self) -> bool:
        """Whether the page needs what ``payload.sizes_blob`` holds."""
        return self.rank_by == "contribution"

    def fitting(self, analysis: Analysis) -> Options:
        """For one analysis: a block and a head it has, 'cell' where links stay in one frame.

        And affinity where the analysis does not know what the places of the block add.
        """
        block = self.block if self.block in analysis.blocks else analysis.blocks[-1]
        affinity = analysis.affinity(block)
        head = self.head if self.head is not None and self.head < affinity.heads else None
        alone = self.exclude == "frame" and not _joins_frames(analysis, affinity)
        exclude: Exclude = "cell" if alone else self.exclude
        known = block in analysis.sizes and analysis.sizes[block].any()
        rank_by: RankBy = self.rank_by if known else "affinity"
        return replace(self, block=block, head=head, exclude=exclude, rank_by=rank_by)


def _joins_frames(analysis: Analysis, affinity: Affinity) -> bool:
    return len(analysis.view.frames) > 1 and affinity.joins_frames


_WRONG = object()
_Read = Callable[[object], Any]


def _one_of(choices: object) -> _Read:
    return lambda said: said if said in get_args(choices) else _WRONG


def _yes_or_no(said: object) -> object:
    return said if isinstance(said, bool) else _WRONG


def _number(least: float, most: float, kind: type[int] | type[float]) -> _Read:
    return lambda said: kind(min(max(said, least), most)) if _is_number(said) else _WRONG


def _head(said: object) -> object:
    return said if said is None else _number(0, 2**31, int)(said)


_READ: Mapping[str, _Read] = {
    "block": lambda said: said if isinstance(said, str) else _WRONG,
    "head": _head,
    "reverse": _yes_or_no,
    "k": _number(1, MOST_LINKS, int),
    "rank_by": _one_of(RankBy),
    "exclude": _one_of(Exclude),
    "links": _yes_or_no,
    "heat": _yes_or_no,
    "opacity": _number(0, 1, float),
    "scale": _one_of(Against),
    "curve": _one_of(Curve),
    "colours": _one_of(Colours),
    "together": _yes_or_no,
    "view": _one_of(Look),
}


def acted(pins: Pins, said: object, view: View) -> Pins:
    """The pins after what the viewer asked for; unchanged where it makes no sense."""
    if not isinstance(said, Mapping):
        return pins
    match said.get("type"):
        case "add":
            place = _place(said, view)
            return pins if place is None else pins.add(place)
        case "remove":
            return pins.remove(str(said.get("id")))
        case "rename":
            return pins.rename(str(said.get("id")), str(said.get("name", "")))
        case "move":
            to = said.get("to")
            return pins.move(str(said.get("id")), int(to)) if _is_number(to) else pins
        case "undo":
            return pins.undo()
        case "redo":
            return pins.redo()
        case "clear":
            return pins.clear()
        case _:
            return pins


def asked(analysis: Analysis, pin: Pin, options: Options) -> Query:
    """What a pin asks under the options."""
    options = options.fitting(analysis)
    return Query(
        pin.point,
        options.block or analysis.blocks[-1],
        options.k,
        options.exclude,
        head=options.head,
        reverse=options.reverse,
        rank_by=options.rank_by,
    )


def answer(analysis: Analysis, pin: Pin, options: Options) -> tuple[Link, ...]:
    """The exact links of a pin; none where there can be none, and the viewer says why."""
    try:
        return top_links(analysis, asked(analysis, pin, options))
    except QueryError:
        return ()


def scene(
    analysis: Analysis,
    tags: tuple[str, ...],
    links: Mapping[Pin, tuple[Link, ...]],
    options: Options,
    notice: str | None = None,
    *,
    undo: bool = False,
    redo: bool = False,
    rank: bool = False,
    mask: str | None = None,
) -> dict[str, Any]:
    """All that the viewer needs beside the blobs: ``tags`` are the clip's and each block's.

    The viewer fits the options to a block as ``fitting`` does, so it gets them as they were chosen.
    ``undo`` and ``redo`` say what can be done with the pins, ``rank`` whether ``sizes_blob`` can
    come; ``mask`` is the tag of one that lies over the frames.
    """
    position = {frame: t for t, frame in enumerate(analysis.view.frames)}
    fitted = options.fitting(analysis)
    names = ("block", "k", "exclude", "head", "reverse", "rank_by")
    question = {name: getattr(fitted, name) for name in names}
    return {
        "clip": tags[0],
        "blocks": list(tags[1:]),
        "pins": [
            {
                "id": pin.id,
                "color": pin.color,
                "name": pin.name,
                **_placed(pin.point, position),
                "exact": {
                    **question,
                    "links": [_link(link, position) for link in found],
                    "covered": sum(link.share for link in found),
                },
            }
            for pin, found in links.items()
        ],
        "options": asdict(options),
        "max_pins": MOST,
        "can": {"undo": undo, "redo": redo, "rank": rank},
        "mask": mask,
        "notice": notice,
    }


def _placed(place: Place, position: Mapping[int, int]) -> dict[str, Any]:
    if isinstance(place, str):
        return {"t": None, "x": None, "y": None, "region": None, "token": place}
    region = [list(corner) for corner in place.outline] if isinstance(place, Region) else None
    point = place.centre if isinstance(place, Region) else place
    where = {"t": position[point.frame], "x": float(point.x), "y": float(point.y)}
    return {**where, "region": region, "token": None}


def _link(link: Link, position: Mapping[int, int]) -> dict[str, float | None]:
    return {
        "rank": link.rank,
        "weight": link.weight,
        "contribution": link.contribution,
        "share": link.share,
        "t": position[link.target.frame],
        "x": float(link.target.x),
        "y": float(link.target.y),
    }


def _place(said: Mapping[str, Any], view: View) -> Place | None:
    """The place of an act, inside the frame; None where it makes no sense."""
    token, t, region = said.get("token"), said.get("t"), said.get("region")
    if isinstance(token, str):
        return token
    if not _is_number(t) or not 0 <= t < len(view.frames):
        return None
    frame = view.frames[int(t)]
    if region is None:
        at = _corner((said.get("x"), said.get("y")), view, 0.01)
        return None if at is None else Point(frame, *at)
    if not isinstance(region, Sequence) or not 3 <= len(region) <= MOST_CORNERS:
        return None
    corners = [_corner(corner, view, 0) for corner in region]
    return None if None in corners else Region(frame, tuple(filter(None, corners)))


def _corner(said: object, view: View, margin: float) -> tuple[float, float] | None:
    """To a hundredth of a pixel, so that the command line shown beside is short."""
    if not isinstance(said, Sequence) or len(said) != 2 or not all(map(_is_number, said)):
        return None
    x, y = (
        min(max(round(float(at), 2), 0.0), end - margin)
        for at, end in zip(said, view.source, strict=True)
    )
    return x, y


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value)
