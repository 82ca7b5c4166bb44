"""What the page says of a job in the background, and that it comes back for what the job gives."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import streamlit as st

from nlviz.app.first import first_choice
from nlviz.app.markdown import plain
from nlviz.app.tabs import jobs, progress
from nlviz.errors import NlvizError
from nlviz.progress import Progress

CLIP = first_choice()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The progress that was drawn: its name, and what is drawn again when the job ends."""
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(progress, "_progress", lambda _, name, scope: seen.append((name, scope)))
    return seen


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> jobs.Jobs:
    mine = jobs.Jobs()
    monkeypatch.setattr(jobs, "current", lambda: mine)
    return mine


def ended(result: Any) -> jobs.Job:
    job = jobs.Job(lambda _: result)
    job.wait(20)
    assert job.gave
    return job


def test_a_job_that_ends_before_it_is_told_is_asked_for_again(
    drawn: list[tuple[str, str]],
) -> None:
    """Else nothing would ever draw what it gives: the page would wait for good."""
    progress.tell(ended("links"), "clip", "key", name="constants", scope="viewer")
    assert drawn == [("constants", "viewer")]


def test_a_result_is_given_without_a_progress(
    drawn: list[tuple[str, str]], here: jobs.Jobs
) -> None:
    assert progress.job_result(CLIP, "key", lambda _: 7, name="curve") == 7
    assert drawn == []


def test_a_job_that_works_gives_nothing_yet(
    drawn: list[tuple[str, str]], here: jobs.Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "AT_ONCE", 0.01)
    go_on = threading.Event()

    def work(_: Progress) -> int:
        go_on.wait(20)
        return 7

    assert progress.job_result(CLIP, "key", work, name="curve") is None
    assert drawn == [("curve", progress.TAB)]
    go_on.set()
    here.ask(CLIP, "key", work).wait(20)
    assert progress.job_result(CLIP, "key", work, name="curve") == 7


def test_a_job_that_gave_nothing_says_why(
    drawn: list[tuple[str, str]], here: jobs.Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(st, "info", told.append)

    def work(_: Progress) -> None:
        raise NlvizError("There is no object at this pin.")

    assert progress.job_result(CLIP, "key", work, name="curve") is None
    assert told == [plain("There is no object at this pin.")]
    assert drawn == []
