"""Two visitors at once, a network that was evicted, and sessions that end."""

from __future__ import annotations

import ctypes
import gc
import re
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import nn

import nlviz
from nlviz.app import running
from nlviz.app.analysing import make as analysed
from nlviz.app.choice import Choice, ClipPart, bundled
from nlviz.app.tabs import jobs
from nlviz.app.tidying import Tidying
from nlviz.hooks.memory import give_back

APP = str(Path(__file__).resolve().parents[2] / "app.py")

RANDOM = """
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 16, 16)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).unsqueeze(1).chunk(3, -1)
        return self.head(F.scaled_dot_product_attention(q, k, v).squeeze(1).mean(1))

def build():
    return Net(), {"size": 64, "multiple": 16, "classes": ("cat", "dog")}
"""


def silent(fraction: float, what: str) -> None:
    pass


def arrives(**said: str) -> AppTest:
    page = AppTest.from_file(APP, default_timeout=120)
    for name, value in {"size": "256", **said}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert not page.error
    return page


@pytest.fixture
def own(tmp_path, monkeypatch) -> str:
    """A network of the owner's whose weights are other ones each time that it is built."""
    file = tmp_path / "net.py"
    file.write_text(RANDOM)
    name = f"{file}:build"
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", name])
    return name


def test_the_owners_network_stays_the_same_whatever_else_is_looked_at(own):
    shown = analysed(Choice(bundled()[0], ClipPart(frames=1), own, 64), silent)
    before = shown.network()
    for name in nlviz.models.zoo.bundled()[:3]:
        running.network(name)
    running._of_zoo.clear()
    assert shown.network() is before
    (effect,) = nlviz.effects(shown.analysis, shown.network())
    assert effect.before == shown.analysis.prediction


def test_numbers_of_other_weights_are_refused(own):
    shown = analysed(Choice(bundled()[0], ClipPart(frames=1), own, 64), silent)
    with torch.no_grad():
        shown.network().module.head.bias.add_(1)
    running._own.clear()  # as if the server had let go of it
    with pytest.raises(nlviz.NetworkError, match="have changed since this analysis"):
        shown.network()


@pytest.mark.slow
def test_a_network_that_others_evicted_comes_back_with_the_weights_that_it_had():
    first, *others = nlviz.models.zoo.bundled()
    shown = analysed(Choice(bundled()[0], ClipPart(frames=1), first, 64), silent)
    before = shown.network()
    expected = nlviz.effects(shown.analysis, before)
    for name in others:
        running.network(name)
    again = shown.network()
    assert again is not before, "the server keeps a few networks, and others were asked for"
    assert nlviz.effects(shown.analysis, again) == expected


def test_a_network_is_loaded_while_another_visitors_runs():
    first, second = nlviz.models.zoo.bundled()[:2]
    running._of_zoo.clear()
    came: list[str] = []
    with running.one_at_a_time(silent):  # the first visitor's pass
        loading = threading.Thread(target=lambda: came.append(running.network(second).name))
        loading.start()
        loading.join(60)
        assert came == [second]
    assert running.network(first).name == first


def test_weights_that_differ_in_one_number_have_another_fingerprint():
    module = nn.Linear(3, 2)
    before = running.fingerprint(module)
    assert running.fingerprint(module) == before
    with torch.no_grad():
        module.weight[1, 2] += 1e-6
    assert running.fingerprint(module) != before
    assert running.fingerprint(module.bfloat16()) != before


@pytest.mark.slow
def test_two_visitors_of_a_clip_share_its_analysis_but_not_what_they_ask_of_it():
    first, second = arrives(), arrives()
    one, other = first.session_state["nlviz"], second.session_state["nlviz"]
    assert one.shown is other.shown
    one.options = one.options.changed({"reverse": True})
    for _ in range(200):
        first.run()
        if one.shown.constants:
            break
        time.sleep(0.05)
    assert len(one.shown.constants) == 1
    assert one.shown.analysis is other.shown.analysis
    assert not other.shown.constants
    assert second.run().session_state["nlviz"].options.reverse is False


@pytest.mark.slow
def test_a_click_is_answered_while_another_visitor_computes():
    first, second = arrives(), arrives()
    visit = second.session_state["nlviz"]
    with running.one_at_a_time(silent):  # the first visitor's masking, say
        visit.options = visit.options.changed({"rank_by": "contribution"})
        second.run()  # would not come back
        assert not second.exception
        assert not visit.shown.sizes
        assert second.session_state["nlviz-jobs"].urgent
        visit.act({"do": "place", "frame": 8, "x": 20, "y": 20})
        first.run()
    for _ in range(200):
        second.run()
        if visit.shown.sizes:
            break
        time.sleep(0.05)
    assert visit.shown.sizes


@pytest.mark.slow
def test_a_network_is_loaded_while_somebody_else_is_there():
    first = arrives()
    shown = first.session_state["nlviz"].shown
    names = [name for name in nlviz.models.zoo.bundled() if name != shown.choice.model]
    second = arrives(model=names[0])
    assert second.session_state["nlviz"].shown.choice.model == names[0]
    first.run()
    assert first.session_state["nlviz"].shown is shown
    assert shown.network().name == shown.choice.model


@pytest.mark.slow
def test_a_visit_that_ended_is_freed_whatever_was_loaded_meanwhile():
    frozen = gc.get_freeze_count()
    page = arrives()
    gone = weakref.ref(page.session_state["nlviz-jobs"])
    running._of_zoo.clear()
    running.network(nlviz.models.zoo.bundled()[0])
    del page
    gc.collect()
    assert gone() is None
    assert gc.get_freeze_count() <= frozen


