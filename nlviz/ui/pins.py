"""Pins: the places a visitor keeps, with colours and an undo; immutable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nlviz.errors import QueryError
from nlviz.geometry import Grid, Point, View

# Okabe and Ito's palette, which colour-blind people can tell apart, and white.
COLOURS = (
    *("#E69F00", "#56B4E9", "#009E73", "#F0E442"),
    *("#0072B2", "#D55E00", "#CC79A7", "#FFFFFF"),
)
MOST = len(COLOURS)
_REMEMBERED = 50


@dataclass(frozen=True, slots=True)
class Pin:
    """A place that stays: its name, its colour (``#RRGGBB``) and its point in the source."""

    id: str
    color: str
    point: Point


@dataclass(frozen=True, slots=True)
class Pins:
    """At most eight pins, and what they were before each change; every change gives new ``Pins``.

    Args:
        shown: the pins in the order they were placed.
        before: earlier ``shown``, oldest first.
        made: how many were ever placed: no name is used twice.
    """

    shown: tuple[Pin, ...] = ()
    before: tuple[tuple[Pin, ...], ...] = ()
    made: int = 0

    def add(self, point: Point) -> Pins:
        """One pin more, in the first free colour; unchanged where eight are placed."""
        used = {pin.color for pin in self.shown}
        free = [colour for colour in COLOURS if colour not in used]
        if not free:
            return self
        pin = Pin(f"pin-{self.made + 1}", free[0], point)
        return replace(self._changed((*self.shown, pin)), made=self.made + 1)

    def remove(self, name: str) -> Pins:
        """Without the pin of that name; unchanged where there is none."""
        rest = tuple(pin for pin in self.shown if pin.id != name)
        return self if len(rest) == len(self.shown) else self._changed(rest)

    def clear(self) -> Pins:
        """Without any pin; ``undo`` brings them back."""
        return self._changed(()) if self.shown else self

    def undo(self) -> Pins:
        """As before the last change; unchanged where there was none."""
        if not self.before:
            return self
        return replace(self, shown=self.before[-1], before=self.before[:-1])

    def kept(self, view: View) -> Pins:
        """The pins whose points the view still has, now and in what ``undo`` brings back."""
        return replace(
            self,
            shown=_there(self.shown, view),
            before=tuple(_there(pins, view) for pins in self.before),
        )

    def _changed(self, shown: tuple[Pin, ...]) -> Pins:
        return replace(self, shown=shown, before=(*self.before, self.shown)[-_REMEMBERED:])


def _there(pins: Iterable[Pin], view: View) -> tuple[Pin, ...]:
    return tuple(pin for pin in pins if _has(view, pin.point))


def _has(view: View, point: Point) -> bool:
    try:
        view.cell(point, Grid(1, 1, 1))
    except QueryError:
        return False
    return True
