"""The viewer in a real browser, alone: the player, the heat's scale, a first visit's hint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

from nlviz.viewer import bundle
from nlviz.viewer.blobs import mask_blob, tag
from tests.support import blobs
from tests.support.viewer_page import HARNESS, Viewer

PLACE = (2, 133.0, 71.0)


def until(view: Viewer, wanted: str) -> dict[str, Any]:
    view.page.wait_for_function(f"() => (({wanted}))(root.nlviz.state())")
    return view.state()


def test_the_space_bar_plays_one_large_frame_after_the_other(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    view.leave()
    view.page.get_by_role("application").focus()
    view.page.keyboard.press("Space")
    state = until(view, "s => s.playing && s.now === 4")
    assert state["options"]["view"] == "player"
    frames = state["layout"]["frames"]
    assert frames[0]["w"] > 900
    assert all(frame == frames[0] for frame in frames)
    seconds = view.page.evaluate(
        """async () => {
            const turn = (t) => new Promise((done) => {
                const look = () => (root.nlviz.state().now === t ? done(performance.now())
                    : requestAnimationFrame(look));
                look();
            });
            const start = await turn(6);
            return (await turn(2) - start) / 1000;
        }"""
    )
    assert seconds == pytest.approx(4 * 5 / 24, abs=0.35), "four frames of 5/24 s each"
    view.page.keyboard.press("Space")
    state = view.state()
    assert not state["playing"]
    view.page.wait_for_timeout(300)
    assert view.state()["now"] == state["now"]


def test_the_timeline_scrubs_and_plots_the_weight_of_each_frame(
    show: Callable[..., Viewer],
) -> None:
    block = blobs.Block(seed=3)
    view = show(block, options={"view": "player", "exclude": "none", "k": 60})
    state = view.hover(0, 133.0, 71.0)
    row = block.row(state["cell"]["index"]).reshape(8, -1)
    assert state["shares"] == pytest.approx(row.sum(axis=1).tolist(), rel=1e-3)
    view.click(0, 133.0, 71.0)
    view.settle()
    view.leave()
    assert view.page.locator(".nlviz-track polyline").count() == 1
    track = view.page.get_by_role("slider", name="Frame")
    box = track.bounding_box()
    assert box is not None
    view.page.mouse.click(box["x"] + box["width"] - 4, box["y"] + 20)
    assert view.state()["now"] == 7
    track.press("ArrowLeft")
    assert view.state()["now"] == 6
    assert track.get_attribute("aria-valuetext") == "Frame 30, 1.25 s"
    inward = view.pixels("ink", 0)
    assert inward.any(), "links into this frame, from a pin on another"
    track.press("Home")
    assert view.state()["now"] == 0
    assert (view.pixels("ink", 0) != inward).any()
    view.page.get_by_role("application").focus()
    view.page.keyboard.press("PageDown")
    assert view.state()["now"] == 1
    view.page.get_by_role("button", name="Strip").click()
    assert view.state()["layout"]["columns"] > 1


def test_a_place_stays_in_focus_while_the_clip_plays_under_a_resting_hand(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    view.hover(*PLACE)
    view.page.get_by_role("application").focus()
    view.page.keyboard.press("Space")
    state = until(view, "s => s.now === 4")
    assert (state["place"]["t"], len(state["links"])) == (2, 20)


def test_reduced_motion_plays_once_and_stops(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), reduced_motion="reduce", options={"view": "player"})
    track = view.page.get_by_role("slider", name="Frame")
    for _ in range(6):
        track.press("ArrowRight")
    track.press("Space")
    state = until(view, "s => !s.playing")
    assert state["now"] == 7


def test_an_image_has_no_player(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(query=(1, 9, 16), key=(1, 4, 8), frames=1)
    view = show(block, clip=blobs.clip(1), options={"view": "player"})
    assert view.page.get_by_role("button", name="Player").is_hidden()
    view.page.get_by_role("application").focus()
    view.page.keyboard.press("Space")
    assert not view.state()["playing"]
    assert view.page.locator(".nlviz-timeline").is_hidden()


def test_the_heat_is_scaled_to_the_row_the_block_or_absolutely(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(seed=6)
    view = show(block, options={"exclude": "none"})
    page = view.page
    page.get_by_role("button", name="More").press("Enter")
    state = view.hover(*PLACE)
    highest = block.row(state["cell"]["index"]).max()
    assert state["heat"]["high"] == pytest.approx(highest, rel=1e-3)
    scale = page.get_by_label("What the heat map is scaled to")
    scale.select_option("block")
    view.put(block.constants())
    of_block = max(block.row(i).max() for i in range(len(block.theta)))
    assert view.hover(*PLACE)["heat"]["high"] == pytest.approx(of_block)
    bar = page.locator(".nlviz-scale")
    assert "scaled to the whole block" in bar.inner_text()
    fainter = view.pixels("heat", 5)
    scale.select_option("absolute")
    assert view.hover(*PLACE)["heat"]["high"] == 1
    page.get_by_label("How weights become colours").select_option("log")
    view.hover(*PLACE)
    assert "≤ 1.0×10⁻⁶" in bar.inner_text()
    assert "logarithmic" in bar.get_attribute("aria-label")
    assert (view.pixels("heat", 5) != fainter).any()


def test_every_colour_map_rises_in_lightness_and_is_on_the_bar(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    page = view.page
    page.get_by_role("button", name="More").click()
    menu = page.get_by_label("Colours of the heat map")
    names = menu.locator("option").evaluate_all("all => all.map((one) => one.value)")
    assert names == ["dusk", "viridis", "cividis", "grey"]
    seen = set()
    for name in names:
        menu.select_option(name)
        view.hover(*PLACE)
        gradient = page.locator(".nlviz-strip").evaluate("strip => strip.style.backgroundImage")
        seen.add(gradient)
        stops = [
            [int(value) for value in stop.split(")")[0].replace(",", " ").split()]
            for stop in gradient.split("rgb(")[1:]
        ]
        light = [
            0.2126 * (r / 255) ** 2.2 + 0.7152 * (g / 255) ** 2.2 + 0.0722 * (b / 255) ** 2.2
            for r, g, b in stops
        ]
        assert len(light) == 17
        assert light == sorted(light), name
    assert len(seen) == 4


def test_the_hint_is_dismissed_for_good(browser: Browser) -> None:
    context = browser.new_context()
    html = HARNESS.read_text(encoding="utf-8")
    html = html.replace("/*STYLE*/", bundle.style()).replace("/*LIBRARY*/", bundle.library())
    context.route(
        "http://viewer.test/", lambda route: route.fulfill(body=html, content_type="text/html")
    )
    page = context.new_page()
    page.goto("http://viewer.test/")
    page.evaluate("([clip]) => host.show({clip: host.put(clip)})", [blobs.text(blobs.clip())])
    hint = page.get_by_role("note", name="How it works")
    assert hint.locator("li").count() == 3
    hint.get_by_role("button", name="Got it").click()
    assert hint.is_hidden()
    page.goto("http://viewer.test/")
    page.evaluate("([clip]) => host.show({clip: host.put(clip)})", [blobs.text(blobs.clip())])
    assert page.get_by_role("application").is_visible()
    assert hint.is_hidden()
    context.close()


def test_a_mask_lies_over_the_frames_until_something_is_pointed_at(
    show: Callable[..., Viewer],
) -> None:
    masks = np.zeros((8, 180, 320), bool)
    masks[2:, 40:80, 100:160] = True
    blob = mask_blob(masks, "#E69F00", "clip-1")
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    view.leave()
    assert view.pixels("heat", 3).any()
    view.put(blob)
    view.show(mask=tag(blob))
    view.page.wait_for_timeout(200)
    layer = view.pixels("mask", 3)
    on = layer[layer[:, 3] > 0]
    assert len(on) / len(layer) == pytest.approx(masks[3].mean(), abs=0.01)
    assert np.median(on, axis=0) == pytest.approx((0xE6, 0x9F, 0, 130), abs=2)
    assert not view.pixels("mask", 1).any()
    assert not view.pixels("heat", 3).any(), "the mask is in its place"
    view.hover(4, 30.0, 30.0)
    assert view.pixels("heat", 3).any()
    view.show(mask=None)
    assert not view.pixels("mask", 3).any()
