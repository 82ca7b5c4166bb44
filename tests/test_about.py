"""What is said of a block: where its queries and keys lie."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from nlviz.about import about
from tests.support import make

CELLS = nlviz.Grid(4, 6, 8, stride=(1, 8, 8), first=(0.5, 4, 4))


def affinity(keys=CELLS, *, asking=None, asked=None, tokens=()):
    """Random, with queries and keys at some cells only, and tokens at both."""
    rng = np.random.default_rng(0)
    n, m = (grid.size + len(tokens) for grid in (CELLS, keys))
    reach = ()
    if asking is not None or asked is not None:
        query = np.where(np.resize(True if asking is None else asking, CELLS.size), 0, -1)
        key = np.where(np.resize(True if asked is None else asked, keys.size), 0, -2)
        more = np.zeros(len(tokens))
        reach = (nlviz.Groups(np.append(query, more), np.append(key, more)),)
    theta, phi = rng.normal(size=(2, n)), rng.normal(size=(2, m))
    return nlviz.Affinity("gaussian", theta, phi, CELLS, keys, reach=reach, tokens=tokens)


FIRST = np.arange(CELLS.size) < 48
SOME = np.arange(CELLS.size) % 3 == 0


@pytest.mark.parametrize(
    ("block", "queries", "keys", "grids"),
    [
        (affinity(), "", "keys on every cell", ("4×6×8", "4×6×8")),
        (
            affinity(CELLS.pooled((4, 3, 4))),
            "",
            "keys pooled 1×2×2",
            ("4×6×8", "4×3×4"),
        ),
        (
            affinity(asking=False, tokens=("probe",)),
            "queries are tokens alone",
            "keys on every cell",
            ("tokens alone", "4×6×8"),
        ),
        (
            affinity(asked=False, tokens=("latent",)),
            "",
            "keys are tokens alone",
            ("4×6×8", "tokens alone"),
        ),
        (
            affinity(asking=SOME, asked=FIRST),
            "queries on 64 of 192 cells",
            "keys on time step 0",
            ("64 of 192 cells of 4×6×8", "48 of 192 cells of 4×6×8"),
        ),
        (
            affinity(nlviz.Grid(4, 3, 8, stride=(1, 8, 8), first=(0.5, 4, 4))),
            "",
            "keys on a grid of their own, 4×3×8",
            ("4×6×8", "4×3×8"),
        ),
        (
            affinity(nlviz.Grid(4, 6, 8, stride=(1, 8, 8), first=(0.5, 6, 4))),
            "",
            "keys on a grid of their own, 4×6×8",
            ("4×6×8", "4×6×8"),
        ),
        (
            affinity(CELLS.pooled((4, 3, 4)), asked=np.arange(48) < 5),
            "",
            "keys pooled 1×2×2, on 5 of 48 cells",
            ("4×6×8", "5 of 48 cells of 4×3×4"),
        ),
    ],
)
def test_where_queries_and_keys_lie_is_said(block, queries, keys, grids):
    found = about("nl", "non-local block", block, make.analysis().view, 0.0)
    assert found.queries == queries
    assert found.keys == keys
    assert block.grids_in_words == grids
    assert f"{f'{queries}; ' if queries else ''}{keys}" in found.sentences[1]
    assert all(f"<td>{words}</td>" in block._repr_html_() for words in grids)
