"""The tab Another clip: a second clip is chosen, and the pins of the first lead into it."""

from __future__ import annotations

import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from nlviz.app import startup
from nlviz.app.tabs import another_clip, another_clip_choice
from nlviz.errors import MediaError
from tests.support.code_blocks import code_of


def tab(weights: str = "same") -> None:
    """A script of the app: the tab, for a pin of a clip; the other is made by a test."""
    from dataclasses import replace

    from nlviz import Point
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import another_clip
    from nlviz.app.tabs.context import TabContext
    from nlviz.app.visit import current
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.matching.test_matching import other
    from tests.support import make

    def made(choice: Choice, progress: object) -> Shown:
        assert choice.part == ClipPart(frames=4), "as many frames as the first clip, from its first"
        assert (choice.model, choice.size) == ("nl-lite0", 320)
        seen = other()
        seen = replace(seen, clip=replace(seen.clip, name=choice.material.name))
        return Shown(choice, seen, *packed(seen), made_with=weights)

    another_clip.make = made
    Shown.network = lambda self: make.network()
    current(bundled()[0])
    analysis, options = make.analysis(), Options(block="fine", k=3)
    choice = Choice(bundled()[0], ClipPart(frames=4, start=3), "nl-lite0", 320)
    pins = Pins().add(Point(15, 20.0, 20.0))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    shown = Shown(choice, analysis, *packed(analysis), made_with="same")
    another_clip.show(TabContext(shown, links, options))


@pytest.fixture
def opened(monkeypatch):
    """The tab, and what it says; what the script patches is put back."""
    monkeypatch.setattr(another_clip, "make", another_clip.make)
    monkeypatch.setattr("nlviz.app.shown.Shown.network", lambda self: None)

    def run(**given):
        page = AppTest.from_function(tab, kwargs=given, default_timeout=240)
        return page.run()

    return run


def words(page):
    assert not page.exception
    return " ".join(each.value for each in (*page.info, *page.caption))


def until(page, said):
    end = time.monotonic() + 120
    while said not in words(page):
        assert time.monotonic() < end, words(page)
        page.run()
    return page


def scenes(page):
    """What the viewers of the page were sent."""
    protos = [each.proto for each in page.get("bidi_component")]
    return [json.loads(p.json)[0] for p in protos if p.component_name.endswith("nlviz_viewer")]


def test_a_second_clip_is_chosen_and_the_pins_lead_into_it(opened):
    page = opened()
    assert "Which places of a second clip or photo resemble a pin" in words(page)
    page.selectbox(key="another-clip-menu").set_value("Cows and sheep").run()
    until(page, "a distribution over the places of")
    assert "no network weighed these" in words(page)
    (scene,) = scenes(page)
    (pin,) = scene["pins"]
    assert pin["t"] == 3
    assert len(pin["exact"]["links"]) == 3
    assert {link["t"] for link in pin["exact"]["links"]} <= {4, 5}, "frames of the second clip"
    assert not code_of(page), "no command gives what a tiny network made"
    page.segmented_control(key="another-clip-of").set_value("Cosine of the input").run()
    until(page, "The clips were analysed by random; got tiny")


def test_other_weights_are_told_in_a_sentence(opened):
    page = opened(weights="changed")
    page.selectbox(key="another-clip-menu").set_value("Apples and pears").run()
    until(page, "The weights of nl-lite0 have changed")
    assert not scenes(page)


def test_a_file_that_cannot_be_taken_is_told_and_a_demo_takes_none(opened, monkeypatch):
    page = opened()
    assert page.get("file_uploader")

    def full(file):
        raise MediaError("This server holds enough.")

    monkeypatch.setattr(another_clip_choice.uploads, "admit", full)
    page.file_uploader(key="another-clip-upload").set_value(("a.png", b"x", "image/png")).run()
    assert "This server holds enough" in words(page)
    monkeypatch.setattr(startup, "is_demo", lambda: True)
    page.run()
    assert not page.get("file_uploader")


def test_a_click_on_the_second_clip_places_no_pin_and_says_so(monkeypatch):
    acts, state = [], {}
    monkeypatch.setattr(another_clip, "visiting", lambda: type("V", (), {"act": acts.append}))
    monkeypatch.setattr(another_clip.st, "session_state", state)
    monkeypatch.setattr(another_clip.st, "rerun", lambda scope: state.update(again=scope))
    another_clip._act({"type": "add", "t": 4, "x": 1, "y": 1}, 4)
    assert not acts
    assert "Pins lie on the first clip" in state["nlviz-another-clip-notice"]
    another_clip._act({"type": "add", "t": 3, "x": 1, "y": 1}, 4)
    assert len(acts) == 1
    assert state["again"] == "viewer-and-tabs"
