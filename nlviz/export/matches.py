"""Matches of two clips: tables as CSV and arrays as NPZ, with how both clips were analysed."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import ExportError
from nlviz.export.arrays import DESCRIPTION, affinity_arrays, affinity_header, cells_of
from nlviz.export.tables import LINK_COLUMNS, link_lines, table
from nlviz.matching.command import match_command
from nlviz.matching.match import Match
from nlviz.matching.mutual import MutualPair
from nlviz.matching.pairing import Pairing
from nlviz.provenance import Provenance
from nlviz.query import asked

_PAIR = ("frame", "x", "y", "to_frame", "to_x", "to_y", "weight")


def how_made(
    pairing: Pairing, matches: Sequence[Match] = (), *, command: str | None = None
) -> dict[str, Any]:
    """How matches were made, ready for JSON: the ``Provenance`` of the first clip, and more.

    ``in`` is the second clip's, ``of`` what was compared, and ``about`` what has to be said of it.
    """
    queries = [each.query for each in matches]
    command = command or match_command(matches)
    here, there = asdict(Provenance.of(pairing.here)), asdict(Provenance.of(pairing.there))
    return {
        **here,
        "queries": [asked(query) for query in queries],
        "command": command,
        "in": {**there, "command": None},
        "of": pairing.of,
        "about": list(pairing.sentences),
    }


def matches_csv(matches: Sequence[Match], *, command: str | None = None) -> bytes:
    """One line for each link, as ``links_csv``; ``to_frame``, ``to_x`` and ``to_y`` lie in the
    second clip.

    ExportError for no match, or matches of several pairings.
    """
    pairing = _one(matches)
    lines = link_lines([each.links for each in matches])
    return table(LINK_COLUMNS, lines, how_made(pairing, matches, command=command))


def mutual_csv(
    pairing: Pairing, pairs: Sequence[MutualPair], *, command: str | None = None
) -> bytes:
    """One line for each pair, heaviest first: both places in source pixels, and the weight."""
    lines: list[Mapping[str, Any]] = [
        dict(
            zip(
                _PAIR,
                (
                    *(each.here.frame, each.here.x, each.here.y),
                    *(each.there.frame, each.there.x, each.there.y),
                    each.weight,
                ),
                strict=True,
            )
        )
        for each in pairs
    ]
    return table(_PAIR, lines, how_made(pairing, command=command))


def matches_npz(matches: Sequence[Match], *, command: str | None = None) -> bytes:
    """θ of the first clip, φ of the second, and each match's row, as ``numpy.load`` reads them.

    ``BLOCK/theta`` (heads · C', N) and ``BLOCK/phi`` (heads · C', M), float32; ``rows/0``,
    ``rows/1`` … (T', H', W') on the second clip's key grid; and ``nlviz``, a JSON text: how it was
    made, and where the cells of both grids lie in their own clip. ExportError as ``matches_csv``.
    """
    pairing = _one(matches)
    affinity = pairing.affinity
    arrays: dict[str, NDArray[Any]] = affinity_arrays(pairing.name, affinity)
    for number, each in enumerate(matches):
        arrays[f"rows/{number}"] = each.row.weights
    described = {
        **how_made(pairing, matches, command=command),
        "block": {
            "name": pairing.name,
            **affinity_header(affinity),
            "query_cells": cells_of(pairing.here.view, affinity.query_grid),
            "key_cells": cells_of(pairing.there.view, affinity.key_grid),
        },
        "rows": [{**asked(each.query), "tokens": dict(each.row.tokens)} for each in matches],
    }
    content = io.BytesIO()
    arrays[DESCRIPTION] = np.array(json.dumps(described))
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def _one(matches: Sequence[Match]) -> Pairing:
    if not matches or any(each.pairing is not matches[0].pairing for each in matches):
        raise ExportError("A file of matches is of one pairing; give at least one match of it.")
    return matches[0].pairing
