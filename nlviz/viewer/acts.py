"""Acts: what a person did with the pins, as the viewer tells it; checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from nlviz.geometry import Point, Region, View
from nlviz.viewer.options import is_number
from nlviz.viewer.pins import Pins, Place

MOST_CORNERS = 400


class AddPoint(TypedDict):
    """A pin at a point: position of the frame among those shown, source pixels."""

    type: Literal["add"]
    t: int
    x: float
    y: float


class AddRegion(TypedDict):
    """A pin around a region: its outline on one frame."""

    type: Literal["add"]
    t: int
    region: list[tuple[float, float]]


class AddToken(TypedDict):
    """A pin at a token, by its name."""

    type: Literal["add"]
    token: str


class Remove(TypedDict):
    """A pin goes."""

    type: Literal["remove"]
    id: str


class Rename(TypedDict):
    """A pin gets another name."""

    type: Literal["rename"]
    id: str
    name: str


class Move(TypedDict):
    """A pin goes to another place of the list."""

    type: Literal["move"]
    id: str
    to: int


class Turn(TypedDict):
    """The list as it was before, as it was before the last undo, or empty."""

    type: Literal["undo", "redo", "clear"]


Act = AddPoint | AddRegion | AddToken | Remove | Rename | Move | Turn


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
            return pins.move(str(said.get("id")), int(to)) if is_number(to) else pins
        case "undo":
            return pins.undo()
        case "redo":
            return pins.redo()
        case "clear":
            return pins.clear()
        case _:
            return pins


def _place(said: Mapping[str, Any], view: View) -> Place | None:
    """The place of an act, inside the frame; None where it makes no sense."""
    token, t, region = said.get("token"), said.get("t"), said.get("region")
    if isinstance(token, str):
        return token
    if not is_number(t) or not 0 <= t < len(view.frames):
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
    if not isinstance(said, Sequence) or len(said) != 2 or not all(map(is_number, said)):
        return None
    x, y = (
        min(max(round(float(at), 2), 0.0), end - margin)
        for at, end in zip(said, view.source, strict=True)
    )
    return x, y
