"""The pictures in docs/, made from the bundled clip: ``python -m docs.pictures``."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from playwright.sync_api import Page

import nlviz
from models import zoo
from nlviz.ui.material import bundled
from tests.app_page import AppPage, serve
from tests.browser import launch, sync_playwright
from training.pictures import functions

HERE = Path(__file__).resolve().parent


# Each tab, what is clicked in it, and what is awaited before its picture is taken.
TABS = {
    "Profile": ((), "looks|pools"),
    "Compare": (("Baselines",), r"\(shuffled\)"),
    "Spacetime": ((), "Frames along time"),
    "Does it matter?": (("Mask them and see",), "Masked by affinity"),
    "Tracking": ((), "of the frame"),
}
PATIENCE = 600_000  # ms: masking runs the network some twenty times


def app() -> None:
    """The first screen as a visitor finds it, and then each tab."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "server.log") as address,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        viewport = {"width": 1440, "height": 900}
        page = AppPage(browser, address, viewport=viewport, device_scale_factor=1.5)
        page.ready()
        page.page.wait_for_timeout(1000)  # fonts and fades
        page.page.screenshot(path=HERE / "app.png")
        page.page.set_viewport_size({"width": 1280, "height": 1600})
        for name, (clicks, awaited) in TABS.items():
            _tab(page.page, name, clicks, re.compile(awaited))
        page.close()
        browser.close()


def _tab(page: Page, name: str, clicks: tuple[str, ...], awaited: re.Pattern[str]) -> None:
    page.get_by_role("tab", name=name).click()
    panel = page.get_by_role("tabpanel", name=name)
    for label in clicks:
        control = panel.get_by_role("radio", name=label).or_(
            panel.get_by_role("button", name=label)
        )
        control.first.click(timeout=PATIENCE)
    panel.get_by_text(awaited).first.wait_for(timeout=PATIENCE)
    page.wait_for_timeout(3000)  # charts and pictures
    word = re.sub(r"\W+", "-", name.lower()).strip("-")
    panel.screenshot(path=HERE / f"tab-{word}.jpg", type="jpeg", quality=84)


def figure() -> None:
    """The film strip of the same first query."""
    material = bundled()[0]
    clip = nlviz.read(material.path, frames=8)
    analysis = nlviz.analyse(clip, zoo.load("nl-lite0", device="cpu"))
    links = nlviz.top_links(analysis, nlviz.Query(material.at, analysis.blocks[-1]))
    nlviz.film_strip(analysis, [links], columns=4).save(HERE / "figure.png", dpi=200)


def vit() -> None:
    """A vision transformer with random weights, larger than usual so that its rows have peaks."""
    from torch import manual_seed, nn

    from tests.vision import timm

    manual_seed(3)
    module = timm.create_model("vit_tiny_patch16_224")
    for block in module.blocks:
        nn.init.normal_(block.attn.qkv.weight, std=0.12)
    network = nlviz.UserNetwork(module, nlviz.Input(size=(224, 224)))
    material = next(m for m in bundled() if m.path.endswith("pasture.jpg"))
    analysis = nlviz.analyse(nlviz.read(material.path), network)
    query = nlviz.Query(material.at, "blocks.5.attn", k=12, exclude="cell")
    nlviz.film_strip(analysis, [nlviz.top_links(analysis, query)]).save(HERE / "vit.png", dpi=100)


if __name__ == "__main__":
    functions(HERE / "functions.png")
    vit()
    figure()
    app()
