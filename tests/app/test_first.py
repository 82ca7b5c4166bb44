"""The first picture: its session is what would be computed, needs no torch, and is made afresh."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nlviz import Point, Query, top_links
from nlviz.app import first, running, store, torch_loading, turns
from nlviz.app.choice import ClipPart, bundled
from nlviz.app.first import Behind, find, first_choice, stale
from nlviz.app.kept import keep
from nlviz.app.shown import Shown
from nlviz.app.tabs import overlay
from nlviz.errors import NetworkError, ZooError
from nlviz.export import open_session, save
from nlviz.progress import silent
from nlviz.viewer.staged import packed
from tests.test_without_torch import FORBID
from tools.first_session import MOST, analysed

APP = str(Path(__file__).resolve().parents[2] / "app.py")
ROOT = Path(APP).parent
PASS = turns.Kind("pass")


@pytest.fixture(autouse=True)
def empty_store():
    """Nothing is kept from the tests before, nor for those after."""
    store.shared.clear()
    yield
    store.shared.clear()


@pytest.fixture(scope="module")
def fresh():
    """The fresh analysis, as the weights that are here give it."""
    return analysed(first_choice())


def test_the_committed_session_is_of_these_weights_and_this_clip():
    shown = find(first_choice())
    assert shown is not None, "run: python -m tools.first_session"
    assert shown.half
    assert shown.analysis.clip.path is not None  # so that commands can name it
    assert first.FILE.stat().st_size <= MOST


@pytest.mark.slow
def test_it_is_the_fresh_analysis_at_half_precision(fresh):
    held = find(first_choice()).analysis
    assert held.blocks == fresh.blocks
    assert held.view == fresh.view
    assert (held.network, held.weights, held.refused) == (fresh.network, fresh.weights, {})
    assert (held.kinds, held.places) == (dict(fresh.kinds), dict(fresh.places))
    told, now = ({e.label: e.score for e in each.prediction} for each in (held, fresh))
    assert told == pytest.approx(now, rel=1e-3)
    for block in fresh.blocks:
        one, other = fresh.affinity(block), held.affinity(block)
        assert (one.function, one.scale, one.heads) == (other.function, other.scale, other.heads)
        assert (one.query_grid, one.key_grid) == (other.query_grid, other.key_grid)
        for name in ("theta", "phi"):
            then, there = getattr(other, name), getattr(one, name)
            assert np.abs(then - there).max() <= 6e-4 * np.abs(there).max()


@pytest.mark.slow
def test_its_links_are_those_of_the_fresh_analysis(fresh):
    held = find(first_choice()).analysis
    at = bundled()[0].at
    places = [at, *(Point(at.frame, x, y) for x in (60.0, 320.0, 600.0) for y in (50.0, 300.0))]
    for query in (Query(place, block, 20) for block in fresh.blocks for place in places):
        then, now = ({e.target: e.weight for e in top_links(each, query)} for each in (held, fresh))
        shared = then.keys() & now.keys()
        assert {place: then[place] for place in shared} == pytest.approx(
            {place: now[place] for place in shared}, rel=5e-3
        )
        # What is in one of the two alone weighs as much as the last of both.
        last = min(now.values())
        for weight in (each[place] for each in (then, now) for place in each.keys() - shared):
            assert weight == pytest.approx(last, rel=5e-3)


def test_it_is_used_for_nothing_else():
    usual = first_choice()
    for other in (
        replace(usual, size=320),
        replace(usual, part=ClipPart(1)),
        replace(usual, part=ClipPart(frames=4)),
        replace(usual, model="nl-lite0-dot"),
        replace(usual, material=bundled()[1]),
    ):
        assert find(other) is None


def test_without_its_file_or_with_a_damaged_one_there_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(first, "FILE", tmp_path / "first.nlviz")
    assert find(first_choice()) is None
    (tmp_path / "first.nlviz").write_bytes(b"PK\x03\x04 cut")
    assert find(first_choice()) is None


def test_other_weights_make_it_stale(monkeypatch, tmp_path):
    choice = first_choice()
    held = open_session(first.FILE, clip=find(choice).analysis.clip)
    assert stale(held, choice) == ""
    made = replace(held.provenance, version="9.9")
    assert stale(replace(held, provenance=made), choice) == "was made with another nlviz"
    (tmp_path / "nl-lite0.safetensors").write_bytes(b"other")
    monkeypatch.setattr(first, "WEIGHTS", tmp_path)
    store.shared.clear()
    assert stale(held, choice) == "was made with another weights"
    assert find(choice) is None


def test_another_clip_in_its_place_makes_it_stale(monkeypatch):
    other = bundled()[1].path
    renamed = replace(bundled()[0], path=other)
    monkeypatch.setattr(first, "bundled", lambda: (renamed, *bundled()[1:]))
    assert find(first_choice()) is None


WITHOUT_TORCH = """
import sys
from streamlit.testing.v1 import AppTest

page = AppTest.from_file(sys.argv[1], default_timeout=60).run()
assert not page.exception, page.exception
shown = page.session_state["nlviz"].shown
assert shown.half
assert any("--at" in each for each in code_of(page))
for tab in ("Block", "Profile"):
    page.session_state["details"] = tab
    page.run()
    assert not page.exception, page.exception
    assert not page.error
