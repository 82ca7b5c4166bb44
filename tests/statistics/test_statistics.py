"""Statistics against a direct statement of each formula on the whole matrix."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.affinity import FUNCTIONS
from nlviz.statistics import block
from tests.support import make
from tests.test_affinity import plain_matrix

FRAMES, DIAGONAL = (0, 5, 10, 15), 80  # make.analysis: 64×48, every fifth frame of 25 a second


def located(analysis, grid, i):
    """(x, y, seconds, frame) of a cell's centre."""
    point = analysis.view.point(grid.cell(i), grid)
    return point.x, point.y, point.frame / 25, point.frame


def plain(matrix, analysis, affinity):
    """Every mean of a block's rows, one pair at a time."""
    n, m = affinity.query_grid.size, affinity.key_grid.size
    p = np.abs(matrix[:n, :m])
    p /= p.sum(1, keepdims=True)
    far = late = own = 0.0
    for i in range(n):
        x, y, seconds, frame = located(analysis, affinity.query_grid, i)
        for j in range(m):
            x2, y2, seconds2, frame2 = located(analysis, affinity.key_grid, j)
            far += p[i, j] * math.dist((x, y), (x2, y2)) / DIAGONAL / n
            late += p[i, j] * abs(seconds - seconds2) / n
            own += p[i, j] * (frame == frame2) / n
    nats = -sum(w * math.log(w) for w in p.ravel() if w) / n
    mean = p.mean(0)
    divergence = sum(w * math.log(w / mean[j]) for row in p for j, w in enumerate(row) if w) / n
    return far, late, own, nats, divergence


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["coarse", "special"])
def test_a_blocks_averages_are_those_of_its_matrix(function, name, monkeypatch):
    monkeypatch.setattr(block, "_CHUNK_BYTES", 8 * 48 * 50)  # 50 rows at a time, the last fewer
    analysis = make.analysis(function, special=True)
    affinity = analysis.affinity(name)
    said = []
    seen = nlviz.block_statistics(analysis, name, progress=lambda f, _: said.append(f))
    expected = plain(plain_matrix(affinity), analysis, affinity)
    got = (seen.distance, seen.duration, seen.own_frame, seen.entropy, seen.divergence)
    assert got == pytest.approx(expected, rel=1e-4)
    assert seen.effective == pytest.approx(math.exp(expected[3]), rel=1e-4)
    assert (seen.queries, seen.positions) == (192, 48)
    assert seen.by_distance.sum() == pytest.approx(1)
    assert said == [0, 50 / 192, 100 / 192, 150 / 192, 1]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_rows_differ_by_through_their_reach_is_that_of_even_rows(function):
    analysis = make.analysis(function, special=True)
    affinity = analysis.affinity("special")
    (groups,) = affinity.reach
    can = groups.query[:192, None] == groups.key[:48]
    even = can / can.sum(1, keepdims=True)
    expected = plain(even, analysis, affinity)[4]
    seen = nlviz.block_statistics(analysis, "special")
    assert seen.reach_divergence == pytest.approx(expected, rel=1e-6)
    assert 0.1 < expected < seen.divergence


