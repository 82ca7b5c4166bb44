"""Question: which links of which clip, as a command was given it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any

from nlviz.errors import QueryError
from nlviz.geometry import Point, Region
from nlviz.query import Baseline, Exclude, RankBy

USUAL_K = 20


@dataclass(frozen=True, slots=True)
class Question:
    """What ``add_question`` adds to a parser, read.

    Args:
        input: the clip or the session file.
        at: the places, regions and tokens that are asked about.
        reverse, head, block, k, exclude, rank: as for ``Query``; None for what is usual.
        model, weights, device, trust: as for ``nlviz.load``.
        record: fields of the input of a network by name, that somebody said.
        baseline: what is asked instead of the block, or None.
        frames, stride, start: which frames are sampled.
        size: longer side of the network's input, or None.
        typed: the whole command, as it was typed.
        window, overlap: frames of a window of a long clip, and those that the next one shares; a
            window of None is a clip without windows.
        neighbours: whether the windows beside the place's own are asked too.
        windows_in: the folder that the windows are kept in, or None.
        yes: whether long work is begun without asking.
        features: paths of layers whose similarity becomes a block.
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
    window: int | None = None
    overlap: int | None = None
    neighbours: bool = False
    windows_in: str | None = None
    yes: bool = False
    record: tuple[tuple[str, Any], ...] = ()
    trust: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: argparse.Namespace) -> Question:
        """From what the parser made of a command."""
        names = (each.name for each in fields(cls))
        given = {name: getattr(options, name) for name in names if hasattr(options, name)}
        several = {
            name: tuple(given.get(name) or ()) for name in ("at", "record", "trust", "features")
        }
        question = cls(**{**given, **several})
        if question.features and question.of_session:
            raise QueryError("A session has no network to run again; leave out --features.")
        if question.window is None:
            question._check_without_windows()
        elif question.of_session:
            raise QueryError("A session has the frames it was made with; leave out --window.")
        return question

    def _check_without_windows(self) -> None:
        """QueryError for an option that says how windows are."""
        said = {
            "--overlap": self.overlap is not None,
            "--neighbours": self.neighbours,
            "--windows-in": self.windows_in is not None,
        }
        for name, given in said.items():
            if given:
                raise QueryError(f"{name} goes with --window; give both.")

    @property
    def input_record(self) -> dict[str, Any] | None:
        """What a network by name is told of its input; None where that is nothing."""
        sized = {} if self.size is None else {"size": self.size}
        return {**sized, **dict(self.record)} or None

    @property
    def of_session(self) -> bool:
        """Whether the input is a session file, by its ending."""
        return self.input.lower().endswith(".nlviz")

    @property
    def asks_its_own_way(self) -> bool:
        """Whether more is said of how places are asked than what is usual."""
        said = (self.block, self.head, self.exclude)
        other = self.reverse or self.k != USUAL_K or self.rank != "affinity"
        return other or any(each is not None for each in said)

    def check_asked(self) -> None:
        """QueryError where no place is asked about; a session file has its own."""
        if not self.at and not self.of_session:
            raise QueryError("No place was given; add --at FRAME,X,Y, --region or --token.")
