"""``python -m nlviz stats``: how weight is spread, of a block on average and of a place."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from nlviz.analysis import Analysis
from nlviz.cli.links import asked_in_words
from nlviz.cli.options import add_question, add_windows
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.errors import QueryError

if TYPE_CHECKING:
    from nlviz.statistics import BlockStatistics, Profile


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("stats", help="how weight is spread in space and time")
    add_question(parser)
    add_windows(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_stats)


def _stats(options: argparse.Namespace) -> None:
    question = Question.of(options)
    found = []
    for subject in Subject.each(question):
        if len(subject.analysis.view.frames) == 1:
            print("note: One frame has no time axis; what needs time is left out.", file=sys.stderr)
        report = _report(subject)
        if subject.window is not None:
            report["window"] = subject.window.number
        if options.json:
            found.append(report)
        else:
            _tell(subject, report)
    if options.json:
        print(json.dumps(found[0] if question.window is None else {"windows": found}, indent=2))


def _tell(subject: Subject, report: dict[str, Any]) -> None:
    if subject.window is not None:
        indices = subject.analysis.clip.indices
        print(f"\nWindow {subject.window.number}, frames {indices[0]} to {indices[-1]}")
    print(f"{report['model']}; distances in diagonals of the frame, entropy in nats")
    for each in report["blocks"]:
        print(f"\n{each['block']}: {each.get('words', each.get('refused'))}")
        if "words" in each:
            _print(each, ("distance", "duration", "own_frame", "entropy", "effective"))
            _print(each, ("divergence", "reach_divergence", "positions", "queries"))
    for each in report["queries"]:
        print(f"\n{each['block']}, {asked_in_words(each)}:")
        _print(each, ("distance", "duration", "own_frame", "entropy", "effective", "links"))
        by_frame = zip(report["input"]["sampled_frames"], each["by_frame"], strict=True)
        print("  by frame: " + ", ".join(f"{frame}: {share:.1%}" for frame, share in by_frame))


def _print(numbers: dict[str, Any], names: tuple[str, ...]) -> None:
    known = ((name, numbers[name]) for name in names if numbers[name] is not None)
    said = (
        f"{name} {value:d}" if isinstance(value, int) else f"{name} {value:.4g}"
        for name, value in known
    )
    print("  " + ", ".join(said))


def _report(subject: Subject) -> dict[str, Any]:
    from nlviz.export.report import seen
    from nlviz.query import place
    from nlviz.statistics import profile

    analysis, head = subject.analysis, subject.question.head
    profiles = [(query, profile(analysis, query)) for query in subject.queries]
    return {
        **seen(analysis),
        "blocks": [_block(analysis, each, head) for each in subject.blocks],
        "queries": [
            {**place(query), "block": query.block, **_profile(each)} for query, each in profiles
        ],
    }


def _block(analysis: Analysis, block: str, head: int | None) -> dict[str, Any]:
    from nlviz.export.report import grids
    from nlviz.statistics import block_statistics

    try:
        found = block_statistics(analysis, block, head=head, progress=progress)
    except QueryError as why:  # one block that cannot be measured does not hide the others
        return {"block": block, "refused": str(why)}
    return {"block": block, "grid": grids(analysis, block), **_averages(found)}


def _averages(found: BlockStatistics) -> dict[str, Any]:
    names = (
        *("head", "queries", "positions", "distance", "duration", "own_frame", "entropy"),
        *("effective", "divergence", "reach_divergence", "alike", "words"),
    )
    return {
        **{name: getattr(found, name) for name in names},
        "edges": found.edges.tolist(),
        "by_distance": found.by_distance.tolist(),
    }


def _profile(found: Profile) -> dict[str, Any]:
    names = ("distance", "duration", "entropy", "effective", "positions", "own_frame", "links")
    arrays = ("by_frame", "edges", "by_distance", "seconds", "by_second")
    lists = {name: getattr(found, name) for name in arrays}
    return {
        **{name: getattr(found, name) for name in (*names, "tokens")},
        **{name: None if each is None else each.tolist() for name, each in lists.items()},
    }
