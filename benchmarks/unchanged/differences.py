"""Two sets of facts held against each other: the same, or by how much they differ.

A fact has a name, "thing: of what", and is an array, a picture among them, or a text. Arrays are
the same if type, shape and every number are. Texts that are JSON differ by their numbers, if by
nothing else; other texts by their first line that does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

Facts = Mapping[str, Any]

_APART, _BOXES = 24, 8  # rows between two boxes of a picture's differences, and how many are told


@dataclass(frozen=True, slots=True)
class Line:
    """One thing: how many facts there are of it, and what is said of each that differs."""

    thing: str
    facts: int
    differing: tuple[str, ...]

    def __str__(self) -> str:
        if not self.differing:
            return f"{self.thing:44} {self.facts:5}  same"
        first, *more = self.differing
        rest = f"  (and {len(more)} more)" if more else ""
        return f"{self.thing:44} {self.facts:5}  {len(self.differing)} differ: {first}{rest}"


def compare(before: Facts, after: Facts) -> tuple[Line, ...]:
    """A line for each thing, in the order in which things were told."""
    found: dict[str, list[str | None]] = {}
    for name in dict.fromkeys([*before, *after]):
        thing, _, what = name.partition(": ")
        said = _missing(name, before, after) or difference(before[name], after[name])
        found.setdefault(thing, []).append(said and f"{what}: {said}")
    return tuple(
        Line(thing, len(said), tuple(each for each in said if each))
        for thing, said in found.items()
    )


def _missing(name: str, before: Facts, after: Facts) -> str | None:
    if name in before and name in after:
        return None
    return "only after" if name in after else "only before"


def difference(before: Any, after: Any) -> str | None:
    """What differs; None where nothing does."""
    one, two = np.asarray(before), np.asarray(after)
    if one.dtype.kind == two.dtype.kind == "U":
        return None if str(before) == str(after) else _of_texts(str(before), str(after))
    if one.shape != two.shape or one.dtype != two.dtype:
        return f"{one.dtype}{one.shape} and {two.dtype}{two.shape}"
    if np.array_equal(one, two, equal_nan=one.dtype.kind == "f"):
        return None
    apart = np.abs(one.astype(np.float64) - two.astype(np.float64))
    if one.dtype == np.uint8 and one.ndim >= 3:
        return _of_pictures(apart)
    return (
        f"largest difference {np.nanmax(apart):.3g} of numbers up to {np.nanmax(np.abs(one)):.3g}"
    )


def _of_pictures(apart: np.ndarray) -> str:
    """How many pixels of pictures (…, H, W, channels) differ, by how much, and where."""
    where = apart.max(axis=-1) > 0
    plane = where.reshape(-1, *where.shape[-2:]).any(axis=0)
    rows = np.flatnonzero(plane.any(axis=1))
    boxes = []
    for band in np.split(rows, np.flatnonzero(np.diff(rows) > _APART) + 1):
        cols = np.flatnonzero(plane[band].any(axis=0))
        boxes.append(f"x {cols[0]}-{cols[-1]} y {band[0]}-{band[-1]}")
    more = f" and {len(boxes) - _BOXES} more" if len(boxes) > _BOXES else ""
    size = f"{where.sum()} of {where.size} pixels, by up to {apart.max():.0f} of 255"
    return f"{size}: {', '.join(boxes[:_BOXES])}{more}"


def _of_texts(before: str, after: str) -> str:
    try:
        one, two = (list(_leaves(json.loads(text))) for text in (before, after))
    except ValueError:
        return _first_line(before, after)
    if (places := [place for place, _ in one]) != (others := [place for place, _ in two]):
        apart = [pair for pair in zip_longest(places, others) if pair[0] != pair[1]]
        return "{} before, {} after".format(*apart[0])
    pairs = [(place, a, b) for (place, a), (_, b) in zip(one, two, strict=True) if str(a) != str(b)]
    numbers = [(abs(a - b), place) for place, a, b in pairs if _is_number(a) and _is_number(b)]
    words = [each for each in pairs if not (_is_number(each[1]) and _is_number(each[2]))]
    said = ["largest difference {:.3g}, at {}".format(*max(numbers))] if numbers else []
    said += [f"{place} {a!r:.80} before, {b!r:.80} after" for place, a, b in words[:1]]
    return "; ".join(said) + f"; {len(numbers)} numbers and {len(words)} words of {len(one)} differ"


def _first_line(before: str, after: str) -> str:
    one, two = before.splitlines(), after.splitlines()
    for number, (a, b) in enumerate(zip(one, two, strict=False), start=1):
        if a != b:
            at = next((i for i, (c, d) in enumerate(zip(a, b, strict=False)) if c != d), 0)
            one_part, two_part = (line[max(at - 30, 0) : at + 60] for line in (a, b))
            return f"line {number}: …{one_part!r} before, …{two_part!r} after"
    return f"{len(one)} lines before, {len(two)} after"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each value of a JSON text that holds no others, and where it stands."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _leaves(each, f"{place}[{number}]")
    else:
        yield place, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
