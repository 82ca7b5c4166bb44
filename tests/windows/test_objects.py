"""Objects and points through windows, against one window that sees the whole clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import nlviz
from nlviz.experiments.baselines import baseline
from nlviz.tracking import track_objects, track_points
from nlviz.windows import track_objects_windows, track_points_windows
from tests.windows import support

COUNT = 7


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A bright square that goes to the right on noise that stays: three windows of four."""
    folder = tmp_path_factory.mktemp("objects") / "clip"
    folder.mkdir()
    rng = np.random.default_rng(3)
    ground = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8)
    square = rng.integers(120, 256, (16, 16, 3), dtype=np.uint8)  # no two cells alike: no ties
    for i in range(COUNT):
        picture = ground + rng.integers(0, 9, ground.shape, dtype=np.uint8)
        picture[16:32, 3 * i : 3 * i + 16] = square
        cv2.imwrite(str(folder / f"{i:02d}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def long(home):
    return support.long(home)


def _mask(frame: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[16:32, 3 * frame : 3 * frame + 16] = True
    return mask


def _objects(frame: int = 0) -> np.ndarray:
    other = np.zeros((48, 64), bool)
    other[34:46, 40:60] = True
    return np.stack([_mask(frame), other])


def test_with_the_first_frame_kept_windows_carry_as_one_that_sees_all(home, long):
    # The cosine of the first block's input: of each frame alone, so windows change nothing of it.
    protocol = nlviz.Protocol(2, 6, 4, 0.1, in_cells=True, decision="most")
    whole = support.long(home, window=COUNT)
    cosine = baseline(whole.window(0), whole.network, "first", "cosine")
    expected = track_objects(
        cosine, cosine.blocks[0], _objects(3), names=("a", "b"), frame=3, protocol=protocol
    )
    seen = {}
    for each in track_objects_windows(
        long,
        "first",
        _objects(3),
        names=("a", "b"),
        frame=3,
        protocol=protocol,
        keep_first=True,
        baseline="cosine",
    ):
        assert each.names == ("a", "b")
        for number, frame in enumerate(each.frames):
            np.testing.assert_allclose(each.soft(number), expected.soft(frame), atol=1e-4)
            seen[frame] = each.numbers(number)
    assert sorted(seen) == list(range(COUNT))
    assert np.mean([seen[frame] == expected.numbers(frame) for frame in seen]) > 0.999
    assert set(np.unique(list(seen.values()))) == {0, 1, 2}


def test_an_object_that_is_lost_leaves_the_others_going_on(long):
    masks = _objects()
    masks[1] = False
    masks[1, 0, 0] = True  # a pixel, which no cell keeps
    found = list(track_objects_windows(long, "second", masks))
    assert [each.begun is not None for each in found] == [True] * 3
    assert not any(
        (each.numbers(i) == 2).any() for each in found[1:] for i in range(len(each.frames))
    )
    assert (found[-1].numbers(0) == 1).any()


def test_points_go_on_from_the_shared_frame_and_their_distances_add_up(long):
    points = [nlviz.Point(3, 16.0, 24.0), nlviz.Point(0, 5.0, 20.0), nlviz.Point(6, 40.0, 10.0)]
    found = track_points_windows(long, "second", points)
    assert found.places.shape == (3, COUNT, 2)
    assert found.returned[0, 3] == found.returned[1, 0] == found.returned[2, 6] == 0
    handed = []
    # By hand: each from its own window to the next and to the one before.
    for point, places, returned in zip(points, found.places, found.returned, strict=True):
        own = long.of(point.frame).number
        here = track_points(long.window(own), "second", [point])
        ways = [(own + 1, "start", 0), (own - 1, "stop", -1)]
        for number, end, shift in ways:
            if not 0 <= number < len(long):
                continue
            at = getattr(long.plan[number], end) + shift
            position = here.frames.index(at)
            handed.append(here.returned[0, position])
            there = track_points(
                long.window(number), "second", [nlviz.Point(at, *here.places[0, position])]
            )
            window = long.plan[number]
            for frame in range(window.own_start, window.own_stop):
                i = there.frames.index(frame)
                np.testing.assert_allclose(places[frame], there.places[0, i])
                expected = there.returned[0, i] + handed[-1]
                assert returned[frame] == pytest.approx(expected)
    assert len(handed) == 4
    assert max(handed) > 1, "a distance that has to be added"


def test_what_cannot_go_through_windows_is_told(home, long):
    apart = support.long(home, overlap=0)
    with pytest.raises(nlviz.QueryError, match="an overlap of at least 1"):
        next(track_objects_windows(apart, "second", _objects()))
    with pytest.raises(nlviz.QueryError, match="an overlap of at least 1"):
        track_points_windows(apart, "second", [nlviz.Point(0, 1, 1)])
    with pytest.raises(nlviz.QueryError, match="x=64, y=1 lies outside the 64×48 frame"):
        track_points_windows(long, "second", [nlviz.Point(0, 64, 1)])
    with pytest.raises(nlviz.QueryError, match="Frame 7 was not sampled"):
        track_points_windows(long, "second", [nlviz.Point(7, 1, 1)])
    with pytest.raises(nlviz.QueryError, match="mask is 5×5 pixels, the clip 64×48"):
        next(track_objects_windows(long, "second", np.ones((2, 5, 5), bool)))
