"""The viewer in a real browser, alone: every way of asking, by mouse, by touch and by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nlviz
from nlviz.viewer import blobs as packing
from tests.matching.test_matching import other
from tests.support import blobs, make
from tests.support.viewer_page import Viewer


def drag(view: Viewer, t: int, *corners: tuple[float, float], key: str = "") -> dict[str, Any]:
    """Press at the first corner, pass by the others, let go; the state while it is drawn."""
    mouse = view.page.mouse
    if key:
        view.page.keyboard.down(key)
    mouse.move(*view.at(t, *corners[0]))
    mouse.down()
    for corner in corners[1:]:
        mouse.move(*view.at(t, *corner), steps=3)
    state = view.state()
    mouse.up()
    if key:
        view.page.keyboard.up(key)
    return state


def mean_row(block: blobs.Block, t: int, box: tuple[float, float, float, float]) -> Any:
    """The mean over the rows of the cells whose centres lie in a box, and their number."""
    g = block.query
    x0, y0, x1, y1 = box
    step = next(s for s, frames in enumerate(g["frames"]) if t in frames)
    rows = [
        block.row(block.index((step, row, col)))
        for row in range(g["rows"])
        for col in range(g["cols"])
        if x0 <= g["x0"] + g["dx"] * col <= x1 and y0 <= g["y0"] + g["dy"] * row <= y1
    ]
    return np.mean(rows, axis=0), len(rows)


def test_a_dragged_box_is_the_mean_over_its_cells_and_becomes_a_pin(
    show: Callable[..., Viewer],
) -> None:
    block = blobs.Block(seed=4)
    view = show(block, options={"k": 5, "exclude": "none"})
    drawn = drag(view, 2, (35.0, 25.0), (100.0, 60.0), (165.0, 110.0))
    assert drawn["place"]["hovered"]
    state = view.leave()
    row, count = mean_row(block, 2, (35, 25, 165, 110))
    assert drawn["cells"] == state["cells"] == count > 20
    order = np.argsort(-row, kind="stable")[:5]
    assert block.indices(state["links"]) == order.tolist()
    assert [n["weight"] for n in state["links"]] == pytest.approx(row[order].tolist(), rel=1e-3)
    (act,) = view.acts()
    assert act["type"] == "add"
    assert act["t"] == 2
    xs, ys = zip(*act["region"], strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((35, 25, 165, 110), abs=1)
    assert len(view.settle()["pins"]) == 1
    assert view.pixels("ink", 2).any()


def test_a_lasso_is_drawn_with_shift_and_stays_inside_its_frame(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    drag(view, 1, (20, 20), (300, 30), (160, 160), key="Shift")
    view.leave()
    (pin,) = view.settle()["pins"]
    assert len(pin["region"]) > 4
    box = view.page.locator(".nlviz-stage").bounding_box()
    assert box is not None
    view.page.mouse.move(*view.at(5, 250.0, 100.0))
    view.page.mouse.down()
    view.page.mouse.move(box["x"] + box["width"] + 200, box["y"] + box["height"] + 100, steps=4)
    view.page.mouse.up()
    view.leave()
    pin = view.settle()["pins"][1]
    assert pin["t"] == 5
    assert max(x for x, _ in pin["region"]) == 320
    assert max(y for _, y in pin["region"]) == 180


def test_a_region_without_a_cell_says_so_and_asks_nothing(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(query=(8, 3, 4), key=(8, 3, 4)))
    drag(view, 2, (2.0, 2.0), (20.0, 12.0))
    state = view.leave()
    assert state["message"].startswith("No cell’s centre lies inside that region")
    assert view.acts() == []
    assert state["pins"] == []


def test_a_finger_draws_where_a_tool_is_chosen_and_scrolls_elsewhere(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block(), width=390, height=844, has_touch=True, is_mobile=True)
    touch = "() => getComputedStyle(document.querySelector('.nlviz-stage')).touchAction"
    assert view.page.evaluate(touch) == "pan-y"
    view.page.get_by_role("button", name="More").tap()
    view.page.get_by_role("button", name="Box").tap()
    assert view.page.evaluate(touch) == "none"
    assert view.state()["tool"] == "box"


def test_the_keyboard_draws_a_box_cell_by_cell(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    view.page.get_by_role("application").focus()
    press = view.page.keyboard.press
    press("ArrowRight")
    press("Shift+ArrowRight")
    press("Shift+ArrowDown")
    press("Shift+ArrowDown")
    state = view.state()
    assert state["cells"] == 6
    press("Enter")
    assert view.settle()["cells"] == 6
    assert len(view.acts()) == 1
    press("Shift+ArrowLeft")
    press("Shift+ArrowLeft")
    press("Escape")
    assert len(view.settle()["pins"]) == 1, "the first Escape only ends the drawing"


def test_who_looks_here_waits_for_the_constants_and_then_follows_the_column(
    show: Callable[..., Viewer],
) -> None:
    block = blobs.Block(seed=5)
    view = show(block, options={"k": 6, "exclude": "none"})
    view.page.get_by_role("switch", name="Who looks here").check()
    state = view.hover(2, 133.0, 71.0)
    assert state["links"] == []
    assert state["readout"] == "Working out who looks where in this block…"
    view.put(block.constants())
    state = view.state()
    key = state["cell"]["index"]
    matrix = np.stack([block.row(i) for i in range(len(block.theta))])
    column = matrix[:, key]
    order = np.argsort(-column, kind="stable")[:6]
    shape = (block.query["t"], block.query["rows"], block.query["cols"])
    cells = [(link["step"], link["row"], link["col"]) for link in state["links"]]
    assert [int(np.ravel_multi_index(cell, shape)) for cell in cells] == order.tolist()
    assert [n["weight"] for n in state["links"]] == pytest.approx(column[order], rel=0.01)
    assert "of the weight that all places give it" in state["readout"]
    view.page.wait_for_timeout(400)
    assert view.page.evaluate("() => host.options.at(-1).reverse") is True


def test_a_token_is_pointed_at_and_pinned_by_its_chip(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(tokens=("class", "register"), heads=2)
    view = show(block, options={"exclude": "none"})
    chip = view.page.locator(".nlviz-tokens").get_by_role("button", name="register")
    chip.hover()
    state = view.state()
    assert state["place"]["token"] == "register"
    assert state["readout"].startswith("Token register · 20 links")
    chip.click()
    view.leave()
    (pin,) = view.settle()["pins"]
    assert (pin["token"], pin["t"]) == ("register", None)
    assert len(view.state()["links"]) == 20
    view.page.get_by_label("One head of the block").select_option("h1")
    state = view.state()
    assert state["options"]["head"] == 1
    chip.click()
    assert len(view.settle()["pins"]) == 1, "a token is pinned once"


def test_places_out_of_reach_are_grey_and_counted(show: Callable[..., Viewer]) -> None:
    block = blobs.Block(windows=True)
    view = show(block, options={"exclude": "none"})
    state = view.hover(1, 30.0, 30.0)
    assert state["reaches"] == 8 * 4 * 4
    assert "reaches 128 of 256 places" in state["readout"]
    assert all(link["col"] < 4 for link in state["links"])
    frame = state["layout"]["frames"][5]
    width, height = round(frame["w"]), round(frame["h"])
    heat = view.pixels("heat", 5).reshape(height, width, 4)[height // 2]
    red, green, blue, alpha = heat[-width // 8].astype(int)
    assert alpha > 100
    assert max(red, green, blue) - min(red, green, blue) < 4


def test_pins_are_named_put_in_order_and_brought_back(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block())
    for t in range(3):
        view.click(t, 60.0 + 20 * t, 60.0)
    view.leave()
    first, second, third = (pin["id"] for pin in view.settle()["pins"])
    page = view.page
    page.get_by_role("button", name="Move earlier").click()
    assert [pin["id"] for pin in view.settle()["pins"]] == [first, third, second]
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Name of the pin").fill("  the dog ")
    page.keyboard.press("Enter")
    state = view.settle()
    assert state["pins"][1]["name"] == "the dog"
    assert page.get_by_role("button", name="the dog", exact=True).count() == 1
    page.get_by_role("button", name="Undo").click()
    assert view.settle()["pins"][1]["name"] == ""
    page.get_by_role("button", name="Redo").click()
    assert view.settle()["pins"][1]["name"] == "the dog"
    assert page.get_by_role("button", name="Redo").get_attribute("aria-disabled") == "true"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert [pin["id"] for pin in view.settle()["pins"]] == [first, second, third]
    page.keyboard.press("Control+Shift+z")
    assert [pin["id"] for pin in view.settle()["pins"]] == [first, third, second]
    names = [act["type"] for act in view.acts()[3:]]
    assert names == ["move", "rename", "undo", "redo", "undo", "undo", "redo"]


def test_the_links_of_all_pins_or_of_the_chosen_one_are_drawn(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(), options={"heat": False})
    view.click(0, 60.0, 60.0)
    view.click(4, 200.0, 60.0)
    view.settle()
    view.leave()
    both = sum(int((view.pixels("ink", t)[:, 3] > 0).sum()) for t in range(8))
    view.page.get_by_role("button", name="More").click()
    view.page.get_by_role("button", name="One", exact=True).click()
    view.leave()
    one = sum(int((view.pixels("ink", t)[:, 3] > 0).sum()) for t in range(8))
    assert one < 0.8 * both


def test_escape_closes_what_was_opened_last_and_takes_a_pin_only_then(
    show: Callable[..., Viewer],
) -> None:
    view = show(blobs.Block())
    view.click(2, 133.0, 71.0)
    view.settle()
    more = view.page.get_by_role("button", name="More")
    press = view.page.keyboard.press
    panel = view.page.locator(".nlviz-more")
    for place in (None, ".nlviz-more select", ".nlviz-more button", ".nlviz-stage"):
        more.click()
        assert panel.is_visible()
        if place is not None:
            view.page.locator(place).first.focus()
        press("Escape")
        assert panel.is_hidden(), place
        assert more.get_attribute("aria-expanded") == "false"
        assert len(view.settle()["pins"]) == 1, place
        if place is not None and place.startswith(".nlviz-more"):
            assert more.evaluate("button => button === document.activeElement")
    more.click()
    view.page.locator(".nlviz-stage").focus()
    press("Shift+ArrowRight")
    press("Shift+ArrowRight")
    assert view.state()["place"]["region"]
    press("Escape")
    assert panel.is_visible(), "the box was begun last"
    assert (view.state()["place"]["hovered"], len(view.state()["pins"])) == (False, 1)
    press("Escape")
    assert panel.is_hidden()
    assert len(view.settle()["pins"]) == 1
    press("Escape")
    assert view.settle()["pins"] == []


def partial(show: Callable[..., Viewer], **options: Any) -> Viewer:
    """A viewer of blocks that have queries and keys on a part of their grids only."""
    analysis = make.partial()
    clip = packing.clip_blob(analysis.clip)
    view = show(clip=clip)
    for block in analysis.blocks:
        tag = view.put(packing.block_blob(analysis, block, packing.tag(clip)))
        view.put(packing.constants_blob(analysis, block, str(tag)))
        if block == options.get("block"):
            view.show(blocks=[tag], options={"k": 30, "exclude": "none", **options})
    return view


def test_a_place_without_a_query_says_so_and_where_they_lie(show: Callable[..., Viewer]) -> None:
    view = partial(show, block="memory")
    state = view.hover(0, 20.0, 20.0)
    assert state["readout"] == (
        "Frame 0, x 20, y 20 · no query here: this block’s queries lie on frame 15"
    )
    assert state["links"] == []
    assert state["cell"] is None
    assert not any(view.pixels("heat", t).any() for t in range(4))
    bar = view.page.locator(".nlviz-scale")
    assert not bar.is_visible()
    view.hover(3, 20.0, 20.0)
    assert bar.is_visible()
    view.click(0, 20.0, 20.0)  # kept all the same: another block may have a query there
    assert len(view.settle()["pins"]) == 1


def test_a_place_without_a_key_says_so_and_where_they_lie(show: Callable[..., Viewer]) -> None:
    view = partial(show, block="memory", reverse=True)
    state = view.hover(3, 20.0, 20.0)
    assert state["readout"] == (
        "Frame 15, x 20, y 20 · no key here: this block’s keys lie on 3 frames, 0 to 10"
    )
    assert {link["t"] for link in view.hover(1, 20.0, 20.0)["links"]} == {3}
    assert view.state()["readout"].endswith("reaches all 48 places that have a query")


def test_keys_that_are_not_there_are_grey_and_get_no_link(show: Callable[..., Viewer]) -> None:
    view = partial(show, block="memory")
    state = view.hover(3, 20.0, 20.0)
    assert len(state["links"]) == 30
    assert {link["t"] for link in state["links"]} == {0, 1, 2}
    words = "reaches all 36 places that have a key"
    assert state["readout"].endswith(words)
    view.show(options={"block": "memory", "exclude": "cell"})  # no key is there to leave out
    assert view.state()["readout"].endswith(words)
    inside = view.pixels("heat", 3)
    grey = (128, 128, 128, 160)
    assert np.mean(np.abs(inside.astype(int) - grey).max(axis=1) <= 2) > 0.95
    assert np.mean(np.abs(view.pixels("heat", 0).astype(int) - grey).max(axis=1) <= 2) < 0.05


def test_where_no_link_can_exist_a_frame_is_grey_in_its_own_shape(
    show: Callable[..., Viewer],
) -> None:
    """Of a clip that looks into a wider one: the grid of the keys lies where that one does."""
    pairing = nlviz.pair(make.analysis(), other(), "fine")
    whole = nlviz.as_one_clip([pairing])
    clip = packing.clip_blob(whole.clip)
    view = show(clip=clip)
    tag = view.put(packing.block_blob(whole, pairing.name, packing.tag(clip)))
    view.show(blocks=[tag], options={"k": 3, "exclude": "none"})
    view.hover(0, 20.0, 20.0)
    assert (view.pixels("heat", 1) == (128, 128, 128, 160)).all(), "all of a frame of the first"
    seen = view.pixels("heat", 4)[:, 3] > 0
    assert 0 < seen.mean() < 1, "a frame of the second has room above and below"


def test_a_region_is_about_those_of_its_cells_that_have_a_query(
    show: Callable[..., Viewer],
) -> None:
    affinity = make.partial().affinity("kept")
    view = partial(show, block="kept")
    drawn = drag(view, 2, (1.0, 1.0), (60.0, 20.0), (63.0, 47.0))
    there = (affinity.reach[0].query == 0)[:-2].reshape(affinity.query_grid.shape)
    assert 0 < there[2].sum() < 48
    assert drawn["cells"] == there[2].sum()
    view.leave()
    assert view.settle()["cells"] == drawn["cells"]


def chips(view: Viewer) -> list[str]:
    return view.page.get_by_role("group", name="Tokens").get_by_role("button").all_inner_texts()


def test_only_tokens_that_can_be_asked_are_listed(show: Callable[..., Viewer]) -> None:
    view = partial(show, block="kept")
    assert chips(view) == ["class"]
    view.page.get_by_role("switch", name="Who looks here").check()
    view.frame()
    assert chips(view) == ["class", "key only"]


def test_of_many_tokens_the_first_are_chips_and_the_others_in_a_menu(
    show: Callable[..., Viewer],
) -> None:
    names = tuple(f"object query number {i}" for i in range(100))
    view = show(blobs.Block(tokens=names), width=390)
    assert chips(view) == list(names[:8])
    menu = view.page.get_by_role("combobox", name="More tokens")
    assert menu.locator("option").all_inner_texts() == ["92 more…", *names[8:]]
    menu.select_option(label=names[50])
    assert [pin["token"] for pin in view.settle()["pins"]] == [names[50]]
    assert view.state()["readout"].startswith(f"Token {names[50]}")
    assert menu.input_value() == ""
    box = view.page.get_by_role("group", name="Tokens").bounding_box()
    assert box is not None
    assert box["height"] < 200
    wide = view.page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 390


def test_nine_tokens_need_no_menu(show: Callable[..., Viewer]) -> None:
    view = show(blobs.Block(tokens=tuple("abcdefghi")))
    assert chips(view) == list("abcdefghi")
    assert view.page.get_by_role("combobox", name="More tokens").count() == 0


def pool(show: Callable[..., Viewer], **options: Any) -> Viewer:
    """A block that cells ask, and behind it one that only two learned vectors ask."""
    analysis = make.analysis()
    cells = nlviz.Grid(4, 6, 8)
    key = nlviz.Groups(np.append(np.full(192, -1), [0, 0]), np.append(np.zeros(192), [-2, -2]))
    theta, phi = (np.random.default_rng(0).normal(size=(2, 194)) for _ in range(2))
    names = ("probe 1", "probe 2")
    made = nlviz.Affinity("gaussian", theta, phi, cells, cells, reach=(key,), tokens=names)
    affinities = {"fine": analysis.affinity("fine"), "pool": made}
    analysis = replace(analysis, affinities=affinities, fidelity=dict.fromkeys(affinities, 0.0))
    assert analysis.default_block == "fine"
    clip = packing.clip_blob(analysis.clip)
    view = show(clip=clip)
    tags = [view.put(packing.block_blob(analysis, b, packing.tag(clip))) for b in affinities]
    for block, tag in zip(affinities, tags, strict=True):
        view.put(packing.constants_blob(analysis, block, str(tag)))
    view.show(blocks=tags, options={"k": 5, "exclude": "none", **options})
    return view


def test_the_viewer_opens_at_the_last_block_that_places_ask(show: Callable[..., Viewer]) -> None:
    view = pool(show)
    chosen = view.page.get_by_role("radiogroup", name="Block")
    assert chosen.get_by_role("radio", checked=True).inner_text().startswith("fine")
    small = chosen.get_by_role("radio").all_inner_texts()
    assert [text.split("\n")[-1] for text in small] == ["4×6×8", "tokens alone"]
    assert view.state()["readout"].startswith("Point at anything to see what it looks at")


def test_where_only_tokens_ask_the_viewer_says_so(show: Callable[..., Viewer]) -> None:
    view = pool(show, block="pool")
    assert view.state()["readout"] == (
        "Only tokens look at something in this block: choose one below to see at what."
    )
    assert view.hover(1, 20.0, 20.0)["readout"] == (
        "Frame 5, x 20, y 20 · no query here: in this block only tokens look, below"
    )
    view.page.get_by_role("switch", name="Who looks here").check()
    assert "only tokens look here: probe 1, probe 2" in view.hover(1, 20.0, 20.0)["readout"]
    view.leave()
    assert view.state()["readout"].startswith("Point at anything to see who looks at it")


def test_the_hint_names_the_frames_that_can_be_asked(show: Callable[..., Viewer]) -> None:
    view = partial(show, block="memory")
    assert view.state()["readout"].startswith("Point at anything on frame 15 to see what it looks")
    view.page.get_by_role("switch", name="Who looks here").check()
    view.leave()
    words = view.state()["readout"]
    assert words.startswith("Point at anything on a frame from 0 to 10 to see who looks at it")
