"""What is drawn and stored of one analysis: θ and φ, film strips, films."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nlviz.batches.measuring import Measuring
from nlviz.batches.options import BatchOptions
from nlviz.display import printable
from nlviz.errors import QueryError
from nlviz.provenance import Provenance
from nlviz.query import Query

if TYPE_CHECKING:
    from nlviz.film.film import Film

MOST = 8
"""Queries that one picture can tell apart."""

_LONGEST = 60  # signs of a file's name, of what somebody else wrote


def files_of(measuring: Measuring, options: BatchOptions, stem: str) -> Iterator[tuple[str, bytes]]:
    """(path below the batch's folder, content) of each file that is wanted.

    Args:
        measuring: the analysis and what is asked of it.
        options: which files.
        stem: what their names begin with.
    """
    network = slug(measuring.analysis.network)
    if options.arrays:
        yield f"arrays/{stem}-{network}.{options.arrays}", _arrays(measuring, options)
    for block in measuring.blocks:
        queries = drawable(measuring, block)
        name = f"{stem}-{network}-{slug(block)}"
        if queries and options.figures:
            yield f"figures/{name}.{options.figures}", _figure(measuring, options, queries)
        if queries and options.films:
            yield f"films/{name}.{options.films}", _film(measuring, options, queries)


def slug(name: str) -> str:
    """A name of somebody else's as a part of a file's name."""
    plain = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in name)
    return printable(plain, _LONGEST).strip(".-") or "clip"


def drawable(measuring: Measuring, block: str) -> list[Query]:
    """The first queries of a block that have links."""
    from nlviz.ask.links import top_links

    if block not in measuring.analysis.affinities:
        return []
    found = []
    for query in measuring.queries(block):
        try:
            top_links(measuring.analysis, query)
        except QueryError:
            continue
        found.append(query)
    return found[:MOST]


def _arrays(measuring: Measuring, options: BatchOptions) -> bytes:
    from nlviz.export.arrays import npz, tensors

    analysis = measuring.analysis
    blocks = [block for block in measuring.blocks if block in analysis.affinities]
    queries = [query for block in blocks for query in drawable(measuring, block)]
    made = Provenance.of(analysis, queries)
    pack = npz if options.arrays == "npz" else tensors
    return pack(analysis, queries, made, blocks)


def _figure(measuring: Measuring, options: BatchOptions, queries: list[Query]) -> bytes:
    from nlviz.ask.links import top_links
    from nlviz.figures import film_strip

    analysis = measuring.analysis
    strip = film_strip(analysis, [top_links(analysis, query) for query in queries])
    signed = strip.signed(Provenance.of(analysis, queries))
    if options.figures == "png":
        return signed.png()
    return signed.svg() if options.figures == "svg" else signed.pdf()


def _film(measuring: Measuring, options: BatchOptions, queries: list[Query]) -> bytes:
    from nlviz.film import play

    analysis = measuring.analysis
    made = Provenance.of(analysis, queries).json
    return encoded(play(analysis, queries, width=width_of(options), comment=made), options)


def width_of(options: BatchOptions) -> int | None:
    """How wide a film is, in pixels: GIFs grow fast."""
    return 640 if options.films == "gif" else None


def encoded(film: Film, options: BatchOptions) -> bytes:
    """A film in the format that is wanted."""
    return film.gif() if options.films == "gif" else film.mp4()
