"""Clips are decoded once for all visitors, a few at a time, and nobody has to wait to the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nlviz.app import analysing, reading, startup
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.held import DISK
from nlviz.app.meters import METERS
from nlviz.app.tabs import jobs
from nlviz.errors import MediaError
from nlviz.media import budget, read, sampling
from tests.support import media_files as make
from tests.support.given import uploaded

APP = str(Path(__file__).resolve().parents[2] / "app.py")
PART = ClipPart()


def silent(fraction: float, what: str) -> None:
    pass


pytestmark = pytest.mark.usefixtures("own_store")


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "never"
        time.sleep(0.01)


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    return make.counting_decoded(monkeypatch)


def moving(count: int = 20, name: str = "a.gif") -> Material:
    return uploaded(name, make.animation("GIF", count))


def test_previews_timeline_and_analyses_of_all_sizes_decode_a_clip_once(decoded):
    material = moving()
    opened = reading.look(material, silent)
    assert len(opened.pictures) == 6
    assert opened.reel.info.total == 20
    clip = reading.clip_of(material, PART, silent)
    plain = read(material.held.path, name=material.name)
    np.testing.assert_array_equal(clip.frames, plain.frames)
    assert (clip.indices, clip.notes) == (plain.indices, plain.notes)
    decoded.clear()
    for size in (64, 96):
        analysing.make(Choice(material, PART, "nl-lite0", size), silent)
    assert reading.look(material, silent).pictures == opened.pictures
    assert decoded == []
    reading.clip_of(material, ClipPart(start=2, frames=3, stride=2), silent)
    assert len(decoded) == 7  # frames 0 to 6


def test_a_clip_that_is_shorter_than_usual_is_decoded_once_too(decoded):
    material = moving(3)
    reading.look(material, silent)
    decoded.clear()
    clip = reading.clip_of(material, ClipPart(frames=3), silent)
    assert decoded == []
    assert clip.notes == read(material.held.path, frames=3, name=material.name).notes


def test_who_gives_the_same_content_does_not_learn_what_another_calls_it():
    reading.look(moving(name="secret.gif"), silent)
    mine = moving(name="mine.gif")
    assert reading.opened(mine).reel.info.name == "mine.gif"
    assert reading.clip_of(mine, PART, silent).name == "mine.gif"
    with pytest.raises(MediaError, match=r"^'mine\.gif' has 20 frames"):
        reading.clip_of(mine, ClipPart(start=99), silent)


def test_no_more_than_two_clips_are_decoded_at_a_time(monkeypatch):
    go_on, inside, most = threading.Event(), 0, 0
    look_through = reading.look_through

    def slow(*args):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        assert go_on.wait(60)
        inside -= 1
        return look_through(*args)

    monkeypatch.setattr(reading, "look_through", slow)
    here = [jobs.Jobs() for _ in range(4)]
    asked = [
        each.ask("clip", "key", lambda report, n=n: reading.look(moving(n + 2), report))
        for n, each in enumerate(here)
    ]
    until(lambda: sum(job.status == "Waiting for other files to be read" for job in asked) == 2)
    assert inside == 2
    waiting = [job for job in asked if job.status == "Waiting for other files to be read"]
    waiting[0].stop()  # who waits can be stopped as well
    waiting[0].wait(30)
    assert not waiting[0].done
    go_on.set()
    for job in asked:
        job.wait(60)
    assert most == 2
    assert sum(job.done and job.problem is None for job in asked) == 3


def test_decoding_stops_when_the_visitor_stops_it(monkeypatch, decoded):
    monkeypatch.setattr(budget, "_OFTEN", 0.0)
    spend, slow = budget.Budget.spend, threading.Event()

    def slowly(self: budget.Budget, width: int, height: int) -> None:
        if len(decoded) == 3:
            slow.set()
            time.sleep(0.3)
        spend(self, width, height)

    monkeypatch.setattr(budget.Budget, "spend", slowly)
    job = jobs.Jobs().ask("clip", "key", lambda report: reading.look(moving(60), report))
    assert slow.wait(30)
    job.stop()
    job.wait(30)
    assert not job.done
    assert len(decoded) <= 5
    assert reading.look(moving(4), silent).pictures  # the door is open


def test_a_clip_that_takes_too_long_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr(budget, "_OFTEN", 0.0)
    monkeypatch.setattr(sampling, "MAX_SECONDS", -1.0)
    with pytest.raises(MediaError, match=r"'a\.gif' takes longer than -1 s to decode; cut it"):
        reading.look(moving(), silent)


def visitor() -> AppTest:
    page = AppTest.from_file(APP, default_timeout=120)
    page.query_params["size"] = "256"
    page.run()
    assert not page.exception
    return page


def settle(page: AppTest, holds: Callable[[], bool]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.05)
        page.run()
        assert not page.exception
    pytest.fail("never")


def test_what_is_on_screen_stays_until_an_upload_has_been_looked_through(monkeypatch):
    page = visitor()
    visit = page.session_state["nlviz"]
    before = visit.shown
    go_on, look_through = threading.Event(), reading.look_through

    def slow(*args):
        assert go_on.wait(60)
        return look_through(*args)

    monkeypatch.setattr(reading, "look_through", slow)
    page.file_uploader(key="upload").upload("b.gif", make.animation("GIF", 9)).run()
    assert not page.exception
    assert visit.shown is before  # and the page is here: it did not wait
    assert visit.material is before.choice.material
    assert visit.opening is not None
    go_on.set()
    settle(page, lambda: visit.shown is not before)
    assert visit.shown.choice.material.title == "b.gif"
    assert visit.infos[visit.material.id].total == 9


def test_an_upload_that_cannot_be_read_is_a_sentence_and_nothing_is_lost():
    page = visitor()
    visit = page.session_state["nlviz"]
    before = visit.shown
    page.file_uploader(key="upload").upload("b.gif", b"GIF89a nonsense").run()
    settle(page, lambda: visit.opening is None)
    page.run()
    assert "is damaged or cut off" in page.error[0].value
    assert visit.shown is before
    assert visit.material is before.choice.material


def test_an_upload_can_be_stopped_while_it_is_looked_through(monkeypatch):
    page = visitor()
    visit = page.session_state["nlviz"]
    turns = threading.BoundedSemaphore(1)
    monkeypatch.setattr(reading, "_turns", lambda: turns)
    with turns:  # others decode
        page.file_uploader(key="upload").upload("b.gif", make.animation("GIF", 9)).run()
        page.session_state["nlviz-jobs"]._latest.stop()
        page.run()
        assert visit.opening is None
        assert visit.problem is None
    assert visit.shown.choice.material is visit.material


def test_the_server_takes_no_more_uploads_than_it_may_hold(monkeypatch):
    page = visitor()
    visit = page.session_state["nlviz"]
    before = visit.shown
    others = DISK.hold(bytes(3_000_000), 1 << 40)
    monkeypatch.setattr(startup, "disk_bytes", lambda: others.size + 100)
    new = make.animation("GIF", 9) + b"as no other test gives it: two of one content are one"
    page.file_uploader(key="upload").upload("b.gif", new).run()
    assert not page.exception
    assert "MB of its visitors' files and takes no more now" in page.error[0].value
    assert visit.shown is before
    assert visit.opening is None


def counting() -> None:
    import streamlit as st

    from nlviz.app import uploads

    def take() -> None:
        st.session_state["held"] = uploads.admit(st.session_state["file"])

    file = st.file_uploader("File", key="file", on_change=take)
    if file is not None:
        held = st.session_state["held"]
        manager, session = uploads._of_streamlit()
        (record,) = manager.get_files(session, [file.file_id])
        st.text(f"{held.path.read_bytes()} {record.name} {record.data} {file.getvalue()}")


def test_an_upload_is_on_disk_and_no_longer_in_memory():
    page = AppTest.from_function(counting).run()
    page.file_uploader(key="file").upload("a.bin", b"1234567").run()
    assert not page.exception
    assert [text.value for text in page.text] == ["b'1234567' a.bin b'' b''"]


def awaiting() -> None:
    import streamlit as st

    from nlviz.app.choice import ClipPart
    from nlviz.app.sidebar import upload
    from nlviz.app.visit import Awaited, Visit

    awaited = Awaited("mine.gif", "0" * 64, ClipPart(), "awaited")
    visit = st.session_state.setdefault("visit", Visit(None, awaited=awaited))
    if "gone" not in st.session_state:
        upload.ask(visit, "give")


def test_what_a_page_sends_late_of_a_control_that_has_gone_is_not_taken_again():
    page = AppTest.from_function(awaiting).run()
    control = page.file_uploader(key="give").upload("b.gif", make.animation("GIF", 2))
    sent = control.root.get_widget_states()
    page._run(sent)
    visit = page.session_state["visit"]
    assert visit.opening.material.title == "b.gif"
    visit.opening = None
    told = METERS.text()
    page.session_state["gone"] = True
    page.run()
    page._run(sent)
    assert METERS.text() == told
    assert (visit.opening, visit.problem) == (None, None)
