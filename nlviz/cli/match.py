"""``python -m nlviz match``: places of one clip looked for in another."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nlviz.cli.options import add_question, add_windows
from nlviz.cli.page import check_goes_with, check_page
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import count, length, number
from nlviz.errors import ExportError, QueryError
from nlviz.matching.match import Match, matched
from nlviz.matching.mutual import MutualPair, mutual_pairs
from nlviz.matching.pairing import OF, Pairing, pair
from nlviz.media import probe
from nlviz.query import place, where
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.film import Film

_FIGURES, _FILMS = (".png", ".svg", ".pdf"), (".mp4", ".gif")
_OUTPUTS = (*_FIGURES, *_FILMS, ".html", ".csv", ".npz", ".nlviz")
_KINDS = (
    "OUT.png, OUT.svg or OUT.pdf: both strips with links; OUT.html: a page to hover over; OUT.mp4 "
    "or OUT.gif: both clips play; OUT.csv: links, or pairs with --mutual; OUT.npz: θ, φ and rows; "
    "OUT.nlviz: a session of both clips as one"
)
_SHOWN = 20  # pairs that are printed
_SMALL = 640  # GIFs grow fast


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("match", help="look for places of one clip in another")
    add_question(parser)
    add_windows(parser, neighbours=False)
    option = parser.add_argument
    into = "the clip or photo to look in, of any size; it goes through the same network"
    option("--in", dest="into", required=True, metavar="INPUT", help=into)
    option("--in-start", type=number, default=0, metavar="FRAME", help="its first frame")
    of = "θ of the one against φ of the other, or the cosine of the block's input"
    option("--of", choices=OF, default="weights", help=f"{of} (default: %(default)s)")
    each_other = "all pairs of places that find each other, instead of places that you name"
    option("--mutual", action="store_true", help=each_other)
    option("--heat", action="store_true", help="lay the first place's row over the second clip")
    wide = "of a figure, as 8.4cm, 252pt or 3.3in (default: 17.4cm)"
    option("--width", type=length, default=17.4, metavar="LENGTH", help=wide)
    dots = "of a PNG, 30 to 1200 (default: %(default)s)"
    option("--dpi", type=count, default=300, help=dots)
    option("-o", "--output", metavar="OUT", help=_KINDS)
    option("--force", action="store_true", help="overwrite a file that already exists")
    option("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_match)


def _match(options: argparse.Namespace) -> None:
    question = Question.of(options)
    _check(options, question)
    ending = check(options.output, _OUTPUTS, force=options.force) if options.output else None
    if options.mutual and ending not in (None, ".csv"):
        raise ExportError("Pairs are printed or written as CSV; end the file's name in .csv.")
    check_goes_with("-o OUT.png, .svg or .pdf", ending in _FIGURES, {"--heat": options.heat})
    if ending is not None and options.json:
        raise ExportError("--json is printed; leave it out, or -o.")
    check_page(options.width, options.dpi)
    if not options.into.lower().endswith(".nlviz"):
        probe(options.into)  # before the first clip's minutes of work
    subject = Subject.of(question)
    there = subject.beside(options.into, start=options.in_start)
    pairing = pair(subject.analysis, there, subject.block, of=options.of, network=subject.network)
    pairs = None
    matches: list[Match] = []
    if options.mutual:
        pairs = mutual_pairs(pairing, head=question.head, progress=progress)
    else:
        places = question.at or tuple(query.point for query in subject.queries)
        matches = [matched(pairing, at, k=question.k, head=question.head) for at in places]
    if ending is not None:
        _write(options, ending, pairing, matches, pairs)
        print(f"Wrote {options.output}.", file=sys.stderr)
    elif options.json:
        print(json.dumps(_told(pairing, matches, pairs), indent=2, ensure_ascii=False))
    else:
        _print(pairing, matches, pairs)


def _check(options: argparse.Namespace, question: Question) -> None:
    """QueryError for what is asked within one clip alone, and where nothing is asked."""
    within = {
        "--reverse": question.reverse,
        "--exclude": question.exclude is not None,
        "--rank": question.rank != "affinity",
        "--baseline": question.baseline is not None,
    }
    for name, given in within.items():
        if given:
            instead = " or take --of cosine" if name == "--baseline" else ""
            raise QueryError(f"{name} is about one clip; leave it out{instead}.")
    sessions = [each for each in (question.input, options.into) if each.lower().endswith(".nlviz")]
    if options.of == "cosine" and sessions:
        raise QueryError(
            f"'{sessions[0]}' has no network to run again, as --of cosine does; give the clips "
            "themselves, or compare by weights."
        )
    if not options.mutual:
        question.check_asked()
    elif question.at:
        raise QueryError("--mutual asks at every place; leave out --at, --region and --token.")


def _write(
    options: argparse.Namespace,
    ending: str,
    pairing: Pairing,
    matches: Sequence[Match],
    pairs: Sequence[MutualPair] | None,
) -> None:
    from nlviz import export

    typed = options.typed
    if ending in _FIGURES:
        from nlviz.figures import Heat, match_strips

        heat = Heat(matches[0].query) if options.heat else None
        figure = match_strips(matches, width_cm=options.width, heat=heat, command=typed)
        figure.save(options.output, dpi=options.dpi)
        return
    if ending in _FILMS:
        _film(pairing, matches, typed, small=ending == ".gif").save(
            options.output, progress=progress
        )
        return
    if ending == ".csv":
        content = (
            export.matches_csv(matches, command=typed)
            if pairs is None
            else export.mutual_csv(pairing, pairs, command=typed)
        )
    elif ending == ".npz":
        content = export.matches_npz(matches, command=typed)
    else:
        content = _whole(pairing, matches, ending, typed)
    write(options.output, content)


def _whole(pairing: Pairing, matches: Sequence[Match], ending: str, typed: str) -> bytes:
    """A page or a session of both clips as one."""
    from nlviz import export
    from nlviz.matching.one_clip import as_one_clip

    whole, asked = as_one_clip([pairing]), [each.query for each in matches]
    made = export.Provenance.of(whole, asked, command=typed)
    if ending == ".html":
        return export.page(whole, asked, made)
    return export.save(export.Session(whole, made, tuple(asked)))


def _film(pairing: Pairing, matches: Sequence[Match], typed: str, *, small: bool) -> Film:
    from nlviz.film import play
    from nlviz.matching.one_clip import as_one_clip
    from nlviz.provenance import Provenance

    whole, asked = as_one_clip([pairing]), [each.query for each in matches]
    made = Provenance.of(whole, asked, command=typed)
    return play(whole, asked, width=_SMALL if small else None, comment=made.json)


def _told(
    pairing: Pairing, matches: Sequence[Match], pairs: Sequence[MutualPair] | None
) -> dict[str, Any]:
    from nlviz.export.report import seen

    told = {
        **seen(pairing.here),
        "in": seen(pairing.there),
        "block": pairing.block,
        "of": pairing.of,
        "about": list(pairing.sentences),
    }
    if pairs is not None:
        each = ({**where(p.here), "to": where(p.there), "weight": p.weight} for p in pairs)
        return {**told, "mutual": list(each)}
    queries = [
        {
            **place(found.query),
            "covered": sum(link.share for link in found.links),
            "links": [link.record for link in found.links],
            "back": where(found.back),
        }
        for found in matches
    ]
    return {**told, "queries": queries}


def _print(pairing: Pairing, matches: Sequence[Match], pairs: Sequence[MutualPair] | None) -> None:
    from nlviz.cli.links import asked_in_words

    here, there = pairing.here.clip.name, pairing.there.clip.name
    print(f"{here} in {there}: {pairing.here.network}, block {pairing.name}")
    for sentence in pairing.sentences:
        print(f"  {sentence}")
    if pairs is not None:
        print(f"\n{len(pairs)} pairs of places find each other")
        columns = f"{'frame':>6}  {'x':>7}  {'y':>7}"
        print(f"{'weight':>10}  {columns}      {columns}")
        for each in pairs[:_SHOWN]:
            print(f"{each.weight:>10.4g}  {_row(where(each.here))}  ->  {_row(where(each.there))}")
        if len(pairs) > _SHOWN:
            print(f"and {len(pairs) - _SHOWN} more, which -o OUT.csv has.")
    for found in matches:
        covered = (
            ""
            if pairing.of == "cosine"
            else (f" cover {sum(link.share for link in found.links):.1%} of the row")
        )
        asked = asked_in_words(place(found.query))
        print(f"\n{asked}: the {len(found.links)} heaviest links{covered}")
        print(f"  the best match's own best is {_in_words(where(found.back))}")
        print(f"{'rank':>4}  {'weight':>10}  {'frame':>6}  {'x':>7}  {'y':>7}")
        for link in found.links:
            print(f"{link.rank:>4}  {link.weight:>10.4g}  {_row(where(link.target))}")


def _row(at: dict[str, float]) -> str:
    return "{frame:>6}  {x:>7.1f}  {y:>7.1f}".format(**at)


def _in_words(at: dict[str, float]) -> str:
    return "frame {frame}, x {x:.1f}, y {y:.1f}".format(**at)
