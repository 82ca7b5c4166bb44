"""The app through a real browser: what a person does, and what the canvas then shows."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

import nlviz
from nlviz import export
from nlviz.analysis import Analysis
from nlviz.app.choice import bundled
from nlviz.models import zoo
from tests.support.app_page import PATIENCE, AppPage


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """What the library makes of the first clip."""
    clip = nlviz.read(bundled()[0].path)
    return nlviz.analyse(clip, zoo.load("nl-lite0"))


def moving_square(count: int = 12, width: int = 160, height: int = 96) -> list[Image.Image]:
    """A red square on a grainy ground."""
    ground = np.random.default_rng(0).integers(60, 180, (height, width, 3), np.uint8)
    frames = []
    for t in range(count):
        frame = ground.copy()
        frame[30:62, 8 * t + 8 : 8 * t + 40] = (220, 30, 30)
        frames.append(Image.fromarray(frame))
    return frames


def video(frames: list[Image.Image]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(12))
        stream.width, stream.height = frames[0].size
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode(None))
    return file.getvalue()


def picture(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_the_first_page_shows_a_clip_its_classes_and_the_links_of_a_pin(
    visit: AppPage, analysis: Analysis
) -> None:
    state = visit.ready()
    first = bundled()[0]
    (pin,) = state["pins"]
    assert first.at is not None
    assert (state["place"]["frame"], pin["x"], pin["y"]) == (first.at.frame, first.at.x, first.at.y)
    assert state["options"]["block"] == analysis.blocks[-1]
    expect(visit.page.get_by_role("heading", name=first.title)).to_be_visible()
    best = analysis.prediction[0].label.split(",")[0]
    expect(visit.page.get_by_label("Top classes").get_by_text(best, exact=True)).to_be_visible()
    assert visit.pixels("frames")[..., 3].any()
    assert visit.pixels("ink")[..., 3].any()


def test_a_pins_links_are_those_of_the_library(visit: AppPage, analysis: Analysis) -> None:
    state = visit.ready()
    first = bundled()[0]
    assert first.at is not None
    wanted = nlviz.top_links(analysis, nlviz.Query(first.at, analysis.blocks[-1]))
    assert len(state["links"]) == len(wanted)
    for shown, link in zip(state["links"], wanted, strict=True):
        frame = analysis.view.frames[shown["t"]]
        assert (frame, shown["x"], shown["y"]) == pytest.approx(
            (link.target.frame, link.target.x, link.target.y)
        )
        assert shown["weight"] == pytest.approx(link.weight, rel=1e-4)
    assert state["covered"] == pytest.approx(sum(link.share for link in wanted), rel=1e-4)


def test_hovering_draws_links_and_heat_without_asking_python(visit: AppPage) -> None:
    pinned, heat = visit.pixels("ink"), visit.pixels("heat")
    sent = visit.sent
    state = visit.hover(2, 60.0, 40.0)
    assert state["place"]["t"] == 2
    assert len(state["links"]) == 20
    assert all(link["t"] != 2 for link in state["links"])
    assert "Frame" in state["readout"]
    assert not np.array_equal(visit.pixels("ink"), pinned)
    assert not np.array_equal(visit.pixels("heat"), heat)
    assert visit.sent == sent


def test_a_click_pins_in_its_colour_and_python_answers(visit: AppPage) -> None:
    visit.click(1, 80.0, 50.0)
    visit.leave()
    state = visit.ready(pins=2)
    pin = state["pins"][1]
    assert pin["t"] == 1
    assert (pin["x"], pin["y"]) == pytest.approx((80, 50), abs=6)  # a mouse has whole CSS pixels
    at = visit.page.evaluate(
        "pin => { const root = nlvizRoot(), place = root.nlviz.toClient(pin);"
        " const box = root.querySelector('.nlviz-ink').getBoundingClientRect();"
        " return [place.x - box.x, place.y - box.y]; }",
        pin,
    )
    x, y = (round(v) for v in at)
    near = visit.pixels("ink")[y - 8 : y + 9, x - 8 : x + 9].reshape(-1, 4)
    colour = np.array([int(pin["color"][i : i + 2], 16) for i in (1, 3, 5)])
    alike = (np.abs(near[:, :3].astype(int) - colour).max(axis=1) < 12) & (near[:, 3] > 200)
    assert alike.sum() > 8
    expect(visit.page.locator(".code").first).to_contain_text(f"--at {bundled()[0].at.frame}")


def test_a_box_and_who_looks_here_are_answered_by_python(
    visit: AppPage, analysis: Analysis
) -> None:
    mouse = visit.page.mouse
    mouse.move(*visit.at(5, 60, 60))
    mouse.down()
    mouse.move(*visit.at(5, 150, 120), steps=3)
    mouse.move(*visit.at(5, 200, 160), steps=3)
    mouse.up()
    visit.leave()
    for reverse in (False, True):
        if reverse:
            visit.page.get_by_role("switch", name="Who looks here").check()
            visit.until(lambda s: bool(s["options"]["reverse"] and s["done"] == 1), "a column")
        state = visit.ready(pins=2)
        frame = analysis.view.frames[state["pins"][1]["t"]]
        region = nlviz.Region(frame, tuple(map(tuple, state["pins"][1]["region"])))
        wanted = nlviz.top_links(
            analysis, nlviz.Query(region, analysis.blocks[-1], reverse=reverse)
        )
        seen = [(n["t"], n["x"], n["y"], n["weight"]) for n in state["links"]]
        assert seen == [
            pytest.approx(
                (
                    analysis.view.frames.index(n.target.frame),
                    n.target.x,
                    n.target.y,
                    n.weight,
                ),
                rel=1e-4,
            )
            for n in wanted
        ]
    expect(visit.page.locator(".code").first).to_contain_text("--reverse")


def test_pins_are_removed_cleared_and_brought_back(visit: AppPage) -> None:
    visit.click(1, 80.0, 50.0)
    visit.leave()
    visit.ready(pins=2)
    visit.click(1, 80.0, 50.0)
    visit.leave()
    visit.ready(pins=1)
    card = visit.page.locator(".nlviz")
    card.get_by_role("button", name="Undo").click()
    visit.ready(pins=2)
    card.get_by_role("button", name="Clear").click()
    visit.until(lambda s: s["pins"] == [], "no pins")
    expect(visit.page.get_by_text("Pin a place to get")).to_be_visible()
    card.get_by_role("button", name="Undo").click()
    visit.ready(pins=2)


def test_another_block_keeps_the_pins_and_asks_python_again(visit: AppPage) -> None:
    before = visit.ready()
    visit.page.locator(".nlviz").get_by_text("nl3", exact=True).click()
    visit.until(lambda s: s["options"]["block"] == "nl3", "block nl3")
    after = visit.ready()
    assert after["pins"][0]["id"] == before["pins"][0]["id"]
    assert after["links"] != before["links"]
    assert "nl3" in after["detail"]
    expect(visit.page.locator(".code").first).to_contain_text("--block nl3")


def test_an_uploaded_clip_is_analysed_and_can_be_pinned(visit: AppPage) -> None:
    visit.upload("square.mp4", video(moving_square()), "video/mp4")
    expect(visit.page.get_by_role("heading", name="square.mp4")).to_be_visible()
    state = visit.ready(pins=0)
    assert len(state["layout"]["frames"]) == 8
    visit.click(0, 24.0, 46.0)
    visit.leave()
    state = visit.ready(pins=1)
    assert len(state["links"]) == 20
    expect(visit.page.locator(".code").first).to_contain_text("square.mp4")


def test_an_uploaded_animation_is_a_clip(visit: AppPage) -> None:
    first, *rest = moving_square(5)
    content = picture(first, "GIF", save_all=True, append_images=rest, duration=80)
    visit.upload("square.gif", content, "image/gif")
    expect(visit.page.get_by_role("heading", name="square.gif")).to_be_visible()
    assert len(visit.ready(pins=0)["layout"]["frames"]) == 5
    expect(visit.page.get_by_text("5 of 5 frames").first).to_be_visible()


def test_a_photo_leaves_out_the_own_cell_and_says_why(visit: AppPage) -> None:
    visit.upload("photo.jpg", picture(moving_square(1)[0], "JPEG"), "image/jpeg")
    expect(visit.page.get_by_role("heading", name="photo.jpg")).to_be_visible()
    visit.ready(pins=0)
    visit.click(0, 24.0, 46.0)
    visit.leave()
    state = visit.ready(pins=1)
    assert state["options"]["exclude"] == "cell"
    assert state["links"]
    expect(visit.page.get_by_text("leave out only the cell that you point at")).to_be_visible()
    expect(visit.page.get_by_text("Part of the clip")).to_have_count(0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("words.mp4", b"this is a text file"),
        ("half.jpg", picture(moving_square(1)[0], "JPEG")[:90]),
    ],
)
def test_a_bad_upload_gets_one_sentence_and_nothing_else_is_lost(
    visit: AppPage, name: str, content: bytes
) -> None:
    visit.click(1, 80.0, 50.0)
    visit.leave()
    before = visit.ready(pins=2)
    visit.upload(name, content, "application/octet-stream")
    card = visit.page.get_by_test_id("stAlert")
    expect(card).to_contain_text(name)
    after = visit.ready(pins=2)
    assert after["pins"] == before["pins"]
    assert after["links"] == before["links"]
    expect(visit.page.get_by_role("heading", name=bundled()[0].title)).to_be_visible()
    visit.page.get_by_role("button", name=bundled()[0].title).click()
    expect(card).to_have_count(0)


def test_going_to_another_clip_and_back_finds_the_pins_again(visit: AppPage) -> None:
    visit.click(1, 80.0, 50.0)
    visit.leave()
    before = visit.ready(pins=2)["pins"]
    first, second = bundled()[:2]
    visit.page.get_by_role("button", name=second.title).click()
    expect(visit.page.get_by_role("heading", name=second.title)).to_be_visible()
    visit.ready(pins=1 if second.at else 0)
    visit.page.get_by_role("button", name=first.title).click()
    expect(visit.page.get_by_role("heading", name=first.title)).to_be_visible()
    assert visit.ready(pins=2)["pins"] == before


def test_other_frames_keep_the_pins_whose_frames_are_still_there(visit: AppPage) -> None:
    frames = visit.page.get_by_label("Frames", exact=True)
    frames.fill("5")
    frames.press("Enter")
    state = visit.until(lambda s: len(s["layout"]["frames"]) == 5, "five frames")
    first = bundled()[0]
    kept = first.at is not None and first.at.frame == 0
    state = visit.ready(pins=1 if kept else 0)
    assert state["drawn"]["frames"] == 5
    expect(visit.page.locator(".timeline .marks i")).to_have_count(5)


def test_the_figure_is_shown_and_comes_in_three_formats(visit: AppPage) -> None:
    visit.page.get_by_role("tab", name="Export").click()
    shown = visit.page.get_by_role("img", name="Film strip of the pinned links")
    expect(shown).to_be_visible()
    starts = {"PNG": b"\x89PNG", "SVG": b"<?xml", "PDF": b"%PDF"}
    for kind, start in starts.items():
        with visit.page.expect_download(timeout=1000 * PATIENCE) as waiting:
            visit.page.get_by_role("button", name=kind, exact=True).click()
        assert Path(waiting.value.path()).read_bytes().startswith(start)
        assert waiting.value.suggested_filename.endswith("." + kind.lower())


def test_a_page_numbers_and_a_session_can_be_taken_away(small_visit: AppPage) -> None:
    small_visit.page.get_by_role("tab", name="Export").click()
    kinds = {
        "Page": {"HTML": b"<!doctype html>"},
        "Links": {"CSV": b'# {"version"', "JSON": b'"provenance"'},
        "Session": {"NLVIZ": b"PK"},
    }
    for kind, files in kinds.items():
        small_visit.page.get_by_role("radio", name=kind, exact=True).click()
        for name, holds in files.items():
            with small_visit.page.expect_download(timeout=1000 * PATIENCE) as waiting:
                small_visit.page.get_by_role("button", name=name, exact=True).click()
            assert holds in Path(waiting.value.path()).read_bytes()[:5000]
            assert waiting.value.suggested_filename.endswith("." + name.lower())
        if kind == "Page":
            small_visit.page.get_by_role("button", name="Preview").click()
            inside = small_visit.page.frame_locator("iframe").locator(".nlviz-stage canvas").first
            expect(inside).to_be_visible()
    session = export.open_session(waiting.value.path().read_bytes())
    assert session.queries[0].point == bundled()[0].at


def test_a_film_shows_its_progress_can_be_stopped_and_is_then_made(visit: AppPage) -> None:
    visit.page.get_by_role("tab", name="Export").click()
    visit.page.get_by_role("radio", name="Film", exact=True).click()
    tab = visit.page.get_by_role("tabpanel").filter(has=visit.page.get_by_text("Or from the"))

    def choose(label: str, option: str) -> None:
        tab.get_by_role("combobox", name=label).click()
        visit.page.get_by_role("option", name=option).click()

    choose("Film", "The query follows its heaviest links")
    choose("Width", "1280 px")
    tab.get_by_role("button", name="Make the film").click()
    stop = tab.locator(".waiting").get_by_role("button", name="Stop")
    expect(tab.get_by_text("Drawing picture")).to_be_visible()
    stop.click()
    expect(tab.get_by_text("Stopped.")).to_be_visible()
    expect(tab.locator("video")).to_have_count(0)
    choose("Film", "The clip plays")
    choose("Width", "640 px")
    tab.get_by_role("button", name="Make the film").click()
    expect(tab.locator("video")).to_be_visible()
    with visit.page.expect_download(timeout=1000 * PATIENCE) as waiting:
        tab.get_by_role("button", name="MP4", exact=True).click()
    assert b"ftyp" in waiting.value.path().read_bytes()[:12]
    assert waiting.value.suggested_filename == "ball-nl-lite0-nl5.mp4"
    visit.page.get_by_role("tab", name="Reproduce").click()
    expect(visit.page.get_by_text("Or from the command line")).to_have_count(0)
    visit.page.get_by_role("tab", name="Export").click()
    expect(tab.locator("video")).to_be_visible()  # the choices were remembered, and the film


def test_the_keyboard_does_all_that_the_mouse_does(visit: AppPage) -> None:
    stage = visit.page.get_by_role("application")
    stage.focus()
    for key in ("PageDown", "ArrowRight", "ArrowDown", "Enter"):
        stage.press(key)
    state = visit.ready(pins=2)
    assert state["pins"][1]["t"] == state["pins"][0]["t"] + 1
    stage.press("Escape")
    visit.ready(pins=1)


@pytest.mark.parametrize("width", [390, 1920])
def test_the_page_fits_narrow_and_wide_screens(
    browser: Browser,
    address: str,
    width: int,
) -> None:
    page = AppPage(browser, address, viewport={"width": width, "height": 850}, color_scheme="dark")
    state = page.ready()
    overflow = page.page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    page.close()
    assert overflow <= 0
    columns = state["layout"]["columns"]
    assert math.ceil(8 / columns) >= (3 if width == 390 else 1)
