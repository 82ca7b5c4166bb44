"""Points followed on affinities whose answer is known, and ways back that do not agree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.tracking.points import LOST, place_of, splat, track_points
from tests.support import make

ROWS, COLS = 6, 8


def moving(shifts, back=None):
    """A block whose cells are a picture that moves right by so many cells on each step.

    Args:
        shifts: of each time step.
        back: (step, shift) of keys that tell another shift than the step's queries: a lie.
    """
    analysis = make.analysis(frames=len(shifts))
    grid = analysis.affinity("fine").query_grid
    code = np.random.default_rng(5).normal(size=(ROWS, COLS, 24)).astype(np.float32)
    code /= np.linalg.norm(code, axis=-1, keepdims=True)
    queries = np.stack([np.roll(code, shift, axis=1) for shift in shifts])
    keys = queries.copy()
    if back is not None:
        keys[back[0]] = np.roll(code, back[1], axis=1)
    theta, phi = (each.reshape(-1, 24).T * 6 for each in (queries, keys))
    affinity = nlviz.Affinity("gaussian", theta, phi, grid, grid)
    return replace(analysis, affinities={"moving": affinity}, fidelity={"moving": None})


def test_a_point_goes_where_its_cell_goes_and_comes_back():
    analysis = moving([0, 1, 2, 4])
    start = nlviz.Point(0, 20.0, 28.0)  # the middle of the cell (3, 2)
    found = track_points(analysis, "moving", [start], protocol=nlviz.Protocol(heaviest=1))
    np.testing.assert_allclose(found.places[0, :, 0], [20, 28, 36, 52], atol=0.01)
    np.testing.assert_allclose(found.places[0, :, 1], 28, atol=0.01)
    assert found.returned.max() < 0.01
    assert found.confidence.min() > 0.99
    assert found.visible.all()
    assert found.frames == analysis.clip.indices


def test_points_may_begin_on_any_frame_and_are_followed_both_ways():
    analysis = moving([0, 1, 2, 4])
    first, last = analysis.clip.indices[0], analysis.clip.indices[3]
    points = [nlviz.Point(last, 52.0, 28.0), nlviz.Point(first, 12.0, 12.0)]
    near = nlviz.Protocol(heaviest=1, radius=0.25)
    found = track_points(analysis, "moving", points, protocol=near)
    np.testing.assert_allclose(
        found.places[:, :, 0], [[20, 28, 36, 52], [12, 20, 28, 44]], atol=0.1
    )
    assert found.confidence.min() > 0.9


def test_a_way_back_that_ends_elsewhere_takes_the_confidence():
    # The keys of the third step say that the picture has moved three cells more than it has.
    analysis = moving([0, 0, 0], back=(2, 3))
    start = nlviz.Point(0, 44.0, 28.0)
    found = track_points(
        analysis, "moving", [start], protocol=nlviz.Protocol(heaviest=1, radius=None)
    )
    np.testing.assert_allclose(found.places[0, :, 0], 44, atol=0.01)  # the right place ...
    assert found.returned[0, 2] == pytest.approx(24, abs=0.1)  # ... but three cells off
    assert found.confidence[0].tolist() == pytest.approx([1, 1, 0], abs=0.01)
    assert found.visible[0].tolist() == [True, True, False]
    assert LOST * math.hypot(64, 48) < 24


def test_a_point_without_a_label_is_lost_and_stays_where_it_was():
    analysis = moving([0, 0, 0])
    affinity = analysis.affinity("moving")
    gone = affinity.theta.copy()
    gone[:, 2 * ROWS * COLS :] *= -1  # cosines below 0 count as none
    lost = replace(affinity, function="dot_product", theta=gone)
    analysis = replace(analysis, affinities={"moving": lost})
    one = nlviz.Protocol(heaviest=1, radius=0.01)
    found = track_points(analysis, "moving", [nlviz.Point(0, 20.0, 28.0)], protocol=one)
    assert found.returned[0].tolist() == [0, pytest.approx(0, abs=0.01), np.inf]
    np.testing.assert_allclose(found.places[0, 2], found.places[0, 1])
    assert found.confidence[0, 2] == 0


def test_a_place_is_shared_by_four_cells_and_found_again():
    analysis = make.analysis()
    view, grid = analysis.view, analysis.affinity("fine").query_grid
    for place in ((20.0, 28.0), (23.0, 30.5), (4.0, 4.0), (60.0, 44.0)):
        labels = splat(np.array(place), view, grid)
        assert labels.sum() == pytest.approx(1)
        assert (labels > 0).sum() <= 4
        np.testing.assert_allclose(place_of(labels, view, grid), place, atol=1e-4)
    assert place_of(np.zeros((6, 8), np.float32), view, grid) is None
    labels = splat(np.array((12.0, 12.0)), view, grid)  # the middle of the cell (1, 1)
    labels[:, 6:] = labels[5] = 0.9  # lower, and farther off than is looked
    np.testing.assert_allclose(place_of(labels, view, grid), (12, 12), atol=1e-4)


def test_points_that_cannot_be_followed_are_told():
    analysis = moving([0, 0])
    with pytest.raises(nlviz.QueryError, match="no points to follow"):
        track_points(analysis, "moving", [])
    with pytest.raises(nlviz.QueryError, match="x=64, y=3 lies outside the 64×48 frame"):
        track_points(analysis, "moving", [nlviz.Point(0, 64, 3)])
    with pytest.raises(nlviz.QueryError, match="Frame 1 was not sampled"):
        track_points(analysis, "moving", [nlviz.Point(1, 4, 3)])
