"""Neighbours: a row over two windows is theirs and nobody else's, and says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz import Affinity, Analysis, Clip, Grid, Groups, View
from nlviz.analysis import JOINED
from nlviz.errors import QueryError
from nlviz.export import Session, open_session, save
from nlviz.figures import film_strip
from nlviz.provenance import Provenance
from nlviz.windows.joining import joined
from tests.support import make
from tests.windows import support


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return support.folder(tmp_path_factory.mktemp("long") / "clip")


@pytest.mark.parametrize("function", ["gaussian", "dot_product", "concatenation"])
def test_a_row_over_neighbours_is_that_of_their_own_keys_normalised_anew(home, function):
    """Against a slow loop: f with each key of each window, the own window's in the overlaps."""
    long = support.long(home, network=make.network_that_matters(function, seed=1))
    own, frame = long.of(5), 5
    found = long.around(frame)
    assert found.clip.indices == tuple(range(0 if own.number == 1 else 2, 10))
    windows = {n: long.window(n) for n in (own.number - 1, own.number, own.number + 1)}
    query = support.query(frame, exclude="none")
    mine = windows[own.number].affinity("second")
    cell = windows[own.number].view.cell(query.point, mine.query_grid)
    theta = mine.theta[:, mine.query_grid.index(cell)].astype(np.float64)
    logits = []
    for index in found.clip.indices:
        holder = min(
            (n for n, each in windows.items() if index in each.clip.indices),
            key=lambda n: (n != own.number, n),
        )
        affinity = windows[holder].affinity("second")
        t = windows[holder].clip.indices.index(index)
        phi = affinity.phi.reshape(affinity.width, *affinity.key_grid.shape)[:, t]
        logits.append(affinity.scale * np.einsum("c,cij->ij", theta, phi.astype(np.float64)))
    slow = np.stack(logits)
    if function == "gaussian":
        slow = np.exp(slow - slow.max())
        slow /= slow.sum()
    else:
        slow = np.maximum(slow, 0 if function == "concatenation" else -np.inf) / slow.size
    row = nlviz.row_of(found, query)
    assert np.allclose(row.weights, slow, rtol=1e-4, atol=1e-9)


def test_a_joined_block_is_labelled_and_claims_nothing_of_the_network(home):
    long = support.long(home)
    found = long.around(5)
    assert found.is_joined
    assert not long.at(5).is_joined
    assert found.fidelity == {"first": None, "second": None}
    assert found.prediction == ()
    assert JOINED in found.about("second").sentences[0]
    assert found.network == f"{long.network.name} (windows joined)"
    assert any("The network never weighed" in note for note in found.clip.notes)
    query = support.query(5)
    assert Provenance.of(found, [query]).command is None  # no command gives it as one pass
    assert Provenance.of(long.at(5), [query], command="x").command == "x"


def test_figures_and_sessions_of_joined_windows_say_so(home):
    found = support.long(home).around(5)
    links = nlviz.top_links(found, support.query(5))
    (words,) = (
        text for page in film_strip(found, [links]).drawing.axes for text in page.texts
        if "windows joined" in text.get_text()
    )  # fmt: skip
    assert words.get_text().startswith("tiny (windows joined) second")
    made = Provenance.of(found)
    assert open_session(save(Session(found, made)), "a").analysis.is_joined


def test_the_first_window_has_one_neighbour_and_a_short_clip_none(home, tmp_path):
    long = support.long(home)
    assert long.around(0).clip.indices == tuple(range(6))
    alone = support.long(support.folder(tmp_path / "short", 3))
    assert len(alone) == 1
    assert not alone.around(1).is_joined


def test_windows_that_come_out_uneven_are_joined_at_their_own_places(home):
    long = support.long(home)  # the last one begins one frame, not two, after the one before
    found = long.around(10)
    assert found.clip.indices == tuple(range(6, 11))
    assert found.affinity("second").query_grid.t == 5
    last = long.window(4).affinity("second")
    size = last.query_grid.rows * last.query_grid.cols
    assert np.array_equal(found.affinity("second").theta[:, size:], last.theta)


def _window(first: int, *, reach=(), tokens=(), step=1, frames=4) -> Analysis:
    grid = Grid(frames // step, 1, 2, (float(step), 8.0, 8.0), (step / 2, 4.0, 4.0))
    indices = tuple(range(first, first + frames))
    clip = Clip(
        np.zeros((frames, 8, 16, 3), np.uint8), indices, tuple(map(float, indices)), "a", 99
    )
    theta = np.ones((2, grid.size + len(tokens)), np.float32)
    groups = tuple(Groups(np.arange(grid.size) // 2, np.arange(grid.size) // 2) for _ in reach)
    affinity = Affinity("gaussian", theta, theta, grid, grid, reach=groups, tokens=tokens)
    return Analysis(clip, View((16, 8), (16, 8), indices), "n", {"b": affinity}, {"b": 0.0})


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"reach": ("frames",)}, "looks within a part of its window only"),
        ({"tokens": ("class",)}, r"weighs tokens too \(class\)"),
    ],
)
def test_a_block_that_cannot_reach_its_neighbours_is_refused(block, told):
    with pytest.raises(QueryError, match=told):
        joined({0: _window(0, **block), 1: _window(2, **block)}, 0)


def test_windows_between_the_steps_of_a_block_are_refused():
    assert joined({0: _window(0, step=2), 1: _window(2, step=2)}, 0).affinity("b").query_grid.t == 3
    with pytest.raises(QueryError, match="begin between two of them"):
        joined({0: _window(0, step=2), 1: _window(3, step=2)}, 0)


def test_contributions_are_joined_with_their_keys(home):
    long = support.long(home, sizes=True)
    found = long.around(5)
    assert len(found.sizes["second"]) == found.affinity("second").key_grid.size
    query = support.query(5, rank_by="contribution")
    assert nlviz.top_links(found, query)[0].contribution is not None
