"""Estimates: what is left to run, what it costs by a probe, and what is asked before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nlviz.display import bytes_in_words, seconds_in_words
from nlviz.errors import BudgetError
from nlviz.windows import Estimate, estimate
from tests.windows import support


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return support.folder(tmp_path_factory.mktemp("long") / "clip")


def test_what_is_told_is_what_running_leaves_behind(home, tmp_path):
    long = support.long(home, folder=tmp_path / "kept")
    found = estimate(long)
    assert (found.windows, found.length) == (5, 4)
    long.run()
    analysis = long.window(0)
    assert found.positions == max(each.query_grid.size for each in analysis.affinities.values())
    written = sum(each.stat().st_blocks * 512 for each in (tmp_path / "kept").iterdir())
    headers = 6 * 4096  # of each window, and what they are windows of
    assert found.disk <= written <= found.disk + headers + 6 * os.stat(home).st_blksize
    assert found.memory > analysis.clip.frames.nbytes
    assert estimate(long) is None


def test_only_windows_that_are_wanted_and_not_run_are_counted(home):
    long = support.long(home)
    long.window(1)
    found = estimate(long, [0, 1, 4])
    assert found.windows == 2
    frames = 8 * long.stream.info.width * long.stream.info.height * 3
    assert found.disk < frames * 2
    assert estimate(long, [1]) is None


def test_seconds_are_those_of_the_probe_and_not_a_constant(home):
    def seconds(speed: float) -> float:
        now = iter(range(10**9))
        return estimate(support.long(home), clock=lambda: next(now) * speed).seconds

    assert seconds(1.0) == pytest.approx(10 * seconds(0.1))
    # Each pass and the decoding of three frames took one tick: 1 for each window, ⅓ for each frame.
    assert seconds(1.0) == pytest.approx(5 + 11 / 3)


def _estimate(**numbers) -> Estimate:
    usual = {"windows": 75, "length": 8, "positions": 28160, "memory": 7 * 10**8, "disk": 4 * 10**9}
    return Estimate(**{**usual, "seconds": 540.0, **numbers})


def test_an_estimate_reads_as_a_sentence():
    assert _estimate().sentence == (
        "75 windows of 8 frames with up to 28,160 positions each: about 9 min on this machine "
        "(measured now), 700 MB of memory and 4.0 GB on disk."
    )
    assert "1 window of 8 frames" in _estimate(windows=1).sentence


def test_somebody_is_asked_above_a_bound_and_told_what_to_lower():
    assert _estimate(free_memory=10**10, free_disk=10**11).question == ""
    assert _estimate(seconds=601.0).question == (
        "This takes about 10 min; a larger stride, a smaller input size or a shorter window makes "
        "it less."
    )
    both = _estimate(seconds=9000.0, memory=10**13, free_memory=10**9).question
    assert "takes about 2 h 30 min and needs 10000.0 GB of memory, where 1.0 GB is free" in both


def test_a_disk_that_is_too_small_is_told_before():
    _estimate(free_disk=5 * 10**9).check()
    with pytest.raises(BudgetError, match=r"need 4\.0 GB on disk, and 3\.0 GB is free"):
        _estimate(free_disk=3 * 10**9).check()


def test_times_and_sizes_are_said_as_one_says_them():
    said = [seconds_in_words(s) for s in (0.01, 0.44, 9.4, 9.6, 99, 100, 600, 5940, 6000, 7500)]
    assert said == ["0.1 s", "0.4 s", "9.4 s", "10 s", "99 s", "2 min", "10 min", "99 min",
                    "1 h 40 min", "2 h 5 min"]  # fmt: skip
    assert [bytes_in_words(n) for n in (10, 4.2e7, 9.99e8, 1.34e9)] == [
        "1 MB", "42 MB", "1.0 GB", "1.3 GB",
    ]  # fmt: skip


def test_passes_that_follow_are_counted_for_every_window(home):
    def seconds(more: int) -> float:
        now = iter(range(10**9))
        long = support.long(home)
        long.window(1)  # runs again for what is not held of it
        return estimate(long, more=more, clock=lambda: float(next(now))).seconds

    once, twice = seconds(1) - seconds(0), seconds(2) - seconds(0)
    assert twice == pytest.approx(2 * once)
    assert once > 0