def test_progress_can_stop_the_work():
    def stop(fraction, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nlviz.block_statistics(make.analysis(), "fine", progress=stop)


def test_one_head_is_averaged_alone():
    analysis = make.analysis(special=True)
    affinity = analysis.affinity("special").head(1)
    seen = nlviz.block_statistics(analysis, "special", head=1)
    assert seen.entropy == pytest.approx(plain(plain_matrix(affinity), analysis, affinity)[3])


@pytest.mark.parametrize("place", [nlviz.Point(5, 30, 20), nlviz.Region.box(5, 9, 9, 40, 30)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_a_profile_is_its_row_summed_up(place, reverse, function):
    analysis = make.analysis(function, special=True)
    query = nlviz.Query(place, "special", 7, reverse=reverse)
    seen, row = nlviz.profile(analysis, query), nlviz.row_of(analysis, query)
    p = np.abs(row.weights.astype(float)).ravel()
    p /= p.sum()
    own = [analysis.view.point(cell, row_grid(analysis, query)) for cell in row.cells]
    x, y = np.mean([(point.x, point.y) for point in own], axis=0)
    places = [located(analysis, row.grid, j) for j in range(row.grid.size)]
    far = np.array([math.dist((x, y), there[:2]) / DIAGONAL for there in places])
    late = np.array([there[2] - 5 / 25 for there in places])
    frames = np.array([there[3] for there in places])
    assert seen.distance == pytest.approx(far @ p)
    assert seen.duration == pytest.approx(np.abs(late) @ p)
    assert seen.own_frame == pytest.approx(p[frames == 5].sum())
    assert list(seen.by_frame) == pytest.approx([p[frames == f].sum() for f in FRAMES])
    assert list(seen.seconds) == pytest.approx([-0.2, 0, 0.2, 0.4])
    assert list(seen.by_second) == pytest.approx(list(seen.by_frame))
    inside = np.histogram(far + 1e-9, seen.edges, weights=p)[0]
    assert list(seen.by_distance) == pytest.approx(list(inside))
    assert seen.entropy == pytest.approx(-sum(w * math.log(w) for w in p if w))
    assert seen.positions == row.reached.sum()
    heaviest = sorted(row.weights[row.allowed].tolist(), reverse=True)[:7]
    assert seen.links == pytest.approx(sum(map(abs, heaviest)) / row.total, rel=1e-5)
    assert seen.tokens == pytest.approx(sum(map(abs, row.tokens.values())) / row.total)


def row_grid(analysis, query):
    affinity = analysis.affinity(query.block)
    return affinity.key_grid if query.reverse else affinity.query_grid


def test_an_image_has_no_time_and_a_token_no_place():
    image = nlviz.profile(make.analysis(frames=1), nlviz.Query(nlviz.Point(0, 1, 1), "fine"))
    assert image.duration is image.seconds is image.by_second is None
    assert image.links == 0  # the only frame is left out
    assert image.distance > 0
    assert nlviz.block_statistics(make.analysis(frames=1), "fine").duration is None
    token = nlviz.profile(make.analysis(special=True), nlviz.Query("class", "special"))
    assert token.distance is token.by_distance is token.own_frame is None
    assert token.by_frame.sum() == pytest.approx(1)


def constant(analysis, name, spread=0.0, **options):
    """The analysis with every query of one block alike, up to ``spread``."""
    affinity = analysis.affinity(name)
    theta = np.repeat(affinity.theta[:, :1], affinity.theta.shape[1], axis=1)
    theta = theta + spread * affinity.theta
    return replace(analysis, affinities={name: replace(affinity, theta=theta, **options)})


def test_rows_that_are_all_alike_are_said_to_look_nowhere():
    analysis = make.analysis()
    alike = nlviz.block_statistics(constant(analysis, "fine"), "fine")
    assert alike.divergence < 1e-9
    assert alike.words.startswith("Block fine pools globally and does not look anywhere")
    looking = nlviz.block_statistics(analysis, "fine")
    assert not looking.alike
    assert looking.words.startswith("Block fine looks")


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.05, 0.1])
def test_alike_means_that_less_than_a_twentieth_of_the_weight_moves(spread):
    analysis = constant(make.analysis(), "fine", spread)
    seen = nlviz.block_statistics(analysis, "fine")
    matrix = analysis.affinity("fine").matrix()
    moved = np.abs(matrix - matrix.mean(0)).sum(1).mean() / 2
    assert moved <= math.sqrt(seen.divergence / 2)  # Pinsker
    assert seen.alike == (seen.divergence < 0.005)
    assert not seen.alike or moved < 0.05
    assert seen.alike == (spread < 0.1)  # the threshold lies within what is tried here


def test_what_reach_makes_rows_differ_by_is_not_looking():
    analysis = make.analysis()
    affinity = analysis.affinity("fine")
    step = np.arange(affinity.query_grid.size) // 48
    framewise = (nlviz.Groups(step, step),)
    alike = nlviz.block_statistics(constant(analysis, "fine", reach=framewise), "fine")
    assert alike.reach_divergence == pytest.approx(math.log(4))
    assert alike.divergence == pytest.approx(math.log(4))
    assert alike.words.startswith("Block fine pools within its reach and does not look anywhere")
    apart = replace(analysis, affinities={"fine": replace(affinity, reach=framewise)})
    assert not nlviz.block_statistics(apart, "fine").alike


def test_a_block_with_one_position_or_no_weight_is_told():
    analysis = make.analysis()
    one = nlviz.Grid(1, 1, 1)
    single = nlviz.Affinity("gaussian", np.ones((1, 1)), np.ones((1, 1)), one, one)
    lonely = replace(analysis, affinities={"last": single})
    query = nlviz.Query(nlviz.Point(0, 1, 1), "last", exclude="none")
    for ask in (
        lambda: nlviz.block_statistics(lonely, "last"),
        lambda: nlviz.profile(lonely, query),
    ):
        with pytest.raises(nlviz.QueryError, match="'last' has one position, which gets all"):
            ask()
    fine = analysis.affinity("fine")
    dead = replace(fine, function="dot_product", theta=np.zeros_like(fine.theta))
    dark = replace(analysis, affinities={"fine": dead})
    with pytest.raises(nlviz.QueryError, match="All weights of block 'fine' are zero"):
        nlviz.block_statistics(dark, "fine")
    with pytest.raises(nlviz.QueryError, match="All weights of this query"):
        nlviz.profile(dark, nlviz.Query(nlviz.Point(0, 1, 1), "fine"))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", ["memory", "kept"])
def test_averages_leave_out_cells_without_a_query_and_count_the_keys_that_are_there(function, name):
    analysis = make.partial(function)
    affinity = analysis.affinity(name)
    (groups,) = affinity.reach
    asking, asked = (
        np.flatnonzero(group[: grid.size] == 0)
        for group, grid in ((groups.query, affinity.query_grid), (groups.key, affinity.key_grid))
    )
    whole = plain_matrix(affinity)
    seen = nlviz.block_statistics(analysis, name)
    p = np.abs(whole[asking, : affinity.key_grid.size])
    p = p[p.sum(1) > 0]
    p /= p.sum(1, keepdims=True)
    assert 0 < len(p) <= len(asking) < affinity.query_grid.size
    assert (seen.queries, seen.positions) == (len(p), len(asked))
    assert seen.entropy == pytest.approx(-sum(w * math.log(w) for w in p.ravel() if w) / len(p))
    assert seen.reach_divergence == pytest.approx(0, abs=1e-9)  # all reach the same keys
    if name == "memory":
        assert seen.own_frame == 0
        assert 0.2 <= seen.duration <= 0.6
    point = analysis.view.point(affinity.query_grid.cell(int(asking[0])), affinity.query_grid)
    found = nlviz.profile(analysis, nlviz.Query(point, name, exclude="none"))
    assert found.positions == len(asked)
    assert found.effective <= len(asked)


def test_a_block_without_queries_or_with_one_key_on_the_picture_is_told():
    analysis = make.partial()
    affinity = analysis.affinity("kept")
    (groups,) = affinity.reach
    n, m = affinity.query_grid.size, affinity.key_grid.size

    def asked(query, key):
        reach = (nlviz.Groups(query, key),)
        return replace(analysis, affinities={"kept": replace(affinity, reach=reach)})

    tokens_ask = asked(np.where(np.arange(n + 2) < n, -1, 0), groups.key)
    with pytest.raises(nlviz.QueryError, match=r"no queries on the picture.*one of its tokens"):
        nlviz.block_statistics(tokens_ask, "kept")
    tokens_are_asked = asked(groups.query, np.where(np.arange(m + 2) < m, -2, 0))
    with pytest.raises(nlviz.QueryError, match="no keys on the picture"):
        nlviz.block_statistics(tokens_are_asked, "kept")
    one = asked(np.zeros(n + 2), np.where(np.arange(m + 2) == 5, 0, -2))
    query = nlviz.Query(nlviz.Point(0, 1, 1), "kept", exclude="none")
    for ask in (
        lambda: nlviz.block_statistics(one, "kept"),
        lambda: nlviz.profile(one, query),
    ):
        with pytest.raises(nlviz.QueryError, match="'kept' has one position"):
            ask()
