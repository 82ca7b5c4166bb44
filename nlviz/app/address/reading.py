"""Read the query string of an address; a sentence for each part that makes no sense."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nlviz.app.address.query_string import NO_PIN, OPTION_TYPES, TOKEN, Address
from nlviz.app.choice import LONGEST_LAYER, LONGEST_TEXT, Asked, ClipPart
from nlviz.display import one_line
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.heat.colormap import PALETTE
from nlviz.viewer.acts import MOST_CORNERS
from nlviz.viewer.options import Options
from nlviz.viewer.pins import MOST, Pin, Pins, Place

_VERSION = 1
_NUMERIC = 24  # characters of a number


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
                f"The address was written by a newer nlviz (v={version}); this one "
                "shows what it understands of it."
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
            asked=self._asked(),
            layer=one_line(self._last("features") or "", LONGEST_LAYER),
            options=self._options(),
            pins=self._pins(),
        )

    def _asked(self) -> Asked | None:
        said = [one_line(self._last(name) or "", LONGEST_TEXT) for name in ("ask", "answer")]
        return Asked(*said) if all(said) else None

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
        for name, kind in OPTION_TYPES.items():
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
        if list(texts) == [NO_PIN]:
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


def _place(text: str) -> Place | None:
    if text.startswith(TOKEN):
        return text.removeprefix(TOKEN).replace("%7E", "~").replace("%25", "%") or None
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
