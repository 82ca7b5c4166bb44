"""What is on screen as the query string of the page: short, readable, and of bounded length.

``clip=ball.mp4&frames=8&model=nl-lite0&size=640&block=nl5&pin=8,156,196&pin=9,20,30,60,80~paw``

A pin is ``frame,x,y``, a box ``frame,x0,y0,x1,y1``, an outline with more corners, or
``token:class``, each with ``~`` and its name. Options that have their usual value are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from urllib.parse import urlencode

import cv2
import numpy as np

from nlviz.app.choice import Asked, Choice, ClipPart
from nlviz.app.media_folder import PREFIX
from nlviz.geometry import Point, Region
from nlviz.heat.colormap import PALETTE
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pin, Pins, Place

LONGEST = 4000
"""Characters that are written at most; servers take at least twice as many."""

TOKEN = "token:"
NO_PIN = "none"
_READABLE = ",:~@/"  # may stand in a query string as they are
OPTION_TYPES: dict[str, type] = {
    each.name: {"block": str, "head": int}.get(each.name, type(each.default))
    for each in fields(Options)
}


@dataclass(frozen=True, slots=True)
class Address:
    """What an address holds.

    Args:
        clip: file name of a sample or of an upload; empty where nothing is said.
        digest: tells whether a file is the upload; empty for a sample.
        part: which frames.
        model: the network's name, or empty.
        size: of its input, or None.
        options: the viewer's.
        pins: in their order; None where nothing is said of them.
        asked: of a vision-language model, or None.
        layer: whose similarity is one more block, or empty.
    """

    clip: str = ""
    digest: str = ""
    part: ClipPart = field(default_factory=ClipPart)
    model: str = ""
    size: int | None = None
    options: Options = field(default_factory=Options)
    pins: tuple[Pin, ...] | None = None
    asked: Asked | None = None
    layer: str = ""

    @classmethod
    def of(cls, choice: Choice, pins: Pins, options: Options) -> Address:
        """The address of what is on screen."""
        material = choice.material
        return cls(
            PREFIX + material.served if material.served else material.name,
            material.digest,
            choice.part,
            choice.network,
            choice.size,
            options,
            pins.shown,
            choice.asked,
            choice.layer,
        )


def write(address: Address) -> str:
    """The query string; at most ``LONGEST`` characters, see ``shortened``."""
    return _text(shortened(address))


def shortened(address: Address) -> Address:
    """The address as it is written: the same, unless it would be too long.

    Then outlines lose corners, as few as need be, then pins their names, and what was asked goes.
    """
    pins, tolerance = address.pins or (), 0.25
    while len(_text(address)) > LONGEST and tolerance < 2**16:
        tolerance *= 2
        coarse = tuple(replace(pin, point=_coarser(pin.point, tolerance)) for pin in pins)
        address = replace(address, pins=coarse)
    if len(_text(address)) > LONGEST:
        address = replace(address, pins=tuple(replace(pin, name="") for pin in address.pins or ()))
    return replace(address, asked=None) if len(_text(address)) > LONGEST else address


def _text(address: Address) -> str:
    return urlencode(list(_parts(address)), safe=_READABLE)


def _parts(address: Address) -> Iterator[tuple[str, str]]:
    if address.clip:
        yield ("upload" if address.digest else "clip"), address.clip
    if address.digest:
        yield "sum", address.digest
    part, usual = address.part, ClipPart()
    yield "frames", str(part.frames)
    if part.stride is not None:
        yield "stride", str(part.stride)
    if part.start != usual.start:
        yield "start", str(part.start)
    if address.model:
        yield "model", address.model
    if address.size is not None:
        yield "size", str(address.size)
    if address.asked is not None:
        yield "ask", address.asked.question
        yield "answer", address.asked.answer
    if address.layer:
        yield "features", address.layer
    plain = Options()
    for name in OPTION_TYPES:
        value = getattr(address.options, name)
        if value != getattr(plain, name):
            yield name, _written(value)
    if address.pins is not None:
        yield from _pin_parts(address.pins)


def _pin_parts(pins: Sequence[Pin]) -> Iterator[tuple[str, str]]:
    if not pins:
        yield "pin", NO_PIN
    for pin in pins:
        yield "pin", _where(pin.point) + (f"~{pin.name}" if pin.name else "")
    if tuple(pin.color for pin in pins) != PALETTE[: len(pins)]:
        yield "hues", "".join(str(PALETTE.index(pin.color)) for pin in pins)


def _where(place: Place) -> str:
    if isinstance(place, str):
        return TOKEN + place.replace("%", "%25").replace("~", "%7E")
    if isinstance(place, Point):
        numbers: Sequence[float] = (place.x, place.y)
    elif _is_box(place):
        numbers = (*place.outline[0], *place.outline[2])
    else:
        numbers = [number for corner in place.outline for number in corner]
    return ",".join([str(place.frame), *map(_written, numbers)])


def _is_box(region: Region) -> bool:
    if len(region.outline) != 4:
        return False
    begin, _, end, _ = region.outline
    return Region.box(region.frame, *begin, *end).outline == region.outline


def _coarser(place: Place, tolerance: float) -> Place:
    """An outline with corners left out that change it by less than that many pixels."""
    if not isinstance(place, Region) or _is_box(place):
        return place
    corners = np.array(place.outline, np.float32)
    kept = cv2.approxPolyDP(corners, tolerance, closed=True)[:, 0]
    if len(kept) < 3:
        return Region.box(place.frame, *place.bounds)
    return Region(place.frame, tuple((float(round(x)), float(round(y))) for x, y in kept))


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
