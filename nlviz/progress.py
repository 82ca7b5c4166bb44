"""Progress: how far a long piece of work is, told to whoever asked."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with a fraction from 0 to 1 and a word on what is being done; what it raises stops it."""


def silent(fraction: float, what: str) -> None:
    """Progress for those who did not ask for any."""


def part_of(report: Progress, start: float, end: float, before: str = "") -> Progress:
    """Progress of a part of some work: 0 to 1 of it are ``start`` to ``end`` of the whole.

    ``before`` stands in front of its words.
    """

    def told(fraction: float, what: str) -> None:
        report(start + (end - start) * fraction, before + what)

    return told