assert "torch" not in sys.modules
print(shown.choice.material.name)
"""


@pytest.mark.slow
def test_the_first_page_and_its_tabs_come_without_torch():
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.support.code_blocks import code_of\n{FORBID}{WITHOUT_TORCH}"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, APP],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [bundled()[0].name]


@pytest.fixture
def held_back(monkeypatch):
    """Torch is not loaded until the event is set."""
    let = threading.Event()
    monkeypatch.setattr(torch_loading, "_thread", None)
    monkeypatch.setattr(torch_loading, "_load", lambda: let.wait(60))
    monkeypatch.setattr(first, "BEHIND", Behind())
    for module in ("nlviz.app.stage.network_word", "nlviz.app.tabs.waiting"):
        monkeypatch.setattr(f"{module}.BEHIND", first.BEHIND)
    yield let
    let.set()


def test_torchs_threads_leave_the_cores_to_others(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is as before at the end
        monkeypatch.delenv(name)
    monkeypatch.setattr(torch_loading, "_thread", None)
    torch_loading.wait(lambda fraction, stage: None)
    assert os.environ["GOMP_SPINCOUNT"] == "1000"


@pytest.fixture
def made(monkeypatch, fresh):
    """The fresh analysis comes at once when the network is there."""

    def make(choice, progress):
        torch_loading.wait(progress)
        shown = Shown(choice, fresh, *packed(fresh), made_with="mark")
        monkeypatch.setitem(running._fingerprints, choice.model, "mark")
        keep(shown)
        return shown

    monkeypatch.setattr(first, "make", make)


def until(page, holds):
    for _ in range(400):
        page.run()
        assert not page.exception
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("never")


@pytest.mark.slow
def test_what_needs_the_network_waits_with_a_word_and_the_fresh_analysis_follows(
    held_back, made, fresh, monkeypatch
):
    monkeypatch.setattr(running, "_fingerprints", {})
    page = AppTest.from_file(APP, default_timeout=60).run()
    visit = page.session_state["nlviz"]
    half = visit.shown
    assert half.half
    page.session_state[overlay.TAB_ROW] = "Export"
    page.run()
    assert "Loading the network …" in [each.value for each in page.caption]
    held_back.set()
    until(page, lambda: not visit.shown.half)
    shown = visit.shown
    assert shown.analysis.affinity("nl5") is fresh.affinity("nl5")
    assert (shown.blobs, shown.tags) == (half.blobs, half.tags)  # the page need not get them again
    assert shown.made_with == "mark"
    page.run()
    assert "Loading the network …" not in [each.value for each in page.caption]


@pytest.mark.slow
def test_another_clip_waits_with_a_word_and_the_first_stays(held_back, monkeypatch):
    monkeypatch.setattr(running, "_fingerprints", {})
    page = AppTest.from_file(APP, default_timeout=60).run()
    visit, other = page.session_state["nlviz"], bundled()[3]
    page.button(key=f"pick-{other.id}").click()
    said: list[str] = []

    def says_so():
        mounts = [each.proto for each in page.get("bidi_component")]
        said[:] = [each.json for each in mounts if each.component_name == "nlviz_waiting"]
        return any(torch_loading.WORD in each for each in said)

    until(page, says_so)
    assert visit.shown.half
    assert visit.coming.material == other


def test_the_network_that_is_told_by_a_half_is_that_of_its_weights(monkeypatch):
    shown = find(first_choice())

    class Other:
        weights = "sha256:other"

    monkeypatch.setattr(
        "nlviz.app.shown.loaded", lambda name, weights: running.Loaded(Other(), "mark")
    )
    with pytest.raises(NetworkError, match="weights of nl-lite0 have changed"):
        shown.network()
    Other.weights = shown.analysis.weights
    assert isinstance(shown.network(), Other)


@contextmanager
def waits_for_a_turn():
    def waits():
        turns.VISITOR.set(turns.Visitor())
        with turns.shared().take(PASS, silent):
            pass

    thread = threading.Thread(target=waits)
    thread.start()
    while not turns.shared().visitor_waits():
        time.sleep(0.005)
    yield


def test_it_makes_room_for_others_and_tries_again(monkeypatch):
    tried = []

    def make(choice, progress):
        tried.append(turns.shared().visitor_waits())
        progress(0.5, "running")
        return replace(find(choice), half=False)

    monkeypatch.setattr(first, "make", make)
    monkeypatch.setattr(first, "_AGAIN", 0.01)
    monkeypatch.setattr(running, "_fingerprints", {})
    behind = Behind()
    with turns.shared().take(PASS, silent), waits_for_a_turn():
        behind.begin(first_choice())
        while not tried:
            time.sleep(0.005)
        assert behind.found(first_choice()) is None
    for _ in range(400):
        if behind.found(first_choice()) is not None:
            break
        time.sleep(0.01)
    assert tried[0]
    assert not tried[-1]
    assert not behind.found(first_choice()).half


def test_a_network_that_cannot_be_loaded_is_told(monkeypatch):
    def make(choice, progress):
        raise ZooError("The ImageNet weights are missing.")

    monkeypatch.setattr(first, "make", make)
    behind = Behind()
    behind.begin(first_choice())
    for _ in range(400):
        if behind.problem is not None:
            break
        time.sleep(0.01)
    assert behind.problem == "The ImageNet weights are missing."


def test_it_is_saved_again_as_the_same_bytes():
    held = find(first_choice())
    again = save(open_session(first.FILE, clip=held.analysis.clip), slim=True)
    assert again == first.FILE.read_bytes()
