"""Rows, columns and tops against the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz import Affinity, BudgetError, Cell, Grid, QueryError
from nlviz.affinity import FUNCTIONS

QUERIES, KEYS = Grid(2, 4, 5), Grid(2, 2, 2)


def make(function: str, seed: int = 0, width: int = 3) -> Affinity:
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(width, QUERIES.size)).astype(np.float32)
    phi = rng.normal(size=(width, KEYS.size)).astype(np.float32)
    return Affinity(function, theta, phi, QUERIES, KEYS)


def plain_matrix(affinity: Affinity) -> np.ndarray:
    logits = affinity.theta.T.astype(np.float64) @ affinity.phi
    if affinity.rows_sum_to_one:
        return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if affinity.function == "concatenation":
        logits = np.maximum(logits, 0)
    return logits / logits.shape[1]


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
