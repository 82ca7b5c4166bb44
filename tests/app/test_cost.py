"""What a choice costs is said under the sliders, and what takes long is asked before it runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from nlviz.app import paces, torch_loading
from nlviz.app.choice import Choice, ClipPart, bundled
from nlviz.app.paces import Paces
from nlviz.app.shown import Shown
from nlviz.app.sidebar import cost, windows
from nlviz.app.visit import Visit
from nlviz.inference.pace import Pace
from nlviz.media import MediaInfo

INFO = MediaInfo("long.mp4", 1920, 1080, 18000, 600.0, 30.0)


def _pace(frames: int, seconds: float, memory: float = 1e8) -> Pace:
    pair = (frames, frames)
    return Pace(pair, (seconds,) * 2, (memory,) * 2, (100.0 * frames,) * 2, (1e6,) * 2)


def test_what_was_measured_tells_of_other_lengths_as_far_as_it_reaches():
    known = Paces()
    assert known.find("a", 8) is None
    known.note("a", _pace(8, 4.0))
    assert known.find("a", 8).seconds_of(8) == 4.0
    assert known.find("a", 16).seconds_of(16) == 8.0
    assert known.find("a", 17) is None  # one of half as many says too little
    assert known.find("b", 8) is None
    known.note("a", _pace(16, 10.0))
    assert known.find("a", 64).frames == (8, 16)
    known.note("a", _pace(8, 5.0))
    assert known.find("a", 8).seconds_of(8) == 5.0  # the newest


def page_of_cost():
    import streamlit as st

    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.sidebar import cost
    from nlviz.app.visit import current
    from nlviz.media import MediaInfo

    material = bundled()[0]
    visit = current(material)
    visit.infos[material.id] = MediaInfo("long.mp4", 1920, 1080, 18000, 600.0, 30.0)
    frames = st.session_state.get("frames", 8)
    choice = Choice(material, ClipPart(frames=frames), "nl-lite0", 640)
    st.text(f"runs: {cost.agreed(visit, choice, st.empty())}")


@pytest.fixture
def page(monkeypatch) -> AppTest:
    known = Paces()
    monkeypatch.setattr(paces, "shared", lambda: known)
    monkeypatch.setattr("nlviz.inference.pace.free_now", lambda: 8 * 10**9)
    return AppTest.from_function(page_of_cost, default_timeout=60)


def _note(frames: int, seconds: float, memory: float = 1e8) -> None:
    choice = Choice(bundled()[0], ClipPart(frames=frames), "nl-lite0", 640)
    paces.note(choice, (INFO.width, INFO.height), _pace(frames, seconds, memory))


def _said(page: AppTest) -> tuple[str, str]:
    assert not page.exception
    (runs,) = (text.value for text in page.text)
    return page.caption[0].value.replace("\\", ""), runs  # escaped for Markdown


def test_a_usual_choice_runs_and_says_how_many_positions_it_has(page):
    words, runs = _said(page.run())
    assert words == (
        "28,160 positions in the largest block; how long it takes here, the first run measures."
    )
    assert runs == "runs: True"
    _note(8, 7.2)
    words, runs = _said(page.run())
    assert words == (
        "28,160 positions in the largest block; about 150 MB of memory; about 7.2 s here "
        "(measured)."
    )
    assert runs == "runs: True"
    assert not page.button


def test_the_positions_are_those_of_the_analysis(monkeypatch):
    import nlviz
    from tests.support import make

    clip = make.clip(4, width=96, height=64)
    analysis = nlviz.analyse(clip, nlviz.load("nl-lite0", device="cpu"), size=96)
    info = replace(INFO, width=96, height=64)
    choice = Choice(bundled()[0], ClipPart(frames=4), "nl-lite0", 96)
    most = max(each.query_grid.size for each in analysis.affinities.values())
    visit = Visit(choice.material)
    assert cost._positions(visit, choice, info) == most
    monkeypatch.setattr(torch_loading, "is_loaded", lambda: False)
    assert cost._positions(visit, choice, info) is None
    visit.shown = Shown(choice, analysis, (), ())
    longer = replace(choice, part=ClipPart(frames=8))
    assert cost._positions(visit, longer, info) == 2 * most
    assert cost._positions(visit, replace(choice, size=128), info) is None


def test_what_takes_long_waits_until_the_visitor_says_so(page):
    _note(8, 130.0)
    _, runs = _said(page.run())
    assert runs == "runs: False"
    assert page.warning[0].value == (
        "This takes about 2 min. Fewer frames or a smaller input size make it less."
    )
    page.button[0].click().run()
    assert _said(page)[1] == "runs: True"
    assert not page.warning


def test_more_memory_than_is_free_is_asked_about(page):
    _note(8, 1.0, memory=3e10)
    _, runs = _said(page.run())
    assert runs == "runs: False"
    assert "needs 30.0 GB of memory, where 8.0 GB is free" in page.warning[0].value


def test_a_large_choice_is_measured_before_it_runs(page, monkeypatch):
    asked = []

    def probe(choice, info, progress):
        asked.append(choice.part.frames)
        _note(128, 500.0)
        return True

    monkeypatch.setattr(cost, "_probe", probe)
    page.session_state["frames"] = 128
    for _ in range(20):
        page.run()
        if page.warning:
            break
    assert asked == [128]
    assert "This takes about 8 min" in page.warning[0].value
    assert page.text[0].value == "runs: False"


def test_windows_of_a_part_share_a_quarter_and_reach_both_ends():
    part = ClipPart(start=120, frames=8, stride=10)
    assert windows.starts(part, 300) == (0, 60, 120, 180, 229)
    assert windows.starts(replace(part, stride=None), 300) == ()
    assert windows.starts(ClipPart(0, 8, 1), 8) == ()
    assert windows.starts(ClipPart(25, 8, 1), 20)[-1] == 12
    many = windows.starts(ClipPart(0, 2, 1), 1000)
    assert len(many) == 999
    assert windows.marks(many) == ()
    assert windows.marks((0, 60)) == (0, 60)


def page_of_windows():
    import streamlit as st

    from nlviz.app.choice import ClipPart
    from nlviz.app.sidebar import timeline, windows
    from nlviz.media import MediaInfo

    start = st.slider("First frame", 0, 299, 120, key="start-a")
    part = ClipPart(start, 8, 10)
    starts = windows.starts(part, 300)
    windows.show(part, 300, starts, key="start-a")
    info = MediaInfo("a", 64, 48, 300, 10.0, 30.0)
    st.text(timeline.markup(info, part, (), starts).count("<u "))


def test_a_step_to_the_next_window_moves_the_first_frame():
    page = AppTest.from_function(page_of_windows, default_timeout=60).run()
    assert not page.exception
    after = page.button[1]
    assert page.caption[0].value == "Window 3 of 5"
    assert page.text[0].value == "5"
    after.click().run()
    assert (page.slider[0].value, page.caption[0].value) == (180, "Window 4 of 5")
    page.button[1].click().run()
    assert page.caption[0].value == "Window 5 of 5"
    assert page.button[1].disabled
    assert not page.button[0].disabled
