"""What the tabs show is what the library says, and their background work can be left."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import nlviz
from nlviz.ui import chart
from nlviz.ui.tabs import desk
from tests import make


def until(wanted) -> None:
    end = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_charts_draw_what_the_profile_says():
    analysis = make.analysis()
    profile = nlviz.profile(analysis, nlviz.Query(nlviz.Point(5, 20, 20), "coarse"))
    average = nlviz.block_statistics(analysis, "coarse")
    curves = [chart.Curve("Pin 1", "#E69F00", profile)]
    frames, distance, seconds = (
        chart.by_frame(curves),
        chart.by_distance(curves, average),
        chart.by_second(curves),
    )
    assert list(frames.data[0].x) == list(analysis.view.frames)
    assert list(frames.data[0].marker.symbol) == ["circle", "diamond", "circle", "circle"]
    np.testing.assert_array_equal(frames.data[0].y, profile.by_frame)
    np.testing.assert_array_equal(distance.data[0].y, profile.by_distance)
    np.testing.assert_array_equal(distance.data[1].y, average.by_distance)
    np.testing.assert_array_equal(seconds.data[0].x, profile.seconds)
    np.testing.assert_array_equal(seconds.data[0].y, profile.by_second)


def test_a_job_gives_its_result_once_and_keeps_it():
    here, runs = desk.Desk(), []
    job = here.ask("clip", "key", lambda report: runs.append(1) or "answer")
    until(lambda: job.done)
    assert here.ask("clip", "key", lambda report: runs.append(1)).result == "answer"
    assert runs == [1]


def endless(begun: threading.Event, ended: threading.Event):
    def work(report):
        begun.set()
        try:
            while True:
                report(0.5, "turning")
                time.sleep(0.001)
        finally:
            ended.set()

    return work


@pytest.mark.parametrize("ask", [("clip", "other"), ("another clip", "key")])
def test_another_question_stops_the_one_that_runs_and_it_can_be_asked_again(ask):
    here, begun, ended = desk.Desk(), threading.Event(), threading.Event()
    job = here.ask("clip", "key", endless(begun, ended))
    assert begun.wait(30)
    here.ask(*ask, lambda report: None)
    assert ended.wait(30)
    assert not job.done
    again = here.ask("clip", "key", lambda report: "answer")
    until(lambda: again.done)
    assert again.result == "answer"


def test_a_job_that_nobody_looks_at_ends(monkeypatch):
    monkeypatch.setattr(desk, "PATIENCE", 0.05)
    begun, ended = threading.Event(), threading.Event()
    desk.Desk().ask("clip", "key", endless(begun, ended))
    assert ended.wait(30)


def test_a_stopped_job_stays_stopped_until_it_is_forgotten():
    here, begun, ended = desk.Desk(), threading.Event(), threading.Event()
    here.ask("clip", "key", endless(begun, ended)).stop()
    assert ended.wait(30)
    assert here.ask("clip", "key", lambda report: None).stopped
    here.forget("key")
    again = here.ask("clip", "key", lambda report: "answer")
    until(lambda: again.done)
    assert again.result == "answer"


def test_a_fault_of_the_visitors_is_a_sentence_and_one_of_ours_is_logged(caplog):
    def theirs(report):
        raise nlviz.QueryError("Choose another place.")

    def ours(report):
        raise ZeroDivisionError

    here = desk.Desk()
    job = here.ask("clip", "theirs", theirs)
    until(lambda: job.done)
    assert (job.problem, job.failed) == ("Choose another place.", False)
    job = here.ask("clip", "ours", ours)
    until(lambda: job.done)
    assert (job.problem, job.failed) == (None, True)
    assert "ZeroDivisionError" in caplog.text
