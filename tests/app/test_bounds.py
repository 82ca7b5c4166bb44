"""What all visitors together may take, what one may choose, and who may come in."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from nlviz.app import held, pages, running, startup
from nlviz.app.door import Door
from nlviz.app.first import first_choice
from nlviz.app.tabs import jobs
from nlviz.errors import MediaError, NetworkError
from nlviz.media.own_folder import own_folder
from tests.support import make

APP = str(Path(__file__).resolve().parents[2] / "app.py")


def start(monkeypatch, *options: str) -> None:
    monkeypatch.setattr("sys.argv", ["app.py", *options])


def test_the_door_lets_in_so_many_and_the_others_in_their_order():
    here = {"a", "b", "c", "d"}
    door = Door(2, here.__contains__)
    assert [door.before(each) for each in "abcd"] == [None, None, 0, 1]
    assert (door.inside, door.waiting) == (2, 2)
    here.discard("c")  # who gives up loses their place
    assert door.before("d") == 0
    here.discard("a")
    here.add("e")
    assert door.before("e") == 1  # d came first
    assert door.before("d") is None
    assert door.before("e") == 0
    assert door.before("b") is None
    here.clear()
    assert (door.inside, door.waiting) == (0, 0)


def test_two_who_give_the_same_share_a_file_that_goes_with_the_last(tmp_path):
    disk = held.Disk()
    one, other = disk.hold(b"same", 10), disk.hold(b"same", 10)
    assert one is other
    path = one.path
    assert (path.read_bytes(), disk.total) == (b"same", 4)
    del one
    assert path.exists()
    del other
    gc.collect()
    assert not path.exists()
    assert disk.total == 0


def test_files_are_bounded_all_together_and_one_always_fits():
    disk = held.Disk()
    large = disk.hold(bytes(20), 10)
    with pytest.raises(MediaError, match="takes no more now"):
        disk.hold(b"another", 10)
    del large
    gc.collect()
    assert disk.hold(b"another", 10).size == 7


def test_a_full_disk_is_one_sentence_and_leaves_nothing(monkeypatch):
    def full(self, data):
        self.touch()
        raise OSError(28, "No space left on device")

    disk = held.Disk()
    before = sorted(own_folder().iterdir())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MediaError, match=r"could not write the file down \(No space left"):
        disk.hold(b"x", 10)
    assert sorted(own_folder().iterdir()) == before


def test_pages_are_weighed_together_and_what_they_share_once(monkeypatch):
    class Page:
        shown = None

    gc.collect()
    before = pages.held()
    one, other, new = Page(), Page(), Page()
    for page in (one, other, new):
        pages.note(page)
    one.shown = other.shown = make.analysis()
    weighs = pages.held() - before
    assert weighs > 0
    other.shown = make.analysis()
    assert pages.held() - before > 1.5 * weighs
    assert pages.held(without=other) - before == weighs
    monkeypatch.setattr(startup, "keep_bytes", lambda: 10)
    assert "This server's memory is taken" in (pages.refusal(new) or "")
    monkeypatch.setattr(startup, "keep_bytes", lambda: 1 << 40)
    assert pages.refusal(new) is None


def test_a_computation_that_takes_too_long_ends_in_a_sentence_and_waiting_is_not_counted(
    monkeypatch,
):
    start(monkeypatch, "--longest", "1")

    def for_ever(report):
        while True:
            report(0.5, "working")
            time.sleep(0.01)

    job = jobs.Jobs().ask("x", "y", for_ever)
    job.wait(30)
    assert job.done
    assert "This took longer than 1 s, the most that this server gives" in (job.problem or "")

    def waits(report):
        with running.one_at_a_time(report):
            return "made"

    with running.one_at_a_time(lambda *_: None):
        job = jobs.Jobs().ask("x", "y", waits)
        time.sleep(1.5)
    job.wait(30)
    assert job.result == "made"


def test_visitors_choose_among_the_networks_that_the_owner_offers(monkeypatch):
    start(monkeypatch, "--models", "nl-lite0-dot,nl-lite0-gaussian")
    assert startup.offered_models() == ("nl-lite0-gaussian", "nl-lite0-dot")
    assert first_choice().model == "nl-lite0-gaussian"
    with pytest.raises(NetworkError, match="does not offer the network 'nl-lite0'"):
        running.network("nl-lite0")
    page = AppTest.from_file(APP, default_timeout=120)
    page.query_params["model"], page.query_params["size"] = "nl-lite0", "256"
    page.run()
    assert not page.exception
    assert page.selectbox(key="model").options == ["nl-lite0-gaussian", "nl-lite0-dot"]
    assert "nl-lite0' is not available here" in page.warning[0].value


def test_where_secrets_say_so_nobody_comes_in_without_logging_in(monkeypatch):
    page = AppTest.from_file(APP, default_timeout=120)
    page.secrets["auth"] = {
        "redirect_uri": "http://localhost:8501/oauth2callback",
        "cookie_secret": "x" * 32,
        "client_id": "id",
        "client_secret": "secret",
        "server_metadata_url": "https://example.org/.well-known/openid-configuration",
    }
    page.run()
    assert not page.exception
    assert [button.label for button in page.button] == ["Log in"]
    assert "nlviz" not in page.session_state
