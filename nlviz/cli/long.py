"""A clip in windows for a question: which are asked, and a word on what that costs before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlviz.analysis import Analysis
from nlviz.cli.question import Question
from nlviz.cli.terminal import progress
from nlviz.errors import BudgetError, QueryError
from nlviz.geometry import View

if TYPE_CHECKING:
    from nlviz.windows import LongAnalysis

_FEW = 3  # windows that are run without a word before: a place's own, and those beside it


def opened(question: Question, network: Any) -> LongAnalysis:
    """The windows of a question's clip; a wrong place is refused before anything is run."""
    from nlviz.windows import open_long

    if question.window is None:
        raise QueryError("This goes with windows; give --window as well.")
    long = open_long(
        question.input,
        network,
        window=question.window,
        overlap=question.overlap,
        frames=question.frames,
        stride=question.stride,
        start=question.start,
        size=question.size,
        folder=question.windows_in,
        sizes=question.rank == "contribution",
        features=question.features,
    )
    for note in long.stream.notes:
        print(f"note: {note}", file=sys.stderr)
    sampled = len(long.stream.indices)
    if question.window > sampled:
        print(
            f"note: A window of {question.window} frames is longer than the clip's {sampled}, so "
            "all of it is one window.",
            file=sys.stderr,
        )
    info = long.stream.info
    size = (info.width, info.height)
    for place in question.at:
        if not isinstance(place, str):
            long.of(place.frame)
            View(size, size, (place.frame,)).check(place)
    return long


def numbers_of(long: LongAnalysis, question: Question) -> dict[int, Question]:
    """Number of each window that is asked → what it is asked; all of them without a place."""
    if not question.at:
        return {window.number: question for window in long.plan}
    asked: dict[int, list[Any]] = {}
    for place in question.at:
        if isinstance(place, str):
            if len(long) > 1:
                raise QueryError(
                    f"Every window has a token {place!r} of its own; choose the frames of one with "
                    "--start, --frames and --stride, without --window."
                )
            asked.setdefault(0, []).append(place)
        else:
            asked.setdefault(long.of(place.frame).number, []).append(place)
    return {number: replace(question, at=tuple(at)) for number, at in asked.items()}


def with_neighbours(long: LongAnalysis, numbers: Sequence[int]) -> list[int]:
    """The windows and those beside them."""
    near = {each for number in numbers for each in (number - 1, number, number + 1)}
    return sorted(near & set(range(len(long))))


def tell(
    long: LongAnalysis, question: Question, numbers: Sequence[int] | None = None, more: int = 0
) -> None:
    """Say what running these windows costs; BudgetError where that is much and nobody said --yes.

    Up to three windows are run as a clip without windows is. ``more``: passes of each that follow.
    """
    from nlviz.windows import estimate

    waiting = [n for n in long.waiting() if numbers is None or n in set(numbers)]
    if len(waiting) <= _FEW:
        return
    found = estimate(long, waiting, more=more, progress=progress)
    if found is None:
        return
    print(found.sentence, file=sys.stderr)
    found.check()
    if found.question and not question.yes:
        raise BudgetError(f"{found.question} Say --yes to do it all the same.")


def analysis_of(long: LongAnalysis, question: Question, number: int) -> Analysis:
    """One window as it is asked: alone or with its neighbours, itself or its baseline."""
    if not question.neighbours:
        analysis = long.window(number, progress)
        if question.baseline is None:
            return analysis
        from nlviz.experiments.baselines import baseline

        block = question.block or analysis.default_block
        return baseline(analysis, long.network, block, question.baseline)
    if question.baseline is not None:
        raise QueryError("A baseline is of one window; leave out --neighbours or --baseline.")
    own = long.plan[number]
    return long.around(long.stream.indices[own.own_start], progress)
