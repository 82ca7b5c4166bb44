"""Messages: the scene that Python sends the viewer beside the blobs, with exact links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.errors import QueryError
from nlviz.geometry import Region
from nlviz.query import Exclude, Link, Query, RankBy
from nlviz.viewer.options import Options
from nlviz.viewer.pins import MOST, Pin, Pins


@dataclass(frozen=True, slots=True)
class SceneLink:
    """A link's end: position of its frame among those shown, source pixels."""

    rank: int
    weight: float
    contribution: float | None
    share: float
    t: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Exact:
    """The exact links of a pin, the question that they answer, and the share they cover."""

    block: str
    k: int
    exclude: Exclude
    head: int | None
    reverse: bool
    rank_by: RankBy
    links: tuple[SceneLink, ...]
    covered: float


@dataclass(frozen=True, slots=True)
class ScenePin:
    """A pin: at a point or in the middle of a region of frame t, or a token, which is nowhere."""

    id: str
    color: str
    name: str
    t: int | None
    x: float | None
    y: float | None
    region: tuple[tuple[float, float], ...] | None
    token: str | None
    exact: Exact | None


@dataclass(frozen=True, slots=True)
class Can:
    """What can be done: with the pins, and whether ``blobs.sizes_blob`` can come."""

    undo: bool = False
    redo: bool = False
    rank: bool = False

    @classmethod
    def of(cls, pins: Pins, *, rank: bool) -> Can:
        """With pins and their history."""
        return cls(bool(pins.before), bool(pins.after), rank)


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the viewer needs beside the blobs.

    Args:
        clip: the tag of the clip's blob.
        blocks: those of the blocks' blobs.
        pins: in the order they were placed.
        options: as they were chosen; the viewer fits them to a block as ``fitting`` does.
        max_pins: how many pins there can be.
        can: what can be done.
        mask: the tag of a mask that lies over the frames.
        components: the tag of colours that lie over them while nothing is pointed at.
        notice: a sentence for the person.
    """

    clip: str
    blocks: tuple[str, ...]
    pins: tuple[ScenePin, ...]
    options: Options
    max_pins: int
    can: Can
    mask: str | None
    components: str | None
    notice: str | None

    @classmethod
    def of(
        cls,
        analysis: Analysis,
        tags: tuple[str, ...],
        links: Mapping[Pin, tuple[Link, ...]],
        options: Options,
        *,
        can: Can = Can(),
        mask: str | None = None,
        components: str | None = None,
        notice: str | None = None,
    ) -> Scene:
        """Pins with their links; ``tags`` are the clip's and each block's."""
        position = {frame: t for t, frame in enumerate(analysis.view.frames)}
        fitted = options.fitting(analysis)
        pins = tuple(_pin(pin, found, fitted, position) for pin, found in links.items())
        return cls(tags[0], tags[1:], pins, options, MOST, can, mask, components, notice)

    def json(self) -> dict[str, Any]:
        """As plain lists and dictionaries."""
        plain: dict[str, Any] = _plain(self)
        return plain


Ask = Callable[[Analysis, Query], tuple[Link, ...]]


def query_of(analysis: Analysis, pin: Pin, options: Options) -> Query:
    """What a pin asks under the options."""
    options = options.fitting(analysis)
    return Query(
        pin.point,
        options.block or analysis.default_block,
        options.k,
        options.exclude,
        head=options.head,
        reverse=options.reverse,
        rank_by=options.rank_by,
    )


def links_of(
    analysis: Analysis, pin: Pin, options: Options, ask: Ask = top_links
) -> tuple[Link, ...]:
    """The exact links of a pin; none where there can be none, and the viewer says why.

    ``ask`` gives a query's links: ``top_links``, or what keeps its answers.
    """
    try:
        return ask(analysis, query_of(analysis, pin, options))
    except QueryError:
        return ()


def _pin(
    pin: Pin, found: tuple[Link, ...], options: Options, position: Mapping[int, int]
) -> ScenePin:
    exact = Exact(
        block=options.block or "",
        k=options.k,
        exclude=options.exclude,
        head=options.head,
        reverse=options.reverse,
        rank_by=options.rank_by,
        links=tuple(_link(link, position) for link in found),
        covered=sum(link.share for link in found),
    )
    place = pin.point
    if isinstance(place, str):
        return ScenePin(pin.id, pin.color, pin.name, None, None, None, None, place, exact)
    region = place.outline if isinstance(place, Region) else None
    point = place.centre if isinstance(place, Region) else place
    t, x, y = position[point.frame], float(point.x), float(point.y)
    return ScenePin(pin.id, pin.color, pin.name, t, x, y, region, None, exact)


def _link(link: Link, position: Mapping[int, int]) -> SceneLink:
    return SceneLink(
        rank=link.rank,
        weight=link.weight,
        contribution=link.contribution,
        share=link.share,
        t=position[link.target.frame],
        x=float(link.target.x),
        y=float(link.target.y),
    )


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
