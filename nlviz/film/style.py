"""Style: how a film looks and how fast it runs, as all kinds of film are told it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nlviz.analysis import Analysis
from nlviz.errors import ExportError
from nlviz.film import ink
from nlviz.film.film import Film
from nlviz.film.query_heat import QueryHeat
from nlviz.film.sheet import Picture, Sheet
from nlviz.heat.overlay import Shade
from nlviz.provenance import Provenance
from nlviz.query import Query

SHADE = Shade(opacity=0.7)
"""As the viewer begins."""


def check_rate(rate: float | None) -> None:
    """ExportError for pictures a second out of range; None is what is usual."""
    if rate is not None and not 0.5 <= rate <= 60:
        raise ExportError(f"The frame rate must be 0.5 to 60 per second; got {rate:g}.")


@dataclass(frozen=True, slots=True)
class FilmStyle:
    """How a film looks and how fast it runs; ``play`` says what each is.

    Args:
        width: of the picture in pixels, or None.
        rate: pictures a second, or None for what is usual for the kind of film.
        shade: how weights become colours.
        palette: the colours of the queries, ``#RRGGBB``.
        comment: kept in the file; the ``Provenance`` as JSON if None.
    """

    width: int | None
    rate: float | None
    shade: Shade
    palette: Sequence[str]
    comment: str | None

    def check(self, queries: Sequence[Query]) -> None:
        """ExportError for no query, more than there are colours, or a rate out of range."""
        for colour in self.palette:
            if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
                raise ExportError(f"{colour!r} is not a film's colour; write it as #E69F00.")
        if not 1 <= len(queries) <= len(self.palette):
            raise ExportError(f"A film shows 1 to {len(self.palette)} queries; got {len(queries)}.")
        check_rate(self.rate)

    @property
    def colours(self) -> list[ink.Colour]:
        """Of the queries, as they are painted."""
        return [ink.colour(name) for name in self.palette]

    def speed(self, usual: Fraction) -> Fraction:
        """Pictures a second."""
        return usual if self.rate is None else Fraction(self.rate)

    def sheet(self, analysis: Analysis, positions: Sequence[int]) -> Sheet:
        """Where those frames of the clip lie; ExportError."""
        return Sheet.of(analysis.clip, tuple(positions), self.width)

    def heat(self, analysis: Analysis, query: Query) -> QueryHeat:
        """The heat of a query and of others like it; QueryError."""
        return QueryHeat.of(analysis, query, self.shade)

    def film(
        self,
        count: int,
        speed: Fraction,
        draw: Callable[[int], Picture],
        analysis: Analysis,
        asked: Sequence[Query],
    ) -> Film:
        """The film of those pictures, with how it was made."""
        said = Provenance.of(analysis, asked).json if self.comment is None else self.comment
        return Film(count, speed, draw, said)
