"""Tracking through windows: each carries on the mask that the one before it left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import nlviz
from nlviz.errors import QueryError
from nlviz.windows import track_windows
from tests.windows import support


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A bright square that goes to the right, on noise that stays."""
    folder = tmp_path_factory.mktemp("square") / "clip"
    folder.mkdir()
    ground = np.random.default_rng(3).integers(0, 60, (48, 64, 3), dtype=np.uint8)
    for i in range(11):
        picture = ground.copy()
        picture[16:32, 3 * i : 3 * i + 16] = (40, 200, 250)
        cv2.imwrite(str(folder / f"{i:02d}.png"), picture)
    return folder


def _mask(frame: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[16:32, 3 * frame : 3 * frame + 16] = True
    return mask


def test_windows_carry_the_mask_as_they_would_alone_from_the_shared_frame_on(home):
    long = support.long(home)
    start = 5
    found = {
        each.window.number: each
        for each in track_windows(long, "second", _mask(start), frame=start)
    }
    own = long.of(start).number
    assert list(found) == [*range(own, 5), *range(own - 1, -1, -1)]
    assert sorted(frame for each in found.values() for frame in each.frames) == list(range(11))

    def alone(number: int, mask: np.ndarray, frame: int):
        track = nlviz.track(long.window(number), "second", mask, frame=frame)
        window, own = long.plan[number], found[number]
        kept = slice(window.own_start - window.start, window.own_stop - window.start)
        assert np.array_equal(own.objects, track.objects[kept])
        assert np.array_equal(own.masks, track.masks[kept])
        assert own.begun == frame
        return dict(zip(long.window(number).clip.indices, track.objects, strict=True))

    first = objects = alone(own, _mask(start), start)
    for number in range(own + 1, 5):
        shared = long.plan[number].start
        objects = alone(number, objects[shared], shared)
    objects = first
    for number in range(own - 1, -1, -1):
        shared = long.plan[number].stop - 1
        objects = alone(number, objects[shared], shared)


def test_a_clip_of_one_window_is_tracked_as_ever(home):
    long = support.long(home, window=11)
    (found,) = track_windows(long, "second", _mask(0))
    whole = nlviz.track(long.window(0), "second", _mask(0))
    assert np.array_equal(found.objects, whole.objects)


def test_an_object_that_is_lost_stays_lost_and_no_window_is_run_for_it(home, monkeypatch):
    from nlviz.windows import objects

    plain = objects.carried_on

    def losing(*given, **options):
        found = plain(*given, **options)
        return replace(found, labels=np.zeros_like(found.labels))

    long = support.long(home)
    monkeypatch.setattr(objects, "carried_on", losing)
    found = list(track_windows(long, "second", _mask(0)))
    assert [each.begun for each in found] == [0, None, None, None, None]
    assert not any(each.objects.any() for each in found)
    assert [each.objects.shape[1:] for each in found] == [(48, 64)] * 5
    assert long.waiting() == [1, 2, 3, 4]


def test_windows_that_share_nothing_cannot_be_tracked(home):
    with pytest.raises(QueryError, match="an overlap of at least 1"):
        next(track_windows(support.long(home, overlap=0), "second", _mask(0)))
