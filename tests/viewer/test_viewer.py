"""The viewer in a real browser, alone: what it computes and what it draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support import blobs
from tests.support.viewer_page import Viewer

FUNCTIONS = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
PLACE = (2, 133.0, 71.0)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("exclude", ["none", "cell", "frame"])
def test_hovering_finds_the_same_links_as_numpy(
    show: Callable[..., Viewer], function: str, exclude: str
) -> None:
    block = blobs.Block(function, seed=3)
    view = show(block, options={"k": 12, "exclude": exclude})
    for place in (PLACE, (7, 319.0, 179.0), (0, 2.0, 2.0)):
        state = view.hover(*place)
        asked = state["place"]
        keys, weights = block.top(asked["t"], asked["x"], asked["y"], 12, exclude)
        total = np.abs(block.row(state["cell"]["index"])).sum()
        assert block.indices(state["links"]) == keys
        assert np.allclose([link["weight"] for link in state["links"]], weights, rtol=1e-4)
        assert state["covered"] == pytest.approx(np.abs(weights).sum() / total, rel=1e-4)


def test_a_grid_whose_first_centre_is_not_half_a_step_in_is_followed(
    show: Callable[..., Viewer],
) -> None:
    block = blobs.Block(first=2.0)
    view = show(block)
    assert view.hover(1, 11.0, 11.0)["cell"]["col"] == 0
    state = view.hover(1, 13.0, 11.0)
    assert (state["cell"]["row"], state["cell"]["col"]) == (0, 1)
    assert state["cell"]["box"] == {"x0": 12, "y0": 0, "x1": 32, "y1": 12}
    first = state["links"][0]
    assert first["x"] == pytest.approx(4 + 40 * first["col"])


def test_a_time_step_may_cover_several_frames(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(query=(4, 9, 16), key=(2, 4, 8))
    state = show(block).hover(5, 100.0, 100.0)
    assert state["cell"]["step"] == 2
    assert {link["step"] for link in state["links"]} == {0}
    assert {link["t"] for link in state["links"]} == {1}


def test_the_frames_are_drawn_and_hovering_changes_every_frame(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), options={"exclude": "none"})
    view.page.wait_for_function("() => root.nlviz.state().drawn.frames === 8")
    grey = view.pixels("frames", 3)
    assert abs(np.median(grey[:, 0]) - (70 + 4 * 3)) <= 2
    assert not any(view.pixels("heat", t).any() for t in range(8))
    view.hover(*PLACE)
    assert all(view.pixels("heat", t).any() for t in range(8))
    assert view.pixels("ink", 2).any()
    first = view.pixels("heat", 5)
    view.hover(6, 20.0, 160.0)
    assert (view.pixels("heat", 5) != first).any()
    view.leave()
    assert not any(view.pixels("heat", t).any() for t in range(8))
    assert not view.pixels("ink", 2).any()


def test_the_hottest_pixel_lies_on_the_strongest_key(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(seed=2)
    view = show(block, options={"k": 1, "exclude": "none", "links": False})
    best = view.hover(*PLACE)["links"][0]
    frame = view.state()["layout"]["frames"][best["t"]]
    width, height = round(frame["w"]), round(frame["h"])
    alpha = view.pixels("heat", best["t"]).reshape(height, width, 4)[..., 3]
    row, col = np.unravel_index(alpha.argmax(), alpha.shape)
    assert abs(col / width * 320 - best["x"]) < 21
    assert abs(row / height * 180 - best["y"]) < 23


def test_the_own_frame_stays_clear_when_it_is_left_out(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), options={"exclude": "frame"})
    view.hover(*PLACE)
    assert not view.pixels("heat", 2).any()
    assert view.pixels("heat", 3).any()


def test_signed_rows_have_a_scale_around_zero_and_two_hues(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block("dot_product"))
    state = view.hover(*PLACE)
    assert state["heat"]["signed"]
    assert state["heat"]["low"] == -state["heat"]["high"]
    red, _, blue, _ = view.pixels("heat", 4).astype(int).T
    assert (red > blue + 60).any(), "orange above zero"
    assert (blue > red + 60).any(), "blue below zero"
    assert "−" in view.page.locator(".nlviz-ends span").first.inner_text()


def test_switches_and_sliders_change_what_is_drawn_and_are_told_once(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    page = view.page
    page.get_by_role("switch", name="Heat").uncheck()
    page.get_by_role("switch", name="Links").uncheck()
    view.hover(*PLACE)
    assert not view.pixels("heat", 5).any()
    page.get_by_role("switch", name="Links").check()
    page.get_by_role("button", name="More").click()
    page.get_by_label("What gets no link and no heat").select_option("none")
    page.wait_for_timeout(400)
    before = page.evaluate("() => host.options.length")
    page.get_by_label("Number of links").evaluate(
        """slider => [12, 9, 7].forEach(k => {
          slider.value = k;
          slider.dispatchEvent(new Event("input", { bubbles: true }));
        })"""
    )
    page.wait_for_timeout(400)
    assert len(view.hover(*PLACE)["links"]) == 7
    told = page.evaluate("() => host.options")
    assert len(told) == before + 1
    last = {"k": 7, "links": True, "heat": False, "exclude": "none"}
    assert {name: told[-1][name] for name in last} == last


def test_choosing_a_block_shows_its_own_links(show: Callable[..., Viewer]) -> None:
    coarse = blobs.Block(label="nl5", seed=1)
    fine = blobs.Block(label="nl3", query=(8, 18, 32), key=(8, 9, 16), seed=2)
    view = show(fine, coarse)
    assert view.state()["options"]["block"] == "nl5"
    button = view.page.get_by_role("radio", name="nl3")
    assert "stride 20" in str(button.get_attribute("title"))
    assert "8×18×32" in button.inner_text()
    button.click()
    state = view.hover(*PLACE)
    keys, _ = fine.top(PLACE[0], state["place"]["x"], state["place"]["y"], 20, "frame")
    assert fine.indices(state["links"]) == keys
    assert button.get_attribute("aria-checked") == "true"
