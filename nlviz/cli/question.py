"""Question: which links of which clip, as a command was given it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields

from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.query import Baseline, Exclude, RankBy


@dataclass(frozen=True, slots=True)
class Question:
    """What ``add_question`` adds to a parser, read.

    Args:
        input: the clip or the session file.
        at: the places, regions and tokens that are asked about.
        reverse, head, block, k, exclude, rank: as for ``Query``; None for what is usual.
        model, weights, device: as for ``nlviz.load``.
        baseline: what is asked instead of the block, or None.
        frames, stride, start: which frames are sampled.
        size: longer side of the network's input, or None.
        typed: the whole command, as it was typed.
    """

    input: str
    at: tuple[Point | Region | str, ...]
    reverse: bool
    head: int | None
    block: str | None
    model: str
    weights: str | None
    k: int
    exclude: Exclude | None
    rank: RankBy
    baseline: Baseline | None
    frames: int | None
    stride: int | None
    start: int
    size: int | None
    device: str
    typed: str

    @classmethod
    def of(cls, options: argparse.Namespace) -> Question:
        """From what the parser made of a command."""
        given = {each.name: getattr(options, each.name) for each in fields(cls)}
        return cls(**{**given, "at": tuple(options.at or ())})

    @property
    def of_session(self) -> bool:
        """Whether the input is a session file, by its ending."""
        return self.input.lower().endswith(".nlviz")

    def check_asked(self) -> None:
        """QueryError where no place is asked about; a session file has its own."""
        if not self.at and not self.of_session:
            raise QueryError("No place was given; add --at FRAME,X,Y, --region or --token.")
