"""Regions, exclusions and absent cells against a slow loop over cells, corners and weights."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.affinity import FUNCTIONS
from nlviz.ask.rows import allowed_keys
from tests.support import make
from tests.test_affinity import plain_matrix


def holds(region, x, y):
    """A ray to the right, corner by corner."""
    inside = False
    corners = region.outline
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside


def excluded(view, own, queries, keys):
    """Keys that hold the centre of a query cell, or lie in one where they are finer."""
    found = np.zeros(keys.shape, bool)
    fine = keys.rows * keys.cols > queries.rows * queries.cols
    for cell in own:
        frames = set(view.positions(cell.t, queries))
        centre = view.cell(view.point(cell, queries), keys)
        at = [
            view.cell(view.point(nlviz.Cell(0, r, 0), keys), queries).row for r in range(keys.rows)
        ]
        to = [
            view.cell(view.point(nlviz.Cell(0, 0, c), keys), queries).col for c in range(keys.cols)
        ]
        rows = [r for r, there in enumerate(at) if fine and there == cell.row] or [centre.row]
        cols = [c for c, there in enumerate(to) if fine and there == cell.col] or [centre.col]
        for s in range(keys.t):
            if frames & set(view.positions(s, keys)):
                found[s][np.ix_(rows, cols)] = True
    return found


def lasso(rng, frame, corners=9):
    return nlviz.Region(frame, tuple(map(tuple, rng.uniform((0, 0), (64, 48), (corners, 2)))))


def test_the_cells_of_an_outline_are_those_a_ray_finds_inside():
    rng, view = np.random.default_rng(3), make.analysis().view
    for number in range(60):
        grid = nlviz.Grid(4, int(rng.integers(2, 14)), int(rng.integers(2, 14)))
        region = lasso(rng, 5, 3 + number % 12)
        if number % 3 == 0:  # corners on centres and on the edge
            corners = np.round(np.array(region.outline) / 4) * 4
            region = nlviz.Region(5, tuple(map(tuple, corners)))
        y, x = view.centres(grid)
        expected = {
            (1, r, c)
            for r in range(grid.rows)
            for c in range(grid.cols)
            if holds(region, x[c], y[r])
        }
        for r, c in np.ndindex(grid.rows, grid.cols):
            assert region.holds(x[c], y[r]) == ((1, r, c) in expected)
        if expected:
            cells = [(cell.t, cell.row, cell.col) for cell in view.cells(region, grid)]
            assert cells == sorted(expected)


@pytest.mark.parametrize("exclude", ["none", "cell", "frame"])
def test_exclusions_are_those_of_each_cell(exclude):
    rng = np.random.default_rng(4)
    view = nlviz.View((64, 48), (96, 80), (0, 5, 10, 15))
    for _ in range(40):
        queries, keys = (
            nlviz.Grid(
                int(rng.choice([2, 4])),
                *map(int, rng.integers(2, 12, 2)),
                stride=tuple(rng.uniform(1, 9, 3)) if rng.random() < 0.5 else None,
                first=tuple(rng.uniform(-2, 9, 3)),
            )
            for _ in range(2)
        )
        own = [queries.cell(int(i)) for i in rng.integers(0, queries.size, 7)]
        own = [replace(cell, t=own[0].t) for cell in own]
        got = allowed_keys(view, own, queries, keys, exclude)
        expected = excluded(view, own, queries, keys)
        if exclude == "frame":
            expected |= expected.any(axis=(1, 2), keepdims=True)
        np.testing.assert_array_equal(got, ~expected if exclude != "none" else True | expected)


def with_holes(function="embedded_gaussian", seed=5):
    """Two heads, two tokens, groups; a third of the queries and of the keys are not there."""
    analysis, rng = make.analysis(function), np.random.default_rng(seed)
    queries, keys = nlviz.Grid(4, 6, 8), nlviz.Grid(4, 3, 4)
    reach = []
    here = rng.random(queries.size + 2) < 0.66, rng.random(keys.size + 2) < 0.66
    here[0][-2:] = here[1][-2:] = True, False  # the second token is padding
    for _ in range(2):
        query, key = rng.integers(0, 3, queries.size + 2), rng.integers(0, 3, keys.size + 2)
        reach.append(nlviz.Groups(np.where(here[0], query, -1), np.where(here[1], key, -2)))
    affinity = nlviz.Affinity(
        function,
        rng.normal(size=(6, queries.size + 2)),
        rng.normal(size=(6, keys.size + 2)),
        queries,
        keys,
        heads=2,
        reach=tuple(reach),
        tokens=("class", "padding 1"),
    )
    sizes = {"holes": rng.random(keys.size).astype(np.float32)}
    return replace(analysis, affinities={"holes": affinity}, fidelity={"holes": 0.0}, sizes=sizes)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("head", [None, 1])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rank_by", ["affinity", "contribution"])
def test_a_region_is_the_mean_over_the_cells_that_are_there(function, head, reverse, rank_by):
    analysis, rng = with_holes(function), np.random.default_rng(6)
    affinity, view = analysis.affinity("holes"), analysis.view
    asked = affinity if head is None else affinity.head(head)
    weights = plain_matrix(asked)
    reached = np.zeros(weights.shape, bool)
    for groups in affinity.reach:
        reached |= groups.query[:, None] == groups.key
    own, other = affinity.query_grid, affinity.key_grid
    ranked = weights * np.append(analysis.sizes["holes"], (1, 1))
    if reverse:
        weights, ranked, reached, own, other = weights.T, ranked.T, reached.T, other, own
    for _ in range(8):
        region = lasso(rng, 10)
        query = nlviz.Query(
            region, "holes", exclude="cell", head=head, reverse=reverse, rank_by=rank_by
        )
        y, x = view.centres(own)
        inside = [
            own.index(nlviz.Cell(2, r, c))
            for r, c in np.ndindex(own.rows, own.cols)
            if holds(region, x[c], y[r])
        ]
        there = [i for i in inside if reached[i].any()]
        if not there:
            with pytest.raises(nlviz.QueryError):
                nlviz.row_of(analysis, query)
            continue
        row = nlviz.row_of(analysis, query)
        assert [own.index(cell) for cell in row.cells] == there
        size = other.size
        np.testing.assert_allclose(row.weights.ravel(), weights[there].mean(0)[:size], atol=1e-6)
        able = reached[there].any(0)
        np.testing.assert_array_equal(row.reached.ravel(), able[:size])
        out = excluded(view, row.cells, own, other).ravel()
        np.testing.assert_array_equal(row.allowed.ravel(), able[:size] & ~out)
        if rank_by == "contribution":
            np.testing.assert_allclose(row.ranked.ravel(), ranked[there].mean(0)[:size], atol=1e-6)
        if not reverse:
            names = [n for n, can in zip(affinity.tokens, able[size:], strict=True) if can]
            assert list(row.tokens) == names
            assert "padding 1" not in row.tokens


@pytest.mark.parametrize("reverse", [False, True])
def test_a_place_without_a_query_is_told_where_queries_lie(reverse):
    analysis = make.analysis()
    grid = nlviz.Grid(4, 6, 8)
    whole = analysis.affinity("fine")
    here = np.zeros(grid.shape, bool)
    here[1:3, 2:4, 4:] = True
    group = np.where(here.ravel(), 0, -1 if reverse else -2)
    every = np.zeros(grid.size)
    reach = nlviz.Groups(*((every, group) if reverse else (group, every)))
    part = replace(analysis, affinities={"fine": replace(whole, reach=(reach,))})
    what = "keys" if reverse else "queries"
    for place in (nlviz.Point(5, 2, 20), nlviz.Point(0, 40, 20), nlviz.Region.box(5, 0, 0, 30, 48)):
        with pytest.raises(
            nlviz.QueryError,
            match=f"its {what} lie on frames 5, 10, within x 32 to 64 and y 16 to 32; choose",
        ):
            nlviz.row_of(part, nlviz.Query(place, "fine", reverse=reverse))
    row = nlviz.row_of(part, nlviz.Query(nlviz.Point(5, 40, 20), "fine", reverse=reverse))
    assert row.weights.any()


def test_a_region_never_holds_a_table_of_its_cells_by_all_keys(monkeypatch):
    """Columns and rows are asked in small parts, and what can be reached for all cells at once."""
    analysis = with_holes()
    asked = []
    real = nlviz.Affinity.weights
    monkeypatch.setattr("nlviz.ask.rows._CHUNK_BYTES", 4 * 60 * 5)
    monkeypatch.setattr(
        nlviz.Affinity, "weights", lambda self, cells: asked.append(len(cells)) or real(self, cells)
    )
    monkeypatch.setattr(nlviz.Affinity, "reached", lambda *_: pytest.fail("cell by cell"))
    region = nlviz.Region.box(5, 0, 0, 64, 48)
    row = nlviz.row_of(analysis, nlviz.Query(region, "holes"))
    assert sum(asked) == len(row.cells)
    assert max(asked) <= 6


def test_the_box_that_is_told_is_the_box_that_is_accepted():
    """Also where cells of a grid end before the frame does, or hang over it."""
    rng, analysis = np.random.default_rng(9), make.analysis()
    view = nlviz.View((64, 48), (96, 80), (0, 5, 10, 15))
    edges = set()
    for _ in range(25):
        grid = nlviz.Grid(
            int(rng.choice([2, 4])),
            *map(int, rng.integers(2, 7, 2)),
            stride=(2.0, *rng.uniform(4, 14, 2)),
            first=(float(rng.uniform(0, 3)), *rng.uniform(-3, 20, 2)),
        )
        there = np.zeros(grid.shape, bool)
        low = [int(rng.integers(0, n)) for n in grid.shape]
        high = [int(rng.integers(a, n)) + 1 for a, n in zip(low, grid.shape, strict=True)]
        there[tuple(slice(*ends) for ends in zip(low, high, strict=True))] = True
        group = nlviz.Groups(np.where(there.ravel(), 0, -1), np.zeros(grid.size))
        theta = rng.normal(size=(2, grid.size))
        affinity = nlviz.Affinity("gaussian", theta, theta, grid, grid, reach=(group,))
        part = replace(analysis, view=view, affinities={"part": affinity}, fidelity={"part": None})
        points = [
            nlviz.Point(frame, x, y)
            for frame in view.frames
            for x in np.linspace(0, 63.99, 17)
            for y in np.linspace(0, 47.99, 13)
        ]
        accepted, said = set(), set()
        for point in points:
            try:
                nlviz.row_of(part, nlviz.Query(point, "part"))
                accepted.add(point)
            except nlviz.QueryError as error:
                said.add(str(error))
        if not accepted or not said:
            continue
        (sentence,) = said
        told = re.search(
            r"on frames? ([\d, ]+), within x (\S+) to (\S+) and y (\S+) to (\S+); choose", sentence
        )
        frames, (left, right, top, bottom) = told[1], map(float, told.groups()[1:])
        edges |= {left == 0, right == 64, top == 0, bottom == 48}
        inside = {
            point
            for point in points
            if str(point.frame) in frames.split(", ")
            and left <= point.x < right
            and top <= point.y < bottom
        }
        assert inside == accepted
    assert edges == {True, False}


def pool(frames=4):
    """Two learned vectors ask all places of a clip; no place asks."""
    analysis = make.analysis(frames=frames)
    grid = nlviz.Grid(frames, 6, 8)
    rng = np.random.default_rng(2)
    query = np.append(np.full(grid.size, -1), [0, 0])
    key = np.append(np.zeros(grid.size), [-2, -2])
    theta, phi = (rng.normal(size=(3, grid.size + 2)) for _ in range(2))
    affinity = nlviz.Affinity(
        "embedded_gaussian",
        theta,
        phi,
        grid,
        grid,
        reach=(nlviz.Groups(query, key),),
        tokens=("probe 1", "probe 2"),
    )
    return replace(analysis, affinities={"pool": affinity}, fidelity={"pool": 0.0})


def test_where_only_tokens_ask_a_place_is_told_which():
    with pytest.raises(nlviz.QueryError, match="no queries on the picture; ask a token: probe 1, "):
        nlviz.top_links(pool(), nlviz.Query(nlviz.Point(5, 2, 2), "pool"))
    assert nlviz.top_links(pool(), nlviz.Query("probe 2", "pool"))


def test_who_looks_here_names_the_tokens_that_do():
    asked = nlviz.Query(nlviz.Point(5, 2, 2), "pool", reverse=True)
    with pytest.raises(nlviz.QueryError) as refused:
        nlviz.top_links(pool(), asked)
    assert "only tokens look there, probe 1, probe 2, which have no place" in str(refused.value)
    assert "Nothing" not in str(refused.value)


def test_a_place_that_reaches_tokens_alone_is_told_which():
    analysis = pool()
    affinity = analysis.affinity("pool")
    query, key = np.append(np.zeros(192), [-1, -1]), np.append(np.full(192, -2), [0, -2])
    turned = replace(affinity, reach=(nlviz.Groups(query, key),))
    one = replace(analysis, affinities={"pool": turned})
    with pytest.raises(nlviz.QueryError, match="reaches only tokens, probe 1, which have no place"):
        nlviz.top_links(one, nlviz.Query(nlviz.Point(5, 2, 2), "pool"))
