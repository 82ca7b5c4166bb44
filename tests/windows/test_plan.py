"""Plans of windows: every frame is in one that answers for it, and wrong lengths are told."""

from __future__ import annotations

import pytest

from nlviz.errors import QueryError
from nlviz.windows import WindowPlan


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 21, 100])
@pytest.mark.parametrize(
    ("length", "overlap", "step"), [(4, 2, 1), (4, 0, 1), (5, 4, 1), (8, 4, 4)]
)
def test_every_frame_has_one_window_that_answers_for_it_and_sees_it(count, length, overlap, step):
    plan = WindowPlan(count, length, overlap, step)
    owned = [p for window in plan for p in range(window.own_start, window.own_stop)]
    assert owned == list(range(count))
    for window in plan:
        assert window.start <= window.own_start < window.own_stop <= window.stop
        assert window.start % step == 0
        assert all(plan.at(p) == window for p in range(window.own_start, window.own_stop))
    if count > length and step == 1:
        assert {len(window) for window in plan} == {length}
    assert plan[len(plan) - 1].stop == count


def test_neighbours_share_what_was_asked_and_the_last_one_ends_at_the_end():
    plan = WindowPlan(11, 4, 2)
    assert [(w.start, w.stop) for w in plan] == [(0, 4), (2, 6), (4, 8), (6, 10), (7, 11)]
    assert [(w.own_start, w.own_stop) for w in plan] == [(0, 3), (3, 5), (5, 7), (7, 9), (9, 11)]


def test_a_quarter_is_shared_where_nobody_says():
    assert [WindowPlan(99, n).overlap for n in (1, 2, 4, 8, 16)] == [0, 1, 1, 2, 4]
    assert WindowPlan(99, 8, step=4).overlap == 4
    assert WindowPlan(99, 4, step=4).overlap == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"length": 4, "step": 8},
            "A window of 4 frames is shorter than the network's step, the 8",
        ),
        ({"length": 0}, "A window of 0 frames is shorter than the network's step, the 1"),
        ({"length": 10, "step": 8}, "no multiple of the network's step of 8; choose 8 or 16"),
        ({"length": 8, "only": 16}, "takes 16 frames; choose a window of 16"),
        ({"length": 4, "overlap": 4}, "An overlap of 4 frames does not go with a window of 4"),
        ({"length": 4, "overlap": -1}, "choose 0 to 3"),
        ({"length": 8, "overlap": 2, "step": 4}, "choose 0 to 4 that are a multiple of 4"),
    ],
)
def test_a_plan_that_cannot_be_is_told_in_one_sentence(given, told):
    with pytest.raises(QueryError, match=told):
        WindowPlan(100, **given)


def test_a_place_outside_the_clip_has_no_window():
    with pytest.raises(QueryError, match="outside the 10 sampled frames"):
        WindowPlan(10, 4).at(10)
