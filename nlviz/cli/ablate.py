"""``python -m nlviz ablate``: does a block matter, and do the linked places."""

from __future__ import annotations

import argparse
import json
from typing import Any

from nlviz.analysis import Prediction
from nlviz.cli.links import asked_in_words
from nlviz.cli.options import add_question
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import count
from nlviz.errors import QueryError


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("ablate", help="what a block adds, and what masking its keys does")
    add_question(parser)
    orders = "random orders to mask each place's links in (default: %(default)s)"
    parser.add_argument("--draws", type=count, default=3, help=orders)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_ablate)


def _ablate(options: argparse.Namespace) -> None:
    question = Question.of(options)
    if question.baseline or question.head is not None:
        raise QueryError("A block is ablated as it is; leave out --baseline and --head.")
    report = _report(question, options.draws)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    print(f"{report['model']}; size is ‖z − x‖ / ‖x‖, fall that of the first class without it")
    print(f"{'block':>10}  {'size':>9}  {'fall':>9}  first class before → after")
    for each in report["blocks"]:
        first = [each[when][0]["label"] if each[when] else "–" for when in ("before", "after")]
        numbers = "{block:>10}  {size:>9.3g}  {fall:>9.3g}".format(**each)
        print(f"{numbers}  {' → '.join(first)}")
    print(report["in_words"])
    if report["scores"]:
        print(f"Class scores from {report['scores']}.")
    for each in report["masking"]:
        print(f"\n{each['block']}, {asked_in_words(each)}: {each['label']} at {each['before']:.4g}")
        shares = " ".join(f"{share:>9.0%}" for share in each["fractions"])
        print(f"{'keys masked':>14}  {shares}")
        random = [sum(scores) / len(scores) for scores in zip(*each["by_random"], strict=True)]
        for name, scores in (("by affinity", each["by_affinity"]), ("at random", random)):
            print(f"{name:>14}  " + " ".join(f"{score:>9.4g}" for score in scores))
        print(each["in_words"])
    if report["masking"]:
        print(f"\n{report['protocol']}")


def _report(question: Question, draws: int) -> dict[str, Any]:
    from nlviz.experiments.ablation import effects
    from nlviz.experiments.masking import PROTOCOL, faithfulness
    from nlviz.experiments.verdict import effects_in_words, masking_in_words
    from nlviz.export.report import seen
    from nlviz.query import place

    subject = Subject.run(question)
    analysis, network = subject.analysis, subject.network
    found = effects(analysis, network, progress=progress)
    masking = [
        (query, faithfulness(analysis, network, query, draws=draws, progress=progress))
        for query in subject.queries
    ]
    return {
        **seen(analysis),
        "scores": analysis.scores_from or None,
        "blocks": [
            {
                "block": each.block,
                "size": each.size,
                "fall": each.fall,
                "before": _classes(each.before),
                "after": _classes(each.after),
            }
            for each in found
        ],
        "in_words": effects_in_words(found),
        "masking": [
            {
                **place(query),
                "block": query.block,
                "label": masked.label,
                "before": masked.before,
                "fractions": masked.fractions.tolist(),
                "by_affinity": masked.by_affinity.tolist(),
                "by_random": masked.by_random.tolist(),
                "gap": masked.gap,
                "in_words": masking_in_words(masked),
            }
            for query, masked in masking
        ],
        "protocol": PROTOCOL,
    }


def _classes(prediction: tuple[Prediction, ...]) -> list[dict[str, Any]]:
    return [{"label": each.label, "score": each.score} for each in prediction]
