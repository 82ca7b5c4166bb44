"""``python -m nlviz pca``: the components of a block's or layer's features as colours."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from nlviz.cli.long import tell
from nlviz.cli.options import (
    add_block,
    add_input,
    add_network,
    add_output,
    add_sampling,
    add_windows,
)
from nlviz.cli.page import check_page
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.cli.typed import count, length, numbers
from nlviz.display import begun
from nlviz.errors import QueryError
from nlviz.query import OFS, SIDES, Of, layer_of
from nlviz.writing import check, write

if TYPE_CHECKING:
    from nlviz.features import Basis, Components, Foreground
    from nlviz.windows import LongComponents

_OPACITY = 0.75
_SMALL = 640  # GIFs grow fast


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("pca", help="draw a block's or layer's features in three colours")
    add_input(parser)
    add_block(parser)
    add_network(parser)
    add = parser.add_argument
    which = (
        "whose components: the block's input, θ, φ or output (default: input; output for "
        "--features)"
    )
    add("--of", choices=OFS, help=which)
    given = "use the components of another clip, so that the two share their colours"
    add("--basis", metavar="FILE", help=given)
    add("--save-basis", metavar="FILE", help="keep the components there, as .safetensors")
    alone = "look only at the positions above or below a threshold of the first component"
    add("--foreground", choices=SIDES, help=alone)
    where = "of the foreground, in standard deviations from the mean (default: 0)"
    add("--threshold", type=float, help=where)
    _add_drawing(parser)
    add_sampling(parser)
    add_windows(parser, neighbours=False)
    add_output(parser, "OUT.png, .svg or .pdf; .mp4 or .gif; .npz or .safetensors for the numbers")
    usual = {"at": None, "reverse": False, "head": None, "k": 20, "exclude": None}
    parser.set_defaults(command=_pca, rank="affinity", baseline=None, **usual)


def _add_drawing(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    over = "of the colours over the frames, 0 to 1 (default: %(default)s)"
    add("--opacity", type=float, default=_OPACITY, help=over)
    wide = "of a figure, as 8.4cm, 252pt or 3.3in (default: 17.4cm)"
    add("--width", type=length, default=17.4, metavar="LENGTH", help=wide)
    add("--columns", type=count, help="frames of a figure in a row (default: all, up to eight)")
    only = "source frames to draw in a figure, of those that were sampled (default: all)"
    add("--only", type=numbers, metavar="FRAME,…", help=only)
    add("--dpi", type=count, default=300, help="of a PNG, 30 to 1200 (default: %(default)s)")
    pixels = "width of a film (default: up to 1280 for MP4, 640 for GIF)"
    add("--pixels", type=count, metavar="PX", help=pixels)
    add("--fps", type=float, help="frames of a film per second (default: 4)")


def _pca(options: argparse.Namespace) -> None:
    from nlviz import film
    from nlviz.features import Foreground, arrays, basis, open_basis, pca
    from nlviz.figures import ENDINGS
    from nlviz.film.sheet import check_width
    from nlviz.film.style import check_rate

    endings = (*ENDINGS, *film.ENDINGS, *arrays.ENDINGS)
    ending = check(options.output, endings, force=options.force)  # before minutes of work
    if options.save_basis is not None:
        check(options.save_basis, basis.ENDINGS, force=options.force)
    check_page(options.width, options.dpi)
    check_width(options.pixels)
    check_rate(options.fps)
    given = None if options.basis is None else open_basis(options.basis)
    foreground = None
    if options.foreground is not None:
        foreground = Foreground(options.foreground, options.threshold or 0.0)
    elif options.threshold is not None:
        raise QueryError("--threshold goes with --foreground; give both.")
    if given is not None and foreground is not None:
        raise QueryError("A basis has its own foreground or none; leave out --foreground.")
    question = Question.of(options)
    if question.window is not None:
        _in_windows(question, options, given, foreground, ending)
        return
    subject = Subject.of(question)
    block = subject.block
    of = _of(options, block)
    found = pca(
        subject.analysis,
        block,
        of=of,
        network=subject.network,
        basis=given,
        foreground=foreground,
        progress=progress,
    )
    _write(found, subject, options, ending)
    _tell(found, options)


def _of(options: argparse.Namespace, block: str) -> Of:
    chosen: Of = options.of or ("input" if layer_of(block) is None else "output")
    return chosen


def _in_windows(
    question: Question,
    options: argparse.Namespace,
    basis: Basis | None,
    foreground: Foreground | None,
    ending: str,
) -> None:
    """A film of the whole of a long clip, one basis for all windows."""
    from nlviz import film
    from nlviz.features.drawing import check_film
    from nlviz.windows import components_film_windows, pca_windows

    if ending not in film.ENDINGS:
        raise QueryError(
            f"The components of windows are drawn as a film, {' or '.join(film.ENDINGS)}; for a "
            "figure or numbers take a part of the clip with --frames, and --basis for its colours."
        )
    long = Subject.long(question)
    tell(long, question, more=_passes(options, basis, foreground))
    first = long.window(0, progress)
    width = options.pixels or (_SMALL if ending == ".gif" else None)
    check_film(first.clip, width, options.fps, options.opacity)
    block = question.block or first.default_block
    made = Subject(question, first).provenance(())
    del first  # one window is held at a time
    found = pca_windows(
        long,
        block,
        of=_of(options, block),
        basis=basis,
        foreground=foreground,
        progress=progress,
    )
    drawn = components_film_windows(
        found,
        width=width,
        rate=options.fps,
        opacity=options.opacity,
        comment=made.json,
    )
    drawn.save(options.output, progress=progress)
    _tell(found, options)


def _passes(options: argparse.Namespace, basis: Basis | None, foreground: Foreground | None) -> int:
    """How often a window runs again: for the basis, and for the film; not where θ or φ is asked."""
    from nlviz.features.layers import NEEDS_A_PASS

    if _of(options, options.block or "") not in NEEDS_A_PASS:
        return 0
    return 1 + (0 if basis is not None else 1 if foreground is None else 2)


def _tell(found: Components | LongComponents, options: argparse.Namespace) -> None:
    """Keep the basis where that is wanted, and say what was found and written."""
    if options.save_basis is not None:
        found.basis.save(options.save_basis)
    for sentence in found.words:
        print(f"{begun(sentence)}.")
    written = filter(None, (options.output, options.save_basis))
    print(f"Wrote {' and '.join(written)}.", file=sys.stderr)


def _write(found: Components, subject: Subject, options: argparse.Namespace, ending: str) -> None:
    from nlviz import film
    from nlviz.features import arrays, components_film, components_strip
    from nlviz.figures import Style

    made = subject.provenance(())
    if ending in arrays.ENDINGS:
        write(options.output, arrays.components_arrays(found, made, ending))
    elif ending in film.ENDINGS:
        width = options.pixels or (_SMALL if ending == ".gif" else None)
        drawn = components_film(
            found, width=width, rate=options.fps, opacity=options.opacity, comment=made.json
        )
        drawn.save(options.output, progress=progress)
    else:
        figure = components_strip(
            found,
            width_cm=options.width,
            columns=options.columns,
            opacity=options.opacity,
            style=Style(frames=options.only),
        )
        figure.signed(made).save(options.output, dpi=options.dpi)
