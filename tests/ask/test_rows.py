"""Rows, columns and regions against the whole matrix, with heads, tokens and reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.affinity import FUNCTIONS
from tests.support import make
from tests.test_affinity import plain_matrix

BOX = nlviz.Region.box(5, 9, 9, 40, 30)


def asked(point, block="coarse", **options):
    return nlviz.Query(point, block, **{"exclude": "none", **options})


def inside(view, grid, region):
    """Positions of the cells of the region's frame whose centres lie in its bounds."""
    x0, y0, x1, y1 = region.bounds
    found = []
    for i in range(grid.size):
        centre = view.point(grid.cell(i), grid)
        if centre.frame == region.frame and x0 < centre.x < x1 and y0 < centre.y < y1:
            found.append(i)
    return found


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("block", ["coarse", "special"])
def test_a_region_is_the_mean_of_its_rows_and_in_reverse_of_its_columns(function, block):
    analysis = make.analysis(function, special=True)
    affinity = analysis.affinity(block)
    matrix = plain_matrix(affinity)
    n, m = affinity.query_grid.size, affinity.key_grid.size
    own = inside(analysis.view, affinity.query_grid, BOX)
    assert len(own) == 12
    row = nlviz.row_of(analysis, asked(BOX, block))
    assert [affinity.query_grid.index(cell) for cell in row.cells] == own
    mean = matrix[own].mean(0)
    np.testing.assert_allclose(row.weights.ravel(), mean[:m], atol=1e-6)
    assert list(row.tokens.values()) == pytest.approx(list(mean[m:]), abs=1e-6)
    assert row.total == pytest.approx(np.abs(mean).sum(), rel=1e-5)
    own = inside(analysis.view, affinity.key_grid, BOX)
    column = nlviz.row_of(analysis, asked(BOX, block, reverse=True))
    assert column.grid == affinity.query_grid
    np.testing.assert_allclose(column.weights.ravel(), matrix[:n, own].mean(1), atol=1e-6)
    assert not column.tokens


@pytest.mark.parametrize("reverse", [False, True])
def test_one_head_and_one_token_are_asked_alone(reverse):
    analysis = make.analysis(special=True)
    whole = analysis.affinity("special")
    matrix = plain_matrix(whole.head(1))
    n, m = whole.query_grid.size, whole.key_grid.size
    row = nlviz.row_of(analysis, asked("class", "special", head=1, reverse=reverse))
    expected = matrix[:n, m] if reverse else matrix[n, :m]
    np.testing.assert_allclose(row.weights.ravel(), expected, atol=1e-6)
    assert row.cells == ()
    np.testing.assert_array_equal(row.reached.ravel(), expected > 0)
    with pytest.raises(nlviz.QueryError, match="Head 2 does not exist; choose 0 to 1"):
        nlviz.row_of(analysis, asked("class", "special", head=2))


@pytest.mark.parametrize("block", ["coarse", "fine", "special"])
@pytest.mark.parametrize("exclude", ["none", "cell", "frame"])
def test_links_in_reverse_are_the_heaviest_allowed_weights_of_the_column(block, exclude):
    analysis, point = make.analysis(special=True), nlviz.Point(5, 30.0, 20.0)
    affinity, view = analysis.affinity(block), analysis.view
    key = view.cell(point, affinity.key_grid)
    queries = affinity.query_grid
    column = plain_matrix(affinity)[: queries.size, affinity.key_grid.index(key)]
    allowed = column > 0
    for i in range(queries.size):
        cell = queries.cell(i)
        same = view.cell(view.point(cell, queries), affinity.key_grid)
        if (exclude == "cell" and same == key) or (exclude == "frame" and cell.t == key.t):
            allowed[i] = False
    query = asked(point, block, k=9, reverse=True, exclude=exclude)
    np.testing.assert_array_equal(nlviz.row_of(analysis, query).allowed.ravel(), allowed)
    links = nlviz.top_links(analysis, query)
    expected = np.sort(column[allowed])[::-1][:9]
    np.testing.assert_allclose([link.weight for link in links], expected, rtol=1e-5)
    assert all(link.source == point for link in links)
    share = column[allowed].max() / column.sum()
    assert links[0].share == pytest.approx(share, rel=1e-5)


def test_a_token_excludes_nothing_and_its_links_have_no_source():
    analysis = make.analysis(special=True)
    links = nlviz.top_links(analysis, nlviz.Query("class", "special", 500))
    assert {link.source for link in links} == {None}
    weights = nlviz.row_of(analysis, nlviz.Query("class", "special"))
    assert len(links) == int(weights.reached.sum())
    covered = sum(link.share for link in links)
    assert covered == pytest.approx(1 - sum(weights.tokens.values()), abs=1e-5)


def test_a_lasso_holds_what_lies_inside_its_outline():
    bent = nlviz.Region(5, ((8, 8), (56, 8), (56, 40), (40, 40), (40, 16), (8, 16)))
    cells = make.analysis().view.cells(bent, nlviz.Grid(4, 6, 8))
    expected = {(1, 1, col) for col in range(1, 7)} | {
        (1, row, col) for row in (2, 3, 4) for col in (5, 6)
    }
    assert {(cell.t, cell.row, cell.col) for cell in cells} == expected
    crossing = nlviz.Region(5, ((0, 0), (64, 48), (64, 0), (0, 48)))
    assert crossing.holds(8, 24)
    assert not crossing.holds(32, 8)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (nlviz.Region.box(5, 9, 9, 65, 30), r"from \(9, 9\) to \(65, 30\) reaches over the edge"),
        (nlviz.Region.box(5, 9, 9, 11, 11), "holds the centre of no cell; cells are 8×8 pixels"),
        (nlviz.Region.box(7, 9, 9, 40, 30), "Frame 7 was not sampled"),
    ],
)
def test_a_wrong_region_says_what_is_allowed(region, message):
    with pytest.raises(nlviz.QueryError, match=message):
        nlviz.row_of(make.analysis(), asked(region))
    with pytest.raises(nlviz.QueryError, match="needs at least 3 corners; got 2"):
        nlviz.Region(0, ((1, 1), (2, 2)))
    with pytest.raises(nlviz.QueryError, match="must be numbers"):
        nlviz.Region.box(0, 1, 1, float("nan"), 2)


def test_a_query_that_reaches_nothing_is_told():
    analysis = make.analysis(special=True)
    with pytest.raises(nlviz.QueryError, match="be reached from there in block 'alone'"):
        nlviz.top_links(analysis, asked(nlviz.Point(0, 1, 1), "alone"))


def test_contributions_in_reverse_are_the_mean_of_the_columns_times_what_each_key_adds():
    analysis = make.analysis(special=True)
    affinity = analysis.affinity("special")
    sizes = np.random.default_rng(3).uniform(1, 2, affinity.key_grid.size).astype(np.float32)
    analysis = replace(analysis, sizes={"special": sizes})
    own = inside(analysis.view, affinity.key_grid, BOX)
    query = asked(BOX, "special", reverse=True, rank_by="contribution")
    found = nlviz.row_of(analysis, query).contributions
    expected = plain_matrix(affinity)[: affinity.query_grid.size, own] * sizes[own]
    np.testing.assert_allclose(found.ravel(), expected.mean(1), atol=1e-6)
    with pytest.raises(nlviz.QueryError, match=r"token 'class' .* adds was not measured; rank by"):
        nlviz.row_of(analysis, replace(query, point="class"))
