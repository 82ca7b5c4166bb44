"""The viewer in a real browser, alone: clips of all sizes, and data that is late or broken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.support import blobs
from tests.support.viewer_page import Viewer

PLACE = (2, 133.0, 71.0)


def test_an_image_keeps_its_links_inside_its_one_frame(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(query=(1, 9, 16), key=(1, 4, 8), frames=1)
    view = show(block, clip=blobs.clip(1))
    state = view.hover(0, 103.0, 97.0)
    assert state["options"]["exclude"] == "cell"
    keys, _ = block.top(0, state["place"]["x"], state["place"]["y"], 20, "cell")
    assert block.indices(state["links"]) == keys
    view.page.get_by_role("button", name="More").click()
    menu = view.page.get_by_label("What gets no link and no heat")
    assert menu.locator("option").all_inner_texts() == ["own cell", "nothing"]


@pytest.mark.parametrize(
    ("frames", "width"), [(8, 1280), (16, 1280), (8, 390), (16, 390), (32, 1920)]
)
def test_all_frames_lie_inside_the_card_and_side_by_side(
    show: Callable[..., Viewer], frames: int, width: int
) -> None:
    block = blobs.Block(query=(frames, 9, 16), key=(frames, 4, 8), frames=frames)
    view = show(block, clip=blobs.clip(frames), width=width, height=844)
    layout = view.state()["layout"]
    boxes = layout["frames"]
    assert len(boxes) == frames
    assert all(b["x"] >= 0 and b["x"] + b["w"] <= layout["width"] + 0.5 for b in boxes)
    assert all(b["y"] + b["h"] <= layout["height"] for b in boxes)
    assert min(b["w"] for b in boxes) >= 100
    last = boxes[layout["columns"] - 1]
    assert last["x"] + last["w"] > layout["width"] * 0.97, "the frames fill the width"
    overflow = view.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    assert len(view.hover(frames - 1, 300.0, 170.0)["links"]) == 20


def test_the_canvas_is_as_sharp_as_the_screen(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), width=390, height=844, device_scale_factor=3)
    size = view.page.evaluate("() => document.querySelector('.nlviz-ink').width")
    assert size == round(view.state()["layout"]["width"] * 3)
    view.hover(*PLACE)
    assert view.pixels("ink", 2).any()


@pytest.mark.parametrize(("width", "height"), [(1, 1), (7, 3), (3000, 17), (17, 3000)])
def test_odd_sizes_can_be_pointed_at(show: Callable[..., Viewer], width: int, height: int) -> None:
    block = blobs.Block(query=(2, 2, 2), key=(2, 1, 1), frames=2, size=(width, height))
    view = show(block, clip=blobs.clip(2, width, height))
    state = view.hover(1, width * 0.75, height * 0.75)
    assert state["place"]["t"] == 1
    assert len(state["links"]) == 1


def test_turning_the_window_keeps_pins_and_fits_again(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    view.page.set_viewport_size({"width": 390, "height": 844})
    view.frame()
    state = view.settle()
    assert state["layout"]["width"] < 390
    assert len(state["pins"]) == 1
    assert view.pixels("ink", 2).any()


def test_blobs_may_come_after_the_data_that_names_them(browser: Browser) -> None:
    view = Viewer(browser)
    block = blobs.Block()
    view.show(clip="clip-1", blocks=[block.tag])
    assert view.state()["message"] == "Loading the frames…"
    view.put(blobs.clip())
    assert view.state()["message"] == "Loading the blocks…"
    view.put(block.blob())
    assert view.state()["message"] == ""
    assert len(view.hover(*PLACE)["links"]) == 20
    assert view.errors == []
    view.close()


def test_a_block_of_a_longer_clip_is_refused_calmly(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), clip=blobs.clip(3))
    state = view.hover(2, 50.0, 50.0)
    assert state["message"] == "A part of this analysis arrived damaged; load the clip again."
    assert state["links"] == []


def test_a_pin_on_a_frame_that_is_gone_is_not_drawn(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    pin = {"id": "a", "color": "#E69F00", "t": 9, "x": 10.0, "y": 10.0, "exact": None}
    view.show(pins=[pin])
    assert view.state()["pins"] == []


def test_the_captions_follow_the_theme(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.page.wait_for_function("() => root.nlviz.state().drawn.frames === 8")
    picture = "() => document.querySelector('.nlviz-frames').toDataURL()"
    before = view.page.evaluate(picture)
    view.page.evaluate("() => root.style.setProperty('--st-text-color', 'rgb(200 0 0)')")
    view.show()
    assert view.page.evaluate(picture) != before


def broken_blobs() -> dict[str, bytes]:
    block = blobs.Block()
    whole = block.blob()
    short = blobs.Block()
    short.theta = short.theta[:-1]
    lone = blobs.pack(
        {**short.header(), "tag": "lone"}, {"phi": ("f16", short.phi)}
    )  # its queries are more than its keys
    nameless = blobs.pack({"kind": "clip"}, {})
    return {
        "nothing": b"",
        "not a blob": b"\xff" * 64,
        "cut short": whole[: len(whole) // 2],
        "a header that is no JSON": (8).to_bytes(4, "little") + b"{{{{{{{{",
        "theta of another shape": short.blob(),
        "no theta beside fewer keys": lone,
        "no tag": nameless,
        "an unknown kind": blobs.pack({"kind": "song", "tag": "x"}, {}),
        "a missing frame": blobs.pack(
            {"kind": "clip", "tag": "x", "width": 4, "height": 4, "frames": [0], "times": [0.0]}, {}
        ),
    }


@pytest.mark.parametrize("case", broken_blobs())
def test_a_broken_blob_gives_one_calm_sentence(show: Callable[..., Viewer], case: str) -> None:
    view = show(blobs.Block())
    view.click(*PLACE)
    view.settle()
    assert view.put(broken_blobs()[case]) is None
    state = view.state()
    assert state["message"] == "A part of this analysis arrived damaged; load the clip again."
    assert len(state["pins"]) == 1, "what was there stays"
    assert len(view.hover(*PLACE)["links"]) == 20


def test_a_frame_that_is_no_picture_leaves_the_rest_usable(show: Callable[..., Viewer]) -> None:
    header = {"kind": "clip", "tag": "c", "width": 320, "height": 180}
    header |= {"frames": [0, 5], "times": [0.0, 0.2]}
    good = blobs.jpeg(np.zeros((180, 320, 3), np.uint8))
    clip = blobs.pack(header, {"frame0": ("u8", good), "frame1": ("u8", b"no picture")})
    block = blobs.Block(query=(2, 9, 16), key=(2, 4, 8), frames=2)
    view = show(block, clip=clip)
    view.page.wait_for_timeout(100)
    assert view.state()["message"] == "Frame 5 could not be drawn; its links can still be explored."
    assert len(view.hover(0, 50.0, 50.0)["links"]) == 20


def test_it_leaves_nothing_behind_when_it_is_destroyed(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.hover(*PLACE)
    view.page.evaluate("() => host.viewer.destroy()")
    view.frame()
    assert view.page.evaluate("() => root.childElementCount") == 0
    assert view.page.evaluate("() => nlvizStore.listeners.size") == 0
