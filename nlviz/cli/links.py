"""``python -m nlviz links``: the top-weighted links of places in a clip, as a table or JSON."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nlviz.about import fidelity_in_words
from nlviz.analysis import Analysis
from nlviz.cli.options import add_path, add_question, add_windows
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.errors import QueryError
from nlviz.geometry import Region
from nlviz.query import Query

if TYPE_CHECKING:
    from nlviz.inference.protocol import Network


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("links", help="the top-weighted links of places in a clip")
    add_question(parser)
    add_path(parser)
    add_windows(parser)
    traced = "print what the layers before the block read for each place; runs the network again"
    parser.add_argument("--receptive-field", action="store_true", help=traced)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_links)


def _links(options: argparse.Namespace) -> None:
    question = Question.of(options)
    question.check_asked()
    if options.receptive_field and question.neighbours:
        raise QueryError("A receptive field is of one window; leave out --neighbours.")
    traced = options.receptive_field
    subjects = [Subject.run(question)] if traced and question.of_session else Subject.each(question)
    found = []
    for number, subject in enumerate(subjects):
        told = _told(subject, path=options.path, traced=traced)
        if options.json:
            found.append(told)
            continue
        if number:
            print()
        print_answers(subject, told)
    if options.json:
        whole = found[0] if question.window is None else {"windows": found}
        print(json.dumps(whole, indent=2))


def _told(subject: Subject, *, path: bool, traced: bool) -> dict[str, Any]:
    """What is answered of one analysis."""
    from nlviz.export import report

    analysis, answered = subject.analysis, subject.answers(path=path)
    told = report(analysis, answered)
    if traced:
        for answer, links in zip(told["queries"], answered, strict=True):
            answer |= _field(analysis, subject.network, links[0].query)
    if subject.window is not None:
        told["window"] = subject.window.number
        told["notes"] = list(analysis.clip.notes)
    return told


def print_answers(subject: Subject, told: dict[str, Any]) -> None:
    """What was answered, as text."""
    analysis = subject.analysis
    queries, keys = analysis.affinity(told["block"]).grids_in_words
    if subject.window is not None:
        indices = analysis.clip.indices
        print(f"Window {subject.window.number}, frames {indices[0]} to {indices[-1]}")
    print(
        f"{told['model']}, block {told['block']}, queries {queries}, keys {keys}, "
        f"fidelity {fidelity_in_words(told['fidelity'])}"
    )
    for sentence in analysis.about(told["block"]).sentences:
        print(f"  {sentence}")
    if subject.question.neighbours:
        print(f"  {analysis.clip.notes[-1]}")
    for answer in told["queries"]:
        links = answer["links"]
        side = "column" if subject.question.reverse else "row"
        covered = f"{answer['covered']:.1%} of the {side}"
        what = "this link covers" if len(links) == 1 else f"these {len(links)} links cover"
        print(f"\n{asked_in_words(answer)}: {what} {covered}")
        if "receptive_field" in answer:
            print(f"  {answer['receptive_field']['words']}")
        ranked = "contribution" in links[0]
        also = f"{'contribution':>12}  " if ranked else ""
        print(f"{'rank':>4}  {'weight':>10}  {also}{'frame':>6}  {'x':>7}  {'y':>7}")
        for link in links:
            also = "{contribution:>12.4g}  ".format(**link) if ranked else ""
            rest = "{frame:>6}  {x:>7.1f}  {y:>7.1f}".format(**link)
            print("{rank:>4}  {weight:>10.4g}  ".format(**link) + also + rest)


def _field(analysis: Analysis, network: Network, query: Query) -> dict[str, Any]:
    """A place's receptive field for a report; a token has no place."""
    from nlviz.experiments.receptive_field import receptive_field

    if isinstance(query.point, str):
        return {}
    field = receptive_field(analysis, network, query.block, query.point)
    box = field.local
    told = {
        "box": [box.x0, box.y0, box.x1, box.y1],
        "frames": list(box.frames),
        "through": list(field.through),
        "words": field.sentence,
    }
    return {"receptive_field": told}


def asked_in_words(answer: dict[str, Any]) -> str:
    """What was asked, in words, from what a report says of it."""
    head = f", head {answer['head']}" if "head" in answer else ""
    if "token" in answer:
        return f"token {answer['token']}{head}"
    if "region" in answer:
        frame, outline = answer["region"]["frame"], answer["region"]["outline"]
        region = Region(frame, tuple((x, y) for x, y in outline))
        x0, y0, x1, y1 = region.bounds
        box = f"{x0:g},{y0:g} to {x1:g},{y1:g}"
        if region.is_box:
            return f"frame {frame}, region {box}{head}"
        return f"frame {frame}, outline of {len(outline)} corners within {box}{head}"
    return "frame {frame}, x {x:g}, y {y:g}".format(**answer["at"]) + head
