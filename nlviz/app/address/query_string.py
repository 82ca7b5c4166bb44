"""Address: what is on screen as the query string of the page, short and readable, and again.

``clip=ball.mp4&frames=8&model=nl-lite0&size=640&block=nl5&pin=8,156,196&pin=9,20,30,60,80~paw``

A pin is ``frame,x,y``, a box ``frame,x0,y0,x1,y1``, an outline with more corners, or
``token:class``, each with ``~`` and its name. Options that have their usual value are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from urllib.parse import urlencode

import cv2
import numpy as np

from nlviz.app.choice import Choice, ClipPart
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.heat.colormap import PALETTE
from nlviz.viewer.messages import MOST_CORNERS, Options
from nlviz.viewer.pins import MOST, Pin, Pins, Place

LONGEST = 4000
"""Characters that are written at most; servers take at least twice as many."""

_VERSION = 1
_TOKEN = "token:"
_NO_PIN = "none"
_NUMERIC = 24  # characters of a number
_READABLE = ",:~@/"  # may stand in a query string as they are
_TYPES: dict[str, type] = {
    each.name: {"block": str, "head": int}.get(each.name, type(each.default))
    for each in fields(Options)
}


@dataclass(frozen=True, slots=True)
class Address:
    """What an address holds.

    Args:
        clip: file name of a bundled clip or of an upload; empty where nothing is said.
        digest: tells whether a file is the upload; empty for a bundled clip.
        part: which frames.
        model: the network's name, or empty.
        size: of its input, or None.
        options: the viewer's.
        pins: in their order; None where nothing is said of them.
    """

    clip: str = ""
    digest: str = ""
    part: ClipPart = field(default_factory=ClipPart)
    model: str = ""
    size: int | None = None
    options: Options = field(default_factory=Options)
    pins: tuple[Pin, ...] | None = None

    @classmethod
    def of(cls, choice: Choice, pins: Pins, options: Options) -> Address:
        """The address of what is on screen."""
        material = choice.material
        return cls(
            material.name,
            material.digest,
            choice.part,
            choice.model,
            choice.size,
            options,
            pins.shown,
        )


def write(address: Address) -> str:
    """The query string; at most ``LONGEST`` characters, see ``shortened``."""
    return _text(shortened(address))


def shortened(address: Address) -> Address:
    """The address as it is written: the same, unless it would be too long.

    Then outlines lose corners, as few as need be, and then pins their names.
    """
    pins, tolerance = address.pins or (), 0.25
    while len(_text(address)) > LONGEST and tolerance < 2**16:
        tolerance *= 2
        coarse = tuple(replace(pin, point=_coarser(pin.point, tolerance)) for pin in pins)
        address = replace(address, pins=coarse)
    if len(_text(address)) > LONGEST:
        address = replace(address, pins=tuple(replace(pin, name="") for pin in address.pins or ()))
    return address


def read(said: Mapping[str, Sequence[str]]) -> tuple[Address, tuple[str, ...]]:
    """The address of a query string's parts, and a sentence for each that makes no sense.

    What makes no sense is left out; parts of other names are not looked at.
    """
    reader = _Reader(said)
    return reader.address(), tuple(reader.problems)


class _Reader:
    def __init__(self, said: Mapping[str, Sequence[str]]) -> None:
        self._said = said
        self.problems: list[str] = []

    def address(self) -> Address:
        version = self._number("v", 1)
        if version is not None and version > _VERSION:
            self.problems.append(
                f"The address was written by a newer nlviz (v={version}); what this one "
                "understands of it is shown."
            )
        usual = ClipPart()
        part = ClipPart(
            self._number("start", 0) or usual.start,
            self._number("frames", 1) or usual.frames,
            self._number("stride", 1),
        )
        return Address(
            clip=self._last("clip") or self._last("upload") or "",
            digest=(self._last("sum") or "") if not self._last("clip") else "",
            part=part,
            model=self._last("model") or "",
            size=self._number("size", 1),
            options=self._options(),
            pins=self._pins(),
        )

    def _last(self, name: str) -> str | None:
        """What is said of a name; the last one counts."""
        values = self._said.get(name) or (None,)
        return values[-1]

    def _number(self, name: str, least: int) -> int | None:
        text = self._last(name)
        if text is None:
            return None
        number = _whole(text)
        if number is None or number < least:
            self._wrong(name, text, f"a whole number from {least}")
            return None
        return number

    def _options(self) -> Options:
        options = Options()
        for name, kind in _TYPES.items():
            text = self._last(name)
            if text is None:
                continue
            value = _as(kind, text)
            changed = options if value is None else options.changed({name: value})
            if value is None or getattr(changed, name) != value:
                self._wrong(name, text, "a value that the viewer has")
            else:
                options = changed
        return options

    def _pins(self) -> tuple[Pin, ...] | None:
        texts = self._said.get("pin")
        if not texts:
            return None
        if list(texts) == [_NO_PIN]:
            return ()
        if len(texts) > MOST:
            self.problems.append(f"The address holds {len(texts)} pins; the first {MOST} are read.")
        pins = Pins()
        for text in texts[:MOST]:
            where, _, name = text.partition("~")
            place = _place(where)
            if place is None:
                self._wrong("pin", text, "frame,x,y or frame,x0,y0,x1,y1 or token:NAME")
            else:
                pins = pins.add(place)
                pins = pins.rename(pins.shown[-1].id, name)
        return self._coloured(pins.shown)

    def _coloured(self, pins: tuple[Pin, ...]) -> tuple[Pin, ...]:
        text = self._last("hues")
        if text is None or not pins:
            return pins
        digits = [int(digit) for digit in text[:MOST] if digit in "01234567"]
        if len(set(digits)) != len(pins) or len(text) != len(pins):
            self._wrong("hues", text, f"{len(pins)} different digits from 0 to {MOST - 1}")
            return pins
        return tuple(
            replace(pin, color=PALETTE[digit]) for pin, digit in zip(pins, digits, strict=True)
        )

    def _wrong(self, name: str, text: str, wanted: str) -> None:
        said = text if len(text) <= 40 else f"{text[:40]}…"
        self.problems.append(
            f"The address says {name}={said}, which is not {wanted}; it is left out."
        )


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
    plain = Options()
    for name in _TYPES:
        value = getattr(address.options, name)
        if value != getattr(plain, name):
            yield name, _written(value)
    if address.pins is not None:
        yield from _pin_parts(address.pins)


def _pin_parts(pins: Sequence[Pin]) -> Iterator[tuple[str, str]]:
    if not pins:
        yield "pin", _NO_PIN
    for pin in pins:
        yield "pin", _where(pin.point) + (f"~{pin.name}" if pin.name else "")
    if tuple(pin.color for pin in pins) != PALETTE[: len(pins)]:
        yield "hues", "".join(str(PALETTE.index(pin.color)) for pin in pins)


def _where(place: Place) -> str:
    if isinstance(place, str):
        return _TOKEN + place.replace("%", "%25").replace("~", "%7E")
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


def _place(text: str) -> Place | None:
    if text.startswith(_TOKEN):
        return text.removeprefix(_TOKEN).replace("%7E", "~").replace("%25", "%") or None
    if len(text) > _NUMERIC * (2 * MOST_CORNERS + 1):
        return None
    frame, *rest = text.split(",")
    at, numbers = _whole(frame), [number for number in map(_real, rest) if number is not None]
    if at is None or at < 0 or len(numbers) != len(rest) or len(numbers) % 2:
        return None
    corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    try:
        match len(corners):
            case 0:
                return None
            case 1:
                return Point(at, *corners[0])
            case 2:
                return Region.box(at, *corners[0], *corners[1])
            case count:
                return Region(at, corners) if count <= MOST_CORNERS else None
    except QueryError:
        return None


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


def _as(kind: type, text: str) -> object:
    """A text as a truth, a number or a word; None where it is none."""
    if kind is bool:
        return {"0": False, "1": True}.get(text)
    if kind is int:
        return _whole(text)
    return _real(text) if kind is float else text


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _real(text: str) -> float | None:
    try:
        number = float(text) if len(text) <= _NUMERIC else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
