"""The tabs below the viewer in a real browser: what each shows at once, and what comes after."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.app_page import PATIENCE, AppPage, settled


def open_tab(visit: AppPage, name: str) -> None:
    visit.page.get_by_role("tab", name=name, exact=True).click()


def test_the_profile_comes_at_once_and_the_blocks_averages_after_it(visit: AppPage) -> None:
    open_tab(visit, "Profile")
    table = visit.page.get_by_role("table")
    expect(table.get_by_role("row", name="Pin 1")).to_be_visible()
    expect(table.get_by_role("row", name="queries")).to_be_visible()
    expect(visit.page.get_by_text("Block nl5 looks")).to_be_visible()
    expect(visit.page.get_by_role("progressbar", name="Progress")).to_have_count(0)
    expect(visit.page.locator(".scatterlayer path.js-line")).to_have_count(4)


def test_a_block_says_what_it_is_and_what_a_cell_has_seen_when_asked(small_visit: AppPage) -> None:
    open_tab(small_visit, "Block")
    table = small_visit.page.get_by_role("table")
    expect(table.get_by_role("row", name="function")).to_contain_text("embedded Gaussian")
    expect(table.get_by_role("row", name="links")).to_contain_text("from everywhere to everywhere")
    expect(small_visit.page.get_by_text("Receptive field: x")).to_have_count(0)
    small_visit.page.get_by_role("button", name="Trace its receptive field").click()
    field = small_visit.page.get_by_text("Receptive field: x")
    expect(field).to_contain_text("by their links also what nl3, nl4 reach")


def test_a_small_multiple_opens_its_block_in_the_viewer(visit: AppPage) -> None:
    open_tab(visit, "Compare")
    visit.page.get_by_role("button", name="Show nl3 in the viewer").click()
    visit.until(lambda s: s["options"]["block"] == "nl3" and settled(s), "block nl3")
    tile = visit.page.get_by_role("button", name="Show nl3 in the viewer")
    expect(tile).to_have_attribute("aria-current", "true")
    tile.press("Enter")
    visit.ready()


def choose(visit: AppPage, name: str) -> None:
    """One of a row of choices, which Streamlit draws as buttons or as radios."""
    radio = visit.page.get_by_role("radio", name=name, exact=True)
    radio.or_(visit.page.get_by_role("button", name=name, exact=True)).first.click()


def test_a_baseline_opens_in_the_viewer_as_a_block_of_its_own(visit: AppPage) -> None:
    open_tab(visit, "Compare")
    choose(visit, "Baselines")
    visit.page.get_by_role("button", name="Show nl5 (uniform) in the viewer").click(
        timeout=90_000  # three baselines are made first, beside other tests
    )
    state = visit.until(
        lambda s: s["options"]["block"] == "nl5 (uniform)" and settled(s), "the baseline"
    )
    weights = [link["weight"] for link in state["links"]]
    assert weights == pytest.approx([1 / (8 * 22 * 40)] * 20)
    open_tab(visit, "Reproduce")
    expect(visit.page.get_by_text("--block nl5 --baseline uniform")).to_be_visible()


def test_links_are_ranked_by_contribution_when_that_is_asked(visit: AppPage) -> None:
    before = [link["weight"] for link in visit.ready()["links"]]
    visit.page.locator(".nlviz-more-button").click()
    visit.page.get_by_label("Affinity alone, or times").select_option("contribution")
    state = visit.until(
        lambda s: s["options"]["rank_by"] == "contribution" and s["links"] and settled(s),
        "contributions",
    )
    added = [link["contribution"] for link in state["links"]]
    assert added == sorted(added, reverse=True)
    assert [link["weight"] for link in state["links"]] != before


def test_a_click_or_a_key_beside_asks_both_blocks_there(visit: AppPage) -> None:
    open_tab(visit, "Compare")
    choose(visit, "Side by side")
    pictures = visit.page.get_by_role("img", name="Heat of")
    expect(pictures).to_have_count(2)
    for ask in (
        lambda: pictures.first.click(position={"x": 20, "y": 20}),
        lambda: visit.page.get_by_role("application", name="arrow keys").last.press("Enter"),
    ):
        before = [str(picture.get_attribute("src")) for picture in pictures.all()]
        ask()
        for number, src in enumerate(before):
            expect(pictures.nth(number)).not_to_have_attribute("src", src)
        visit.page.get_by_role("application", name="arrow keys").last.press("Shift+ArrowRight")
    expect(visit.page.get_by_role("button", name="Back to Pin 1")).to_be_visible()
    assert len(visit.ready()["pins"]) == 1


def test_spacetime_is_drawn(visit: AppPage) -> None:
    open_tab(visit, "Spacetime")
    expect(visit.page.locator(".stPlotlyChart canvas").first).to_be_visible()


def test_what_blocks_add_comes_and_a_long_computation_can_be_stopped(small_visit: AppPage) -> None:
    open_tab(small_visit, "Does it matter?")
    expect(small_visit.page.get_by_role("row", name="nl3")).to_be_visible()
    mask = small_visit.page.get_by_role("button", name="Mask them and see")
    expect(mask).to_be_visible()
    mask.click()
    stop = small_visit.page.locator(".waiting").get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    stop.click()
    expect(small_visit.page.get_by_text("Stopped.")).to_be_visible()
    expect(small_visit.page.get_by_role("button", name="Start again")).to_be_visible()


def test_an_object_is_carried_through_all_frames_and_a_wrong_mask_is_a_sentence(
    small_visit: AppPage,
) -> None:
    open_tab(small_visit, "Tracking")
    expect(small_visit.page.get_by_role("img", name="with the object tinted")).to_have_count(8)
    expect(small_visit.page.get_by_text("Label propagation, as is usual")).to_be_visible()
    end = time.monotonic() + PATIENCE
    while not small_visit.pixels("mask").any():
        assert time.monotonic() < end, "no mask over the clip"
    with small_visit.page.expect_download(timeout=1000 * PATIENCE) as download:
        small_visit.page.get_by_role("button", name="Masks (ZIP)").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist()[:2] == ["00000.png", "00008.png"]
        two = Image.new("L", Image.open(archive.open("00000.png")).size)
    choose(small_visit, "Raw features")
    expect(small_visit.page.get_by_role("img", name="with the object tinted")).to_have_count(8)
    choose(small_visit, "A mask")
    file = io.BytesIO()
    Image.new("L", (8, 8), 255).save(file, "png")
    small_visit.page.locator(".st-key-track-mask input[type=file]").set_input_files(
        files={"name": "mask.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(small_visit.page.get_by_text("is 8×8 pixels, the clip")).to_be_visible()
    two.paste(1, (20, 20, 60, 60))
    two.paste(2, (80, 80, 120, 140))
    file = io.BytesIO()
    two.save(file, "png")
    small_visit.page.locator(".st-key-track-mask input[type=file]").set_input_files(
        files={"name": "two.png", "mimeType": "image/png", "buffer": file.getvalue()}
    )
    expect(small_visit.page.get_by_text("Which object")).to_be_visible()
    expect(small_visit.page.get_by_role("img", name="with the objects tinted")).to_have_count(8)
    first = small_visit.page.get_by_role("img", name="with the objects tinted").first
    shown = first.get_attribute("src") or ""
    choose(small_visit, "2")
    small_visit.page.wait_for_function(
        "(shown) => (document.querySelector('img[alt$=tinted]')?.src ?? shown) !== shown",
        arg=shown,
    )
    small_visit.ready()
