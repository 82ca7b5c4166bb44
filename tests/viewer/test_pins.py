"""The viewer in a real browser, alone: pins, by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support import blobs
from tests.support.viewer_page import Viewer

PLACE = (2, 133.0, 71.0)


def test_a_click_pins_at_once_and_sends_one_act(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.page.evaluate("() => { host.answers = false }")
    state = view.click(*PLACE)
    assert [pin["pending"] for pin in state["pins"]] == [True]
    (act,) = view.acts()
    assert act["type"] == "add"
    assert act["t"] == 2
    assert act["x"] == pytest.approx(133, abs=1)
    assert act["y"] == pytest.approx(71, abs=1)
    state = view.leave()
    assert len(state["links"]) == 20, "the pin's links stay when nothing is hovered"
    assert view.pixels("ink", 2).any()
    view.page.evaluate("() => host.answer(host.acts[0])")
    assert [pin["pending"] for pin in view.state()["pins"]] == [False]


def test_a_click_on_a_pin_removes_it_and_undo_brings_it_back(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    assert view.click(*PLACE)["pins"] == []
    assert view.settle()["pins"] == []
    view.page.keyboard.press("Control+z")
    assert len(view.state()["pins"]) == 1
    assert len(view.settle()["pins"]) == 1
    view.page.get_by_role("button", name="Clear").click()
    assert view.settle()["pins"] == []
    view.page.get_by_role("button", name="Undo").click()
    assert len(view.settle()["pins"]) == 1
    assert [act["type"] for act in view.acts()] == ["add", "remove", "undo", "clear", "undo"]


def test_every_change_shows_before_the_host_has_answered(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    view.page.evaluate("() => { host.answers = false }")
    view.page.get_by_role("button", name="Clear").click()
    assert view.state()["pins"] == []
    view.page.get_by_role("button", name="Undo").click()
    assert len(view.state()["pins"]) == 1
    view.click(*PLACE)
    assert view.state()["pins"] == []


def test_a_pin_removed_before_the_host_has_named_it_goes_for_good(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.page.keyboard.press("Escape")
    assert view.state()["pins"] == []
    assert view.settle()["pins"] == []
    view.page.wait_for_timeout(100)
    assert view.page.evaluate("() => host.data.pins") == []


def test_a_tap_pins_on_a_phone(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), width=390, height=844, has_touch=True, is_mobile=True)
    view.page.touchscreen.tap(*view.at(*PLACE))
    state = view.settle()
    assert len(state["pins"]) == 1
    assert not state["place"]["hovered"]


def test_a_ninth_pin_is_refused_in_one_sentence(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    for t in range(8):
        view.click(t, 40.0 + 20 * t, 90.0)
    assert len(view.settle()["pins"]) == 8
    assert len({pin["color"] for pin in view.state()["pins"]}) == 8
    state = view.click(0, 250.0, 30.0)
    assert len(state["pins"]) == 8
    assert state["message"] == "8 pins are the most; remove one to place another."


def test_exact_links_replace_the_local_ones_until_the_options_change(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block(), options={"k": 1})
    link = {"rank": 1, "weight": 0.5, "share": 0.5, "t": 6, "x": 9.0, "y": 8.0}
    exact = {"block": "nl5", "k": 1, "exclude": "frame", "links": [link], "covered": 0.5}
    pin = {"id": "a", "color": "#E69F00", "t": 2, "x": 133.0, "y": 71.0, "exact": exact}
    view.show(pins=[pin])
    state = view.state()
    assert state["covered"] == 0.5
    assert (state["links"][0]["t"], state["links"][0]["x"]) == (6, 9.0)
    assert "1 link carries 50%" in state["readout"]
    view.page.get_by_label("Number of links").fill("2")
    state = view.state()
    assert len(state["links"]) == 2
    assert not state["pins"][0]["exact"]


def test_a_chip_chooses_whose_heat_is_shown(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.click(1, 60.0, 60.0)
    view.click(6, 200.0, 120.0)
    view.settle()
    state = view.leave()
    assert state["place"]["t"] == 6
    view.page.get_by_role("button", name=re.compile("^frame 5 ")).click()
    assert view.state()["place"]["t"] == 1
    focused = "document.activeElement.textContent"
    assert view.page.evaluate(focused).startswith("frame 5 "), "the chip keeps the focus"
    view.page.get_by_role("button", name="Remove pin 1").click()
    assert len(view.settle()["pins"]) == 1


def test_the_keyboard_moves_pins_and_removes(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    stage = view.page.get_by_role("application")
    stage.focus()
    press = view.page.keyboard.press
    press("ArrowRight")
    start = view.state()["cell"]
    press("ArrowRight")
    press("ArrowDown")
    press("PageDown")
    state = view.state()
    moved = (state["cell"]["col"] - start["col"], state["cell"]["row"] - start["row"])
    assert moved == (1, 1)
    assert state["place"]["t"] == 1
    press("PageUp")
    press("Enter")
    assert len(view.settle()["pins"]) == 1
    press("Escape")
    assert view.settle()["pins"] == []
    view.page.wait_for_timeout(500)
    spoken = view.page.locator(".nlviz-live").inner_text()
    assert spoken.startswith("Frame 0, x")
    assert "Strongest: Frame" in spoken


def test_handled_keys_do_not_reach_the_page(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.page.evaluate(
        """() => {
            host.keys = [];
            document.addEventListener("keydown", (event) => host.keys.push(event.key));
        }"""
    )
    view.page.get_by_role("application").focus()
    for key in ("ArrowLeft", "PageDown", "Enter", "Escape", "r"):
        view.page.keyboard.press(key)
    assert view.page.evaluate("() => host.keys") == ["r"]
