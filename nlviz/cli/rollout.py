"""``python -m nlviz rollout``: the layers' attention multiplied, or what counts for a class."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.cli.export import content
from nlviz.cli.options import add_question
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import number
from nlviz.errors import QueryError
from nlviz.progress import Progress
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.query import Query

_FIGURES = (".png", ".svg", ".pdf")
_FILMS = (".mp4", ".gif")
_PAGES = (".html",)
_DATA = (".json", ".csv", ".npz", ".safetensors", ".nlviz")
_TOP = "top"

Derive = Callable[[Analysis, Progress], Analysis]


def add(commands: Any) -> None:
    """Add the command to those there are."""
    said = "multiply the attention of all layers (rollout), or what counts for a class (--class)"
    parser = commands.add_parser("rollout", help=said)
    add_question(parser)
    option = parser.add_argument
    relevant = (
        "gradient × attention for this class instead of rollout; `top` is the one with the highest "
        "score; --block NAME is one layer or non-local block alone"
    )
    option("--class", dest="label", metavar="NAME", help=relevant)
    kept = "of the identity beside each layer's attention, from 0 to below 1 (default: 0.5)"
    option("--residual", type=float, metavar="WEIGHT", help=kept)
    joined = "how the heads of a layer are joined (default: mean)"
    option("--fusion", choices=("mean", "max", "min"), help=joined)
    option("--from", dest="first", metavar="LAYER", help="the first layer (default: of all)")
    option("--to", dest="last", metavar="LAYER", help="the last layer (default: of all)")
    baseline = "add the same with the network's weights in random order"
    option("--shuffled", type=number, metavar="SEED", help=baseline)
    checked = "print how alike the row stays as the weights are shuffled, layer by layer"
    option("--check", action="store_true", help=checked)
    masked = "print how the class's score falls as places are painted over in the clip"
    option("--mask", action="store_true", help=masked)
    kinds = (
        "OUT.png, .svg or .pdf: a film strip; OUT.mp4 or .gif: a film; OUT.html: a page; OUT.json "
        "or .csv: links; OUT.npz or .safetensors: rows; OUT.nlviz: a session (default: links as "
        "text)"
    )
    option("-o", "--output", metavar="OUT", help=kinds)
    option("--force", action="store_true", help="overwrite a file that already exists")
    parser.set_defaults(command=_rollout)


def _rollout(options: argparse.Namespace) -> None:
    question = Question.of(options)
    _check(options, question)
    ending = None
    if options.output:
        endings = (*_FIGURES, *_FILMS, *_PAGES, *_DATA)
        ending = check(options.output, endings, force=options.force)
    again = options.label is not None or options.shuffled is not None
    needed = again or options.check or options.mask
    subject = Subject.run(question) if needed else Subject.of(question)
    label = _label(options.label, subject)
    if not question.at:
        question = replace(question, at=(_usual(subject.analysis, label),))
    derive = _deriver(options, question, subject, label)
    analysis = derive(subject.analysis, progress)
    block = analysis.derived[-1]
    names = [block]
    if options.shuffled is not None:
        from nlviz.experiments.shuffled import as_baseline, shuffled

        network, seed = subject.network, options.shuffled
        other = shuffled(analysis, network, block, derive, seed, progress=progress)
        analysis = as_baseline(analysis, other, block, seed=seed)
        names.append(analysis.derived[-1])
    made = replace(subject, question=replace(question, block=block), analysis=analysis)
    if options.output:
        _write(options.output, str(ending), made, names)
        print(f"Wrote {options.output}.", file=sys.stderr)
    else:
        _print(made, names)
    for query in made.queries_of(block):
        if options.check:
            _print_check(made, query, derive)
        if options.mask:
            _print_masking(made, query, label)


def _check(options: argparse.Namespace, question: Question) -> None:
    """QueryError for an option that a derived block does not have."""
    said = {
        "--head": question.head is not None,
        "--reverse": question.reverse,
        "--rank contribution": question.rank != "affinity",
        "--baseline": question.baseline is not None,
    }
    for name, given in said.items():
        if given:
            raise QueryError(
                f"Rows are worked out through all heads of all layers; leave out {name}."
            )
    if options.label is None and question.block is not None:
        raise QueryError(
            "Rollout goes through several layers, --from one --to another; --block is for --class."
        )
    of_rollout = (options.residual, options.fusion, options.first, options.last)
    if options.label is not None and any(given is not None for given in of_rollout):
        raise QueryError(
            "--residual, --fusion, --from and --to are of rollout; leave them out with --class."
        )


def _label(label: str | None, subject: Subject) -> str | None:
    """The class that is asked; the one with the highest score for ``top``."""
    if label != _TOP or _TOP in subject.network.classes:
        return label
    if not subject.analysis.prediction:
        raise QueryError(
            f"The network {subject.analysis.network} has no classes; choose one that classifies."
        )
    return subject.analysis.prediction[0].label


def _usual(analysis: Analysis, label: str | None) -> str:
    """The token that is asked where no place was given."""
    from nlviz.experiments.derived import EVERYWHERE
    from nlviz.experiments.relevance import PREDICTION

    if label is not None:
        return PREDICTION
    last = analysis.affinities[analysis.blocks[-1]]
    return next((name for name in last.tokens if name == "class"), EVERYWHERE)


def _deriver(
    options: argparse.Namespace, question: Question, subject: Subject, label: str | None
) -> Derive:
    """What makes the derived block of an analysis."""
    from nlviz.experiments.layers import layers_between
    from nlviz.experiments.recipe import RESIDUAL
    from nlviz.experiments.relevance import relevance
    from nlviz.experiments.rollout import rollout

    some = options.first is not None or options.last is not None

    def derive(analysis: Analysis, report: Progress) -> Analysis:
        if label is not None:
            return relevance(
                analysis,
                subject.network,
                label,
                question.at,
                block=question.block,
                progress=report,
            )
        return rollout(
            analysis,
            question.at,
            residual=RESIDUAL if options.residual is None else options.residual,
            fusion=options.fusion or "mean",
            blocks=layers_between(analysis, options.first, options.last) if some else None,
            progress=report,
        )

    return derive


def _write(path: str, ending: str, made: Subject, names: list[str]) -> None:
    analysis, asked = made.analysis, made.queries
    if ending in _DATA:
        write(path, content(made, ending, "links"))
        return
    signed = made.provenance(asked)
    if ending in _PAGES:
        from nlviz.export import page

        write(path, page(analysis, asked, signed))
        return
    if ending in _FILMS:
        from nlviz.film import play

        play(analysis, asked, comment=signed.json).save(path, progress=progress)
        return
    from nlviz.figures import Heat, Panel, film_strips

    panels = []
    for name in names:
        answers = [top_links(analysis, query) for query in made.queries_of(name)]
        panels.append(Panel(analysis, answers, Heat(answers[0][0].query)))
    film_strips(panels).signed(signed).save(path)


def _print(made: Subject, names: list[str]) -> None:
    from nlviz.cli.links import print_answers
    from nlviz.export import report

    for name in names:
        answers = [top_links(made.analysis, query) for query in made.queries_of(name)]
        print_answers(made, report(made.analysis, answers))


def _print_check(made: Subject, query: Query, derive: Derive) -> None:
    from nlviz.experiments.shuffled import sanity_check

    found = sanity_check(made.analysis, made.network, query, derive, progress=progress)
    shares = " ".join(f"{share:>6.0%}" for share in found.shares)
    print(f"\nweights shuffled  {shares}")
    print("rank correlation  " + " ".join(f"{each:>6.2f}" for each in found.correlations))
    print(found.in_words)


def _print_masking(made: Subject, query: Query, label: str | None) -> None:
    from nlviz.experiments.masking import faithfulness
    from nlviz.experiments.painting import PAINTING
    from nlviz.experiments.verdict import masking_in_words

    found = faithfulness(made.analysis, made.network, query, label=label, progress=progress)
    print(f"\n{found.label} at {found.before:.4g}")
    shares = " ".join(f"{share:>9.0%}" for share in found.fractions)
    print(f"{'painted over':>14}  {shares}")
    for name, scores in (
        ("by weight", found.by_affinity),
        ("at random", found.by_random.mean(axis=0)),
    ):
        print(f"{name:>14}  " + " ".join(f"{score:>9.4g}" for score in scores))
    print(masking_in_words(found))
    print(f"\n{PAINTING}")
