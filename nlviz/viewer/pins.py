"""Pins: the places a visitor keeps, with colours and an undo; immutable."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from nlviz.display import one_line
from nlviz.errors import QueryError
from nlviz.geometry import Point, Region, View
from nlviz.heat.colormap import PALETTE

MOST = len(PALETTE)
_REMEMBERED = 50
_LONGEST_NAME = 40

Place = Point | Region | str
"""A point, a region, or a token by its name."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A place that stays.

    Args:
        id: what the page calls it.
        color: ``#RRGGBB``.
        point: a point or a region of the source, or a token by its name.
        name: what the visitor called it; empty until then.
    """

    id: str
    color: str
    point: Place
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pins:
    """At most eight pins, and what they were before each change; every change gives new ``Pins``.

    Args:
        shown: the pins in the order they were placed.
        before: earlier ``shown``, oldest first.
        after: later ``shown`` that ``undo`` took back, the next one last.
        made: how many were ever placed: no id is used twice.
    """

    shown: tuple[Pin, ...] = ()
    before: tuple[tuple[Pin, ...], ...] = ()
    after: tuple[tuple[Pin, ...], ...] = ()
    made: int = 0

    @classmethod
    def of(cls, shown: tuple[Pin, ...]) -> Pins:
        """These pins, as if they had been placed one after the other."""
        before = tuple(shown[:count] for count in range(len(shown)))
        return cls(shown, before, made=len(shown))

    def add(self, point: Place) -> Pins:
        """Add a pin in the first free colour; unchanged if there are eight."""
        used = {pin.color for pin in self.shown}
        free = [colour for colour in PALETTE if colour not in used]
        if not free:
            return self
        pin = Pin(f"pin-{self.made + 1}", free[0], point)
        return replace(self._changed((*self.shown, pin)), made=self.made + 1)

    def remove(self, id: str) -> Pins:
        """Without the pin of that id; unchanged where there is none."""
        rest = tuple(pin for pin in self.shown if pin.id != id)
        return self if len(rest) == len(self.shown) else self._changed(rest)

    def rename(self, id: str, name: str) -> Pins:
        """With another name for a pin, at most 40 signs that show; unchanged without such a pin."""
        name = one_line(name, _LONGEST_NAME)
        named = tuple(replace(pin, name=name) if pin.id == id else pin for pin in self.shown)
        return self if named == self.shown else self._changed(named)

    def move(self, id: str, to: int) -> Pins:
        """With a pin elsewhere in the order; unchanged without such a pin or place."""
        moved = [pin for pin in self.shown if pin.id == id]
        rest = [pin for pin in self.shown if pin.id != id]
        if not moved or not 0 <= to <= len(rest):
            return self
        order = (*rest[:to], *moved, *rest[to:])
        return self if order == self.shown else self._changed(order)

    def clear(self) -> Pins:
        """Without any pin; ``undo`` brings them back."""
        return self._changed(()) if self.shown else self

    def undo(self) -> Pins:
        """As before the last change; unchanged where there was none."""
        if not self.before:
            return self
        *before, shown = self.before
        after = (*self.after, self.shown)
        return replace(self, shown=shown, before=tuple(before), after=after)

    def redo(self) -> Pins:
        """As before the last ``undo``; unchanged where there was none since the last change."""
        if not self.after:
            return self
        *after, shown = self.after
        before = (*self.before, self.shown)
        return replace(self, shown=shown, before=before, after=tuple(after))

    def kept(self, view: View) -> Pins:
        """The pins whose places the view still has, now and in what can be undone and redone."""
        return replace(
            self,
            shown=_there(self.shown, view),
            before=tuple(_there(pins, view) for pins in self.before),
            after=tuple(_there(pins, view) for pins in self.after),
        )

    def fitting(self, view: View, tokens: Collection[str]) -> tuple[Pins, tuple[str, ...]]:
        """The pins that an analysis has places for, and a sentence for each that it has not."""
        kept, problems = [], []
        for number, pin in enumerate(self.shown, start=1):
            try:
                if not isinstance(pin.point, str):
                    view.check(pin.point)
                elif pin.point not in tokens:
                    raise QueryError(
                        f"There is no token '{pin.point:.40}'; "
                        f"choose one of {', '.join(tokens) or 'the places of a frame'}."
                    )
                kept.append(pin)
            except QueryError as error:
                problems.append(f"{pin.name or f'Pin {number}'} is left out. {error}")
        return replace(self, shown=tuple(kept)), tuple(problems)

    def _changed(self, shown: tuple[Pin, ...]) -> Pins:
        before = (*self.before, self.shown)[-_REMEMBERED:]
        return replace(self, shown=shown, before=before, after=())


def _there(pins: Iterable[Pin], view: View) -> tuple[Pin, ...]:
    return tuple(pin for pin in pins if _has(view, pin.point))


def _has(view: View, place: Place) -> bool:
    """A token is kept: another block or network may have it again."""
    if isinstance(place, str):
        return True
    try:
        view.check(place)
    except QueryError:
        return False
    return True
