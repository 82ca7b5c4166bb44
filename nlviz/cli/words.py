"""``python -m nlviz words``: which places of which frames a word of an answer weighs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nlviz.cli.terminal import progress
from nlviz.cli.typed import count, number, point
from nlviz.provenance import Provenance
from nlviz.query import Query
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.language.answered import Words

_TEXT, _VIEWER = (".json", ".csv"), (".html", ".nlviz")


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser(
        "words", help="which places of which frames each word of an answer weighs"
    )
    add = parser.add_argument
    add("clip", metavar="CLIP", help="a video, an image, a GIF, a folder of images, or sample:FILE")
    folder = (
        "a vision-language model with its processor: hf:FOLDER as save_pretrained writes them, or "
        "hf:ORG/NAME of the hub"
    )
    add("--model", required=True, metavar="SPEC", help=folder)
    add("--ask", required=True, metavar="TEXT", help="the question about the clip")
    add("--answer", required=True, metavar="TEXT", help="the answer, whose words are asked")
    named = "one of the words; repeatable (default: all of the answer)"
    add("--word", action="append", default=[], metavar="WORD", help=named)
    place = "print what a place of the clip weighs as well, and what weighs it; repeatable"
    add("--at", action="append", type=point, default=[], metavar="FRAME,X,Y", help=place)
    add("--layer", type=number, help="one layer, from 0; the mean of all by default")
    add("--head", type=number, help="one head, from 0; the mean of all by default")
    before = "take the row of the slot before each word, which predicts it"
    add("--predicting", action="store_true", help=before)
    add("--frames", type=int, help="frames to sample (default: 8)")
    add("--stride", type=int, help="take every n-th frame (default: spread evenly)")
    add("--start", type=int, default=0, help="the first frame (default: %(default)s)")
    most = "MiB that the layers may take (default: %(default)s)"
    add("--budget", type=count, default=4096, metavar="MIB", help=most)
    where = "what the model runs on (default: the first of CUDA, MPS and CPU that is there)"
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help=where)
    wanted = (
        "OUT.json or .csv; .png, .svg or .pdf; .html or .nlviz for the viewer, with the words as "
        "chips (default: a table on the screen)"
    )
    add("-o", "--output", metavar="OUT", help=wanted)
    add("--force", action="store_true", help="overwrite a file that already exists")
    parser.set_defaults(command=_words)


def _words(options: argparse.Namespace) -> None:
    from nlviz.figures import ENDINGS
    from nlviz.language.run import words
    from nlviz.language.vision_language import load_vision_language
    from nlviz.media import read

    ending = ""
    if options.output is not None:
        ending = check(options.output, (*_TEXT, *ENDINGS, *_VIEWER), force=options.force)
    sampled = {"frames": options.frames} if options.frames is not None else {}
    clip = read(options.clip, **sampled, stride=options.stride, start=options.start)
    for note in clip.notes:
        print(f"note: {note}", file=sys.stderr)
    network = load_vision_language(options.model, device=options.device)
    found = words(
        clip,
        network,
        ask=options.ask,
        answer=options.answer,
        places=options.at,
        predicting=options.predicting,
        budget=options.budget << 20,
        progress=progress,
    )
    for name in options.word:
        found.sequence.word(name)
    _write(found, options, ending)


def _write(found: Words, options: argparse.Namespace, ending: str) -> None:
    chosen = {"layer": options.layer, "head": options.head}
    if not ending:
        _print(found, options)
        return
    if ending in _VIEWER:
        write(options.output, _viewer(found, options, ending))
    elif ending not in _TEXT:
        from nlviz.language.drawing import word_strips

        drawn = word_strips(found, options.word, **chosen)
        made = Provenance.of(found.analysis(()), command=options.typed)
        drawn.signed(made).save(options.output)
    else:
        from nlviz.language.report import report, table

        told = report(found, options.word, **chosen, command=options.typed)
        text = json.dumps(told, indent=1, ensure_ascii=False)
        content = text if ending == ".json" else table(found, options.word, **chosen)
        write(options.output, content.encode())
    print(f"Wrote {options.output}.", file=sys.stderr)


def _viewer(found: Words, options: argparse.Namespace, ending: str) -> bytes:
    """A page or a session: every layer and, shown first, their mean; or the one that was named."""
    from nlviz.export import Session, page, save

    every = (*range(len(found.layers)), None)
    layers = every if options.layer is None else (options.layer,)
    analysis = found.analysis(layers, head=options.head)
    block = analysis.blocks[-1]
    names = [found.sequence.word(name).name for name in options.word]
    queries = tuple(Query(name, block, exclude="none") for name in names)
    made = Provenance.of(analysis, queries, command=options.typed)
    if ending == ".html":
        return page(analysis, queries, made)
    return save(Session(analysis, made, queries))


def _print(found: Words, options: argparse.Namespace) -> None:
    chosen = {"layer": options.layer, "head": options.head}
    view, grid = found.sequence.view, found.sequence.grid
    covered = ([view.frames[p] for p in view.positions(t, grid)] for t in range(grid.t))
    heads = [_frames(each) for each in covered]
    wide = max(11, *(2 + len(each) for each in heads))
    names = options.word or [word.name for word in found.words if word.part == "answer"]
    rows = [(name, found.row(name, **chosen).sum(axis=(1, 2))) for name in names]
    print(f"{'word':20}{'on the clip':>12}" + "".join(f"{each:>{wide}}" for each in heads))
    for name, steps in rows:
        shares = "".join(f"{each:>{wide}.4f}" for each in steps)
        print(f"{name:20.20}{steps.sum():>12.4f}{shares}")
    for place in options.at:
        at = f"{place.frame},{place.x:g},{place.y:g}"
        print(f"\n{f'the place {at}':20}{'weighs it':>12}{'is weighed by it':>18}")
        back = found.weighing(place, **chosen)
        for name, weight in found.of_words(place, **chosen).items():
            weighed = f"{back[name]:.2e}" if name in back else "–"
            print(f"{name:20.20}{weight:>12.4f}{weighed:>18}")


def _frames(frames: Sequence[int]) -> str:
    """The frames that a time step covers: "frame 0", or "frames 0, 7" where several merge."""
    first, last = frames[0], frames[-1]
    between = ", " if len(frames) == 2 else " to "
    return f"frame {first}" if first == last else f"frames {first}{between}{last}"
