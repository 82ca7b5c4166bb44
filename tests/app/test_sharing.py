"""Thirty who ask for the same at the same time cost one pass; nobody's name reaches another."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nlviz.app import analysing, kept, reading, running, store
from nlviz.app.choice import Choice, ClipPart, bundled
from nlviz.app.sharing import Sharing
from nlviz.app.tabs import jobs
from nlviz.errors import MediaError
from nlviz.progress import silent
from tests.app.test_turns import until
from tests.support import media_files as make
from tests.support.given import uploaded

MANY = 30


@pytest.fixture
def passes(monkeypatch) -> list[str]:
    """A name for each pass of a network through a clip."""
    from nlviz.inference import forward

    made: list[str] = []
    analyse = forward.analyse

    def counted(clip, *args, **named):
        made.append(clip.name)
        return analyse(clip, *args, **named)

    monkeypatch.setattr(forward, "analyse", counted)
    return made


def ask_all(work: Callable[[int], jobs.Work]) -> list[jobs.Job]:
    """Thirty visitors who ask before the first of them is answered."""
    with running.one_at_a_time(silent):
        visitors = [jobs.Jobs() for _ in range(MANY)]
        asked = [each.ask("link", "key", work(n)) for n, each in enumerate(visitors)]
        until(lambda: all(job.status.startswith("Waiting: ") for job in asked))
    for job in asked:
        job.wait(120)
    return asked


def test_thirty_who_open_the_same_link_cost_one_pass(own_store, passes):
    choice = Choice(bundled()[0], ClipPart(frames=2), "nl-lite0", 64)
    asked = ask_all(lambda n: lambda report: analysing.make(choice, report))
    assert len(passes) == 1
    shown = asked[0].result
    assert all(job.done and job.result is shown for job in asked)
    ranked: list[int] = []

    def sized(progress):
        ranked.append(1)
        return shown.sized(progress)

    # What the same link asks besides, a ranking by contribution, is one more pass for all.
    asked = ask_all(lambda n: kept.once(shown, "sizes", sized))
    assert len(ranked) == 1
    assert all(job.done and job.result is asked[0].result for job in asked)
    later = kept.once(shown, "sizes", sized)(silent)
    assert later is asked[0].result
    assert len(ranked) == 1


def test_it_is_one_pass_even_where_the_store_has_no_room_for_it(monkeypatch, passes):
    tiny = store.Store(1 << 10)
    monkeypatch.setattr(store, "shared", lambda: tiny)
    choice = Choice(bundled()[0], ClipPart(frames=2), "nl-lite0", 64)
    asked = ask_all(lambda n: lambda report: analysing.make(choice, report))
    assert len(passes) == 1
    assert all(job.done and job.result is not None for job in asked)


def test_thirty_who_upload_the_same_share_the_pass_and_not_its_name(own_store, passes):
    data = make.animation("GIF", 4)
    names = [f"{n} is mine.gif" for n in range(MANY)]
    choices = [Choice(uploaded(name, data), ClipPart(frames=2), "nl-lite0", 64) for name in names]
    asked = ask_all(lambda n: lambda report: analysing.make(choices[n], report))
    assert len(passes) == 1
    for name, job in zip(names, asked, strict=True):
        assert job.result.choice.material.title == job.result.analysis.clip.name == name
        assert all(b"mine" not in blob or name.encode() in blob for blob in job.result.blobs)
    # What a tab works out may hold a name: it is worked out for each.
    work = lambda progress: "text"  # noqa: E731
    assert kept.once(asked[0].result, "effects", work) is work


def test_the_error_of_an_upload_is_told_to_each_in_their_own_words(own_store, monkeypatch):
    def fails(material, part, progress):
        progress(0.1, "reading")
        until(lambda: reached.is_set())
        raise MediaError(f"{material.name} cannot be read.")

    reached = threading.Event()
    monkeypatch.setattr(analysing, "clip_of", fails)
    choices = [Choice(uploaded(n, b"same"), ClipPart(), "nl-lite0", 64) for n in ("a.gif", "b.gif")]
    asked = [
        jobs.Jobs().ask("x", "y", lambda report, c=c: analysing.make(c, report)) for c in choices
    ]
    reached.set()
    for job in asked:
        job.wait(60)
    assert [job.problem for job in asked] == ["a.gif cannot be read.", "b.gif cannot be read."]


def test_whoever_waits_begins_anew_when_the_first_is_stopped():
    sharing, begun, go_on = Sharing(), [], threading.Event()

    def work(report):
        begun.append(1)
        while not go_on.is_set():
            report(0.5, "working")
            go_on.wait(0.005)
        return "made"

    asked = [
        jobs.Jobs().ask("x", n, lambda report: sharing.once("key", work, report)) for n in range(3)
    ]
    until(lambda: all(job.status == "Working" for job in asked))
    assert len(begun) == 1
    first = next(job for job in asked if job.fraction == 0.5)
    for job in asked[:2]:  # among them, perhaps, who works for all
        job.stop()
    for job in asked[:2]:
        job.wait(30)
    go_on.set()
    asked[2].wait(30)
    assert asked[2].result == "made"
    assert len(begun) <= 3
    assert first is not None
    assert sharing._works == {}


def test_a_fault_is_found_once_for_all_who_ask_of_a_public_clip():
    sharing, tried = Sharing(), []

    def work(report):
        tried.append(1)
        until(lambda: len(waiting) == 2)
        raise MediaError("no luck")

    waiting: set[str] = set()

    def ask(name: str) -> jobs.Job:
        def told(report):
            def heard(fraction, what):
                waiting.add(name)
                report(fraction, what)

            return sharing.once("key", work, heard)

        return jobs.Jobs().ask("x", name, told)

    asked = [ask("a")]
    until(lambda: bool(tried))
    asked += [ask("b"), ask("c")]
    for job in asked:
        job.wait(30)
    assert [job.problem for job in asked] == ["no luck"] * 3
    assert len(tried) == 1


def test_a_reading_that_was_shared_is_decoded_once(own_store, monkeypatch):
    decoded = make.counting_decoded(monkeypatch)
    reading.look(uploaded("b.gif", make.animation("GIF", 5)), silent)
    one, material = len(decoded), uploaded("a.gif", make.animation("GIF", 5)[:-1] + b";;")
    decoded.clear()
    asked = [
        jobs.Jobs().ask("x", n, lambda report: reading.look(material, report)) for n in range(10)
    ]
    for job in asked:
        job.wait(60)
    assert all(job.done for job in asked)
    assert len(decoded) == one
