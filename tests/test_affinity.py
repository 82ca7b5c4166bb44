"""Rows, columns and tops against the whole matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nlviz import Affinity, BudgetError, Cell, Grid, Groups, LinkBits, QueryError
from nlviz.affinity import FUNCTIONS
from nlviz.ask.places import Side

QUERIES, KEYS = Grid(2, 4, 5), Grid(2, 2, 2)


def make(function: str, seed: int = 0, width: int = 3) -> Affinity:
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(width, QUERIES.size)).astype(np.float32)
    phi = rng.normal(size=(width, KEYS.size)).astype(np.float32)
    return Affinity(function, theta, phi, QUERIES, KEYS)


def make_special(function: str, heads: int = 3, tokens: int = 2, reach: int = 2) -> Affinity:
    """Several heads, tokens at the end, and two ways of grouping: like criss-cross in windows."""
    rng = np.random.default_rng(7)
    n, m = QUERIES.size + tokens, KEYS.size + tokens
    groups = [Groups(rng.integers(0, 3, n), rng.integers(0, 3, m)) for _ in range(reach)]
    theta, phi = rng.normal(size=(heads * 4, n)), rng.normal(size=(heads * 4, m))
    names = ("class", "register")[:tokens]
    return Affinity(
        function, theta, phi, QUERIES, KEYS, 0.7, heads=heads, reach=tuple(groups), tokens=names
    )


def can_link(links: Groups | LinkBits, i: int, j: int) -> bool:
    if isinstance(links, LinkBits):
        return bool(np.unpackbits(links.bits[i])[j])
    return bool(links.query[i] <= links.key[j] <= links.last[i])


def plain_matrix(affinity: Affinity) -> np.ndarray:
    """f/C from the equations, a pair at a time."""
    n, m = affinity.theta.shape[1], affinity.phi.shape[1]
    matrix = np.zeros((n, m))
    width = len(affinity.theta) // affinity.heads
    for head in range(affinity.heads):
        channels = slice(head * width, (head + 1) * width)
        for i in range(n):
            keys = [
                j
                for j in range(m)
                if not affinity.reach or any(can_link(g, i, j) for g in affinity.reach)
            ]
            theta, phi = affinity.theta[channels, i].astype(float), affinity.phi[channels][:, keys]
            f, constant = affinity.scale * theta @ phi, len(keys)
            if affinity.rows_sum_to_one:
                f = np.exp(f)
                constant = f.sum()
            elif affinity.function == "concatenation":
                f = np.maximum(f, 0)
            matrix[i, keys] += f / (constant or 1) / affinity.heads
    return matrix


@pytest.mark.parametrize("function", FUNCTIONS)
def test_rows_columns_and_matrix_agree(function):
    affinity = make(function)
    expected = plain_matrix(affinity)
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-6)
    for i in (0, 7, QUERIES.size - 1):
        row = affinity.row(QUERIES.cell(i))
        assert row.shape == KEYS.shape
        np.testing.assert_allclose(row.ravel(), expected[i], atol=1e-6)
    for j in range(KEYS.size):
        column = affinity.column(KEYS.cell(j))
        assert column.shape == QUERIES.shape
        np.testing.assert_allclose(column.ravel(), expected[:, j], atol=1e-6)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("heads", "tokens", "reach"), [(3, 0, 0), (1, 2, 0), (1, 0, 1), (3, 2, 2)])
def test_heads_tokens_and_reach_are_those_of_the_equations(function, heads, tokens, reach):
    affinity = make_special(function, heads, tokens, reach)
    expected = plain_matrix(affinity)
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-6)
    cells, keys = QUERIES.size, KEYS.size
    queries = [*map(QUERIES.cell, range(cells)), *affinity.tokens]
    rows = affinity.rows(queries).reshape(len(queries), -1)
    np.testing.assert_allclose(rows, expected[:, :keys], atol=1e-6)
    for i in (0, 9, len(queries) - 1):
        np.testing.assert_allclose(
            affinity.token_weights(queries[i]), expected[i, keys:], atol=1e-6
        )
        can = affinity.reached(queries[i]).ravel()
        assert not expected[i, :keys][~can].any()
        assert can.all() or reach
        best, weights = affinity.top(queries[i], keys)
        assert {KEYS.index(cell) for cell in best} == set(np.flatnonzero(can))
        own = affinity.row(queries[i]).ravel()
        np.testing.assert_array_equal(weights, np.sort(own[can])[::-1])
    for j, key in enumerate([*map(KEYS.cell, range(keys)), *affinity.tokens]):
        column = affinity.column(key)
        assert column.shape == QUERIES.shape
        np.testing.assert_allclose(column.ravel(), expected[:cells, j], atol=1e-6)
    each = np.stack([affinity.head(h).matrix() for h in range(heads)])
    np.testing.assert_allclose(each.mean(axis=0), expected, atol=1e-6)
    np.testing.assert_array_equal(affinity.head_weights(queries), each)


def masked(kind: str, function: str = "embedded_gaussian") -> Affinity:
    """Links by a rule over runs of keys, some empty, or by bits; or both."""
    plain, rng = make_special(function, reach=0), np.random.default_rng(3)
    n, m = plain.theta.shape[1], plain.phi.shape[1]
    first = rng.integers(0, m, n)
    until = np.minimum(first + rng.integers(-2, m, n), m - 1)
    empty = until < first
    first[empty], until[empty] = -1, -1
    key = np.where(rng.random(m) < 0.9, rng.permutation(m), -2)
    bits = LinkBits(np.packbits(rng.random((n, m)) < 0.4, axis=1), m)
    ways = {"rule": (Groups(first, key, until),), "bits": (bits,)}
    return replace(plain, reach=ways.get(kind, (*ways["rule"], bits)))


@pytest.mark.parametrize("kind", ["rule", "bits", "both"])
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_masks_leave_the_links_of_the_equations(kind, function):
    affinity = masked(kind, function)
    expected = plain_matrix(affinity)
    np.testing.assert_allclose(affinity.matrix(), expected, atol=1e-6)
    cells, keys = QUERIES.size, KEYS.size
    can = np.array(
        [
            [any(can_link(g, i, j) for g in affinity.reach) for j in range(keys + 2)]
            for i in range(cells + 2)
        ]
    )
    assert affinity.has_query.ravel()[can.any(1)[:cells]].all()
    for j, key in enumerate([*map(KEYS.cell, range(keys)), *affinity.tokens]):
        np.testing.assert_allclose(affinity.column(key).ravel(), expected[:cells, j], atol=1e-6)
        np.testing.assert_array_equal(affinity.reaching(key).ravel(), can[:cells, j])
    some = [0, 5, cells - 1]
    for reverse, wide in ((False, can), (True, can.T)):
        side = Side(affinity, reverse)
        np.testing.assert_array_equal(side.present, wide.any(1))
        own = [side.own.cell(i) for i in some if i < side.own.size]
        at = [side.own.index(cell) for cell in own]
        np.testing.assert_array_equal(side.reached([*own, "register"]), wide[[*at, -1]].any(0))
    asked = np.flatnonzero(can[:cells].any(1))
    for links in affinity.reach:
        few = links.of(asked, slice(1, 7))
        np.testing.assert_array_equal(few.rows(slice(None)), links.rows(asked)[:, 1:7])
        assert few.shape == (len(asked), 6)
    step = np.arange(keys) // (KEYS.rows * KEYS.cols)
    own_step = np.arange(cells) // (QUERIES.rows * QUERIES.cols)
    assert affinity.joins_frames == can[:cells, :keys][own_step[:, None] != step].any()


def test_masks_of_another_shape_are_told():
    with pytest.raises(QueryError, match=r"\(N, 2\), not \(3, 1\)"):
        LinkBits(np.zeros((3, 1)), 9)
    with pytest.raises(QueryError, match="Each of 2 queries needs its own until; got 1"):
        Groups([0, 1], [0], [0])


def test_a_query_that_reaches_nothing_has_a_row_of_zeros_and_no_top():
    n, m = QUERIES.size, KEYS.size
    plain = make("gaussian")
    alone = Groups(np.where(np.arange(n) == 3, 1, 0), np.zeros(m))
    loud = Affinity("gaussian", plain.theta * 900, plain.phi, QUERIES, KEYS, reach=(alone,))
    assert not loud.row(QUERIES.cell(3)).any()
    assert loud.top(QUERIES.cell(3), 5)[0] == ()
    assert all(loud.column(KEYS.cell(j)).ravel()[3] == 0 for j in range(m))
    np.testing.assert_allclose(np.delete(loud.matrix(), 3, axis=0).sum(1), 1, atol=1e-6)


def test_a_key_out_of_reach_may_outweigh_all_within_it():
    theta, phi = np.full((1, 2), 30.0), np.array([[1.0, 30.0]])
    apart = (Groups([0, 1], [0, 1]),)
    affinity = Affinity("gaussian", theta, phi, Grid(1, 1, 2), Grid(1, 1, 2), reach=apart)
    assert affinity.column(Cell(0, 0, 1)).ravel().tolist() == [0, 1]


@pytest.mark.parametrize("function", ["gaussian", "embedded_gaussian"])
def test_softmax_rows_sum_to_one(function):
    np.testing.assert_allclose(make(function).matrix().sum(1), 1, atol=1e-6)


def test_large_logits_do_not_overflow():
    affinity = make("gaussian")
    loud = Affinity("gaussian", affinity.theta * 1e3, affinity.phi * 1e3, QUERIES, KEYS)
    assert np.isfinite(loud.matrix()).all()
    assert np.isfinite(loud.column(Cell(0, 0, 0))).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_permuting_the_keys_permutes_the_row(function):
    affinity = make(function)
    order = np.random.default_rng(1).permutation(KEYS.size)
    moved = Affinity(function, affinity.theta, affinity.phi[:, order], QUERIES, KEYS)
    cell = QUERIES.cell(3)
    np.testing.assert_allclose(moved.row(cell).ravel(), affinity.row(cell).ravel()[order])


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("k", [1, 3, 8, 20])
def test_the_top_is_the_start_of_the_sorted_row(function, k):
    affinity, cell = make(function), Cell(1, 2, 3)
    cells, weights = affinity.top(cell, k)
    row = affinity.row(cell)
    assert [row[c.t, c.row, c.col] for c in cells] == list(weights)
    np.testing.assert_array_equal(weights, np.sort(row.ravel())[::-1][:k])


def test_equal_weights_come_in_order_of_position():
    flat = Affinity(
        "gaussian", np.zeros((1, QUERIES.size)), np.zeros((1, KEYS.size)), QUERIES, KEYS
    )
    cells, _ = flat.top(Cell(0, 0, 0), 5)
    assert [KEYS.index(cell) for cell in cells] == [0, 1, 2, 3, 4]


def test_only_allowed_keys_are_chosen():
    allowed = np.zeros(KEYS.shape, dtype=bool)
    allowed[1] = True
    cells, _ = make("gaussian").top(Cell(0, 0, 0), 20, allowed)
    assert {cell.t for cell in cells} == {1}
    assert len(cells) == 4


def test_the_matrix_says_how_large_it_would_be():
    with pytest.raises(BudgetError, match=r"40 × 8 weights would take 0 MiB"):
        make("gaussian").matrix(budget=1000)


def test_what_is_held_cannot_be_written_to():
    affinity = make("gaussian")
    with pytest.raises(ValueError, match="read-only"):
        affinity.theta[0, 0] = 1


def test_wrong_shapes_and_functions_are_refused():
    with pytest.raises(QueryError, match="cosine"):
        make("cosine")
    with pytest.raises(QueryError, match="do not fit the grids"):
        Affinity("gaussian", np.zeros((2, 40)), np.zeros((3, 8)), QUERIES, KEYS)
    with pytest.raises(QueryError, match="outside the grid"):
        make("gaussian").row(Cell(2, 0, 0))
    with pytest.raises(QueryError, match="k must be at least 1"):
        make("gaussian").top(Cell(0, 0, 0), 0)
    plain = make("gaussian")
    with pytest.raises(QueryError, match="3 channels do not split into 2 heads"):
        Affinity("gaussian", plain.theta, plain.phi, QUERIES, KEYS, heads=2)
    with pytest.raises(QueryError, match="each of 40 queries and 8 keys"):
        Affinity("gaussian", plain.theta, plain.phi, QUERIES, KEYS, reach=(Groups([0], [0]),))
    with pytest.raises(QueryError, match=r"one number for each query; got \(1, 1\)"):
        Groups([[0]], [0])
    special = make_special("gaussian")
    with pytest.raises(QueryError, match="Head 3 does not exist; choose 0 to 2"):
        special.head(3)
    with pytest.raises(QueryError, match=r"'cls' is not in this block; choose one of class, reg"):
        special.row("cls")
    with pytest.raises(QueryError, match="'class' is not in this block; it has none"):
        plain.row("class")


def test_chunks_are_the_rows_in_order_within_their_budget():
    affinity = make("embedded_gaussian")
    keys, total = affinity.key_grid.size, affinity.query_grid.size
    cells = [affinity.query_grid.cell(i) for i in range(total)]
    parts = list(affinity.chunks(budget=4 * keys * 7))
    assert [some.start for some, _ in parts] == list(range(0, total, 7))
    assert all(rows.nbytes <= 4 * keys * 7 for _, rows in parts)
    whole = np.concatenate([rows for _, rows in parts])
    np.testing.assert_allclose(whole, affinity.rows(cells), rtol=1e-5)
    ((some, row),) = affinity.chunks(cells[3:4], budget=1)  # one row at least
    assert (some, len(row)) == (slice(0, 1), 1)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_column_chunks_are_the_columns_a_run_of_queries_at_a_time(function):
    affinity = make_special(function)
    expected = plain_matrix(affinity)[: QUERIES.size]
    keys, at = [KEYS.cell(5), "register", KEYS.cell(0)], [5, KEYS.size + 1, 0]
    parts = list(affinity.column_chunks(keys, budget=4 * len(keys) * 7))
    assert [some.start for some, _ in parts] == list(range(0, QUERIES.size, 7))
    for some, columns in parts:
        np.testing.assert_allclose(columns, expected[some, at].T, atol=1e-6)
    assert len(list(affinity.column_chunks(keys, budget=1))) == QUERIES.size  # one query at least


def test_cells_that_are_not_there_join_no_frames():
    step = np.indices(QUERIES.shape)[0].ravel()
    there = np.random.default_rng(0).random(QUERIES.size) < 0.5
    theta = np.ones((1, QUERIES.size))

    def joins(query: np.ndarray, key: np.ndarray) -> bool:
        reach = (Groups(query, key),)
        return Affinity("gaussian", theta, theta, QUERIES, QUERIES, reach=reach).joins_frames

    framewise = np.where(there, step, -1), np.where(there, step, -2)
    assert not joins(*framewise)
    assert joins(np.where(there, 0, -1), np.where(there, 0, -2))
    assert joins(np.where(step == 1, 0, -1), np.where(step == 0, 0, -2))  # a memory that is read
    assert not joins(np.where(step == 1, 0, -1), np.where(step == 1, 0, -2))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_keys_of_its_own_given_again_weigh_what_they_weigh(function):
    grid, rng = Grid(2, 3, 4), np.random.default_rng(2)
    theta, phi = rng.normal(size=(2, 6, 25)).astype(np.float32)
    affinity = Affinity(function, theta, phi, grid, grid, heads=2, tokens=("class",))
    queries = [grid.cell(i) for i in (0, 7, 20)]
    again = affinity.weights_to(queries, affinity.phi[:, [3, 24, 9]])
    np.testing.assert_allclose(again, affinity.weights(queries)[:, [3, 24, 9]], atol=1e-6)
    with pytest.raises(QueryError, match="φ has 5 channels, the block 6"):
        affinity.weights_to(queries, affinity.phi[:5])
    step = np.arange(25) // 12
    grouped = replace(affinity, reach=(Groups(step, step),))
    with pytest.raises(QueryError, match="stay within groups"):
        grouped.weights_to(queries, affinity.phi)


class Enough(Exception):
    """Stop was pressed."""


@pytest.mark.parametrize("function", [each for each in FUNCTIONS if each != "dot_product"])
def test_the_constants_of_all_rows_hear_stop_between_two_chunks(function, monkeypatch):
    monkeypatch.setattr("nlviz.affinity._CHUNK_BYTES", 4 * 10 * 10)  # ten rows of 10 keys
    affinity, told = make_special(function), []

    def stopping(fraction, what):
        told.append(fraction)
        if len(told) == 3:
            raise Enough

    with pytest.raises(Enough):
        affinity.work_out_constants(stopping)
    assert 0 == told[0] < told[1] < told[2] < 1
    found = affinity.work_out_constants(lambda fraction, _: told.append(fraction))
    assert len(told) > 6, "nothing is kept of what was stopped"
    np.testing.assert_array_equal(found, make_special(function).constants)
    count = len(told)
    assert affinity.work_out_constants(stopping) is affinity.constants is found
    assert len(told) == count, "they are worked out once"


def test_a_heads_constants_are_those_that_were_worked_out_for_all(monkeypatch):
    expected = make_special("embedded_gaussian").head(1).column(Cell(0, 0, 1))
    whole = make_special("embedded_gaussian")
    whole.head(1)
    whole.work_out_constants(lambda *_: None)
    monkeypatch.setattr(Affinity, "_constants", lambda *_: pytest.fail("worked out once more"))
    np.testing.assert_allclose(whole.head(1).column(Cell(0, 0, 1)), expected, rtol=1e-6)
