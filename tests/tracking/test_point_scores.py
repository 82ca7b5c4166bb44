"""TAP-Vid's scores against a slow loop written straight from the paper's words."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.errors import QueryError
from nlviz.tracking import THRESHOLDS, point_scores


def some(points=7, frames=6, seed=0):
    draw = np.random.default_rng(seed)
    truth = draw.uniform(0, 256, (points, frames, 2))
    found = truth + draw.normal(0, 6, truth.shape)
    visible = draw.random((points, frames)) < 0.7
    visible[0] = False  # a point that is never seen
    return found, truth, visible, draw.random((points, frames)) < 0.6


def by_hand(found, truth, visible, found_visible):
    """δ, OA and Jaccard of TAP-Vid, position by position."""
    inside, seen, agree, counted = [0] * 5, 0, 0, 0
    hit, false = [0] * 5, [0] * 5
    for n in range(len(truth)):
        first = next((t for t in range(truth.shape[1]) if visible[n, t]), None)
        if first is None:
            continue
        for t in range(first + 1, truth.shape[1]):
            counted += 1
            agree += visible[n, t] == found_visible[n, t]
            seen += visible[n, t]
            off = np.hypot(*(found[n, t] - truth[n, t]))
            for i, threshold in enumerate((1, 2, 4, 8, 16)):
                inside[i] += visible[n, t] and off < threshold
                if found_visible[n, t]:
                    if visible[n, t] and off < threshold:
                        hit[i] += 1
                    else:
                        false[i] += 1
    delta = [each / seen for each in inside]
    return delta, agree / counted, [h / (seen + f) for h, f in zip(hit, false, strict=True)], seen


@pytest.mark.parametrize("seed", range(3))
def test_scores_are_those_of_a_slow_loop(seed):
    found, truth, visible, found_visible = some(seed=seed)
    scores = point_scores(found, truth, visible=visible, found_visible=found_visible)
    delta, accuracy, jaccard, seen = by_hand(found, truth, visible, found_visible)
    assert scores.delta == pytest.approx(delta)
    assert scores.average == pytest.approx(np.mean(delta))
    assert scores.occlusion_accuracy == pytest.approx(accuracy)
    assert scores.jaccard == pytest.approx(jaccard)
    assert scores.average_jaccard == pytest.approx(np.mean(jaccard))
    assert scores.positions == seen


def test_the_truth_scores_one_and_a_distance_of_a_threshold_is_outside_it():
    _, truth, visible, _ = some()
    right = point_scores(truth, truth, visible=visible, found_visible=visible)
    assert (right.average, right.occlusion_accuracy, right.average_jaccard) == (1, 1, 1)
    shifted = point_scores(truth + np.array([4, 0]), truth, visible=np.ones_like(visible))
    assert shifted.delta == (0, 0, 0, 1, 1)
    assert shifted.jaccard is shifted.occlusion_accuracy is shifted.average_jaccard is None
    assert THRESHOLDS == (1, 2, 4, 8, 16)


def test_what_is_said_of_hidden_positions_does_not_move_delta():
    found, truth, visible, _ = some()
    hidden = truth.copy()
    hidden[~visible] = np.nan
    assert point_scores(found, hidden, visible=visible) == point_scores(
        found, truth, visible=visible
    )


def test_arrays_that_do_not_fit_and_points_seen_once_are_refused():
    found, truth, visible, _ = some()
    with pytest.raises(QueryError, match=r"give \(N, T, 2\) of both"):
        point_scores(found[:, 1:], truth, visible=visible)
    with pytest.raises(QueryError, match=r"give \(N, T, 2\) of both"):
        point_scores(found, truth, visible=visible, found_visible=visible[1:])
    with pytest.raises(QueryError, match="not a number"):
        point_scores(found * np.nan, truth, visible=visible)
    once = np.zeros_like(visible)
    once[:, -1] = True
    with pytest.raises(QueryError, match="give longer tracks"):
        point_scores(found, truth, visible=once)