def test_a_pass_is_stopped_between_two_of_its_modules():
    ran: list[int] = []

    class Step(nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def forward(self, x):
            ran.append(self.number)
            if self.number == 1:
                reached.set()
                assert stopped.wait(30)
                time.sleep(2 * running._PATIENCE)
            return x

    reached, stopped = threading.Event(), threading.Event()
    network = nn.Sequential(*map(Step, range(5)))

    def work(progress):
        with running.one_at_a_time(progress):
            return network(torch.zeros(1))

    job = jobs.Jobs().ask("clip", "key", work)
    assert reached.wait(30)
    job.stop()
    stopped.set()
    job.wait(30)
    assert (ran, job.done) == ([0, 1], False)
    with running.one_at_a_time(silent):  # the door is open, and nothing is left in modules
        assert network(torch.zeros(1)).shape == (1,)


def test_another_visitors_pass_is_not_stopped():
    seen: list[str] = []
    network, done = nn.Identity(), threading.Event()

    def other():
        network(torch.zeros(1))
        done.set()

    def told(fraction: float, what: str) -> None:
        seen.append(threading.current_thread().name)

    with running.one_at_a_time(told):
        threading.Thread(target=other, name="other").start()
        assert done.wait(30)
        network(torch.zeros(1))
    assert set(seen) == {threading.current_thread().name}


def test_one_record_is_never_changed():
    shown = arrives().session_state["nlviz"].shown
    more = shown.with_constants(shown.analysis.blocks[0], b"blob")
    assert not shown.constants
    assert list(more.constants.values()) == [b"blob"]
    sized = replace(shown.analysis, sizes={"nl5": np.ones(7040, np.float32)})
    assert shown.measured(sized).sizes
    assert not shown.sizes


def failing() -> None:
    import streamlit as st

    from nlviz.app.guard import safely

    def fails(what: str) -> None:
        raise OSError(28, "No space left on device", what)

    st.button("Try", on_click=safely(fails), args=("disk",))
    st.text("The page is here.")


def test_an_error_in_a_callback_is_logged_and_ends_in_a_sentence(caplog):
    page = AppTest.from_function(failing).run()
    page.button[0].click().run()
    assert not page.exception
    assert [text.value for text in page.text] == ["The page is here."]
    assert "Something went wrong in the app itself" in page.error[0].value
    assert "No space left" in caplog.text


def test_every_callback_of_the_app_is_guarded():
    told = re.compile(r"\bon_(?:\w+)=(?!safely\()(?!\")(\S+)")
    folder = Path(APP).parent / "nlviz" / "app"
    assert [
        (path.name, found.group())
        for path in folder.rglob("*.py")
        for found in told.finditer(path.read_text(encoding="utf-8"))
    ] == []


@pytest.mark.slow
def test_what_is_on_screen_answers_while_the_next_analysis_is_made_and_that_can_be_stopped():
    page = arrives()
    visit = page.session_state["nlviz"]
    before = visit.shown
    with running.one_at_a_time(silent):
        page.select_slider(key=f"size-{before.choice.model}").set_value(320).run()
        assert not page.exception
        assert visit.shown is before
        assert visit.coming is not None
        assert visit.coming.size == 320
        page.session_state["nlviz-jobs"]._latest.stop()
        page.run()
        assert "Stopped." in [caption.value for caption in page.caption]
    page.button(key="again-analysis").click().run()
    for _ in range(600):
        if visit.shown is not before:
            break
        time.sleep(0.05)
        page.run()
    assert visit.shown.choice.size == 320
    assert visit.coming is None


def test_the_server_tidies_up_once_somebody_has_left_for_good():
    here, closed, tidied = {"one", "two"}, [], []
    tidying = Tidying(
        lambda visitor: visitor in here, 60.0, closed.append, lambda: tidied.append(1)
    )
    for visitor in ("one", "two"):
        tidying.note(visitor)
    tidying.look(0.0)
    here.discard("one")
    tidying.look(10.0)
    tidying.look(69.0)
    assert closed == []  # they may come back
    here.add("one")
    tidying.look(75.0)
    here.discard("one")
    tidying.look(80.0)
    tidying.look(139.0)
    assert closed == []
    tidying.look(141.0)
    assert (closed, tidied) == (["one"], [])  # their session ends meanwhile
    tidying.look(145.0)
    assert tidied == [1]
    for later in (149.0, 153.0, 157.0, 300.0):  # a few times, for a session may end late
        tidying.look(later)
    assert (closed, tidied) == (["one"], [1, 1, 1])  # two is still here


def test_what_only_rings_of_objects_hold_is_freed():
    class Ring:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    try:
        gone = weakref.ref(Ring())
        assert gone() is not None
        give_back()
        assert gone() is None
    finally:
        gc.enable()


HEAPS = """
import ctypes, sys, threading
from nlviz.app.tidying import share_heaps

share_heaps()
libc, all_there = ctypes.CDLL(None), threading.Barrier(8)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p

def work():
    libc.free(ctypes.c_void_p(libc.malloc(1000)))
    all_there.wait()

threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
told = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, told)
libc.fclose(told)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
def test_the_threads_of_visitors_share_two_heaps(tmp_path):
    told = tmp_path / "heaps.xml"
    subprocess.run([sys.executable, "-c", HEAPS, str(told)], check=True)
    assert told.read_text().count("<heap nr=") <= 2
