"""The pictures in docs/images, made from the bundled clip: ``python -m tools.pictures``."""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from torch import manual_seed, nn

import nlviz
from nlviz.app.choice import bundled
from nlviz.cli import main
from nlviz.models.resnet import VideoResNet
from nlviz.models.resnet_plan import paper
from tests.support import jupyter
from tests.support.app_page import AppPage, visiting
from tests.support.browser import launch
from training.cards.pictures import functions

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"


# Each tab, what is clicked in it, and what is awaited before its picture is taken.
TABS = {
    "Profile": ((), "looks|pools"),
    "Compare": (("Baselines",), r"\(shuffled\)"),
    "Spacetime": ((), "Frames along time"),
    "Does it matter?": (("Mask them and see",), "Masked by affinity|Whichever keys are masked"),
    "Export": ((), "Or from the command line"),
    "Tracking": ((), "of the frame"),  # the last one: its mask stays over the clip
}
DOG = (1, 250, 205, 350, 290)  # position of the frame and two corners
_WIDE = 1370  # pixels of a picture that would be too heavy at the size of print
PATIENCE = 600_000  # ms: masking runs the network some twenty times


def app() -> None:
    """The first screen as a visitor finds it, and then each tab."""
    with visiting(viewport={"width": 1440, "height": 900}, device_scale_factor=1.5) as page:
        page.page.wait_for_timeout(1000)  # fonts and fades
        page.page.screenshot(path=IMAGES / "app.png")
        page.page.get_by_role("button", name="Got it").click()
        page.page.set_viewport_size({"width": 1280, "height": 1600})
        for name, (clicks, awaited) in TABS.items():
            if name == "Tracking":
                _box(page, DOG)
            _tab(page.page, name, clicks, re.compile(awaited))
        page.until(lambda state: bool(page.pixels("mask").any()), "a mask over the clip")
        page.page.locator(".nlviz").screenshot(path=IMAGES / "mask.jpg", type="jpeg", quality=84)


def _box(page: AppPage, box: tuple[int, int, int, int, int]) -> None:
    """Clear the pins and draw a box on a frame."""
    page.page.locator(".nlviz").get_by_role("button", name="Clear").click()
    t, *corners = box
    page.page.mouse.move(*page.at(t, *corners[:2]))
    page.page.mouse.down()
    page.page.mouse.move(*page.at(t, *corners[2:]), steps=4)
    page.page.mouse.up()
    page.leave()
    page.ready()


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
    panel.screenshot(path=IMAGES / f"tab-{word}.jpg", type="jpeg", quality=84)


def notebook() -> None:
    """The viewer in JupyterLab, and what Python has of its pins."""
    material = bundled()[0]
    cells = (
        "import nlviz\n"
        "\n"
        f'clip = nlviz.read("{Path(material.path).name}", frames=8)\n'
        'analysis = nlviz.analyse(clip, nlviz.load("nl-lite0"), size=320)\n'
        f"viewer = analysis.show([nlviz.Query(nlviz.{material.at}, analysis.blocks[-1])])\n"
        "viewer",
        "[links[0].target for links in viewer.links]",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "assets" / "clips" / material.name, folder)
        file = jupyter.notebook(folder / "ball.ipynb", cells)
        with jupyter.lab(folder) as address, sync_playwright() as playwright:
            browser = launch(playwright)
            page = jupyter.opened(
                browser,
                address,
                file,
                viewport={"width": 1180, "height": 1000},
                device_scale_factor=1.5,
            )
            page.locator(".nlviz-chip").first.wait_for(timeout=PATIENCE)
            for button in ("Got it", "No"):
                page.get_by_role("button", name=button, exact=True).click()
            jupyter.run(page, "application:toggle-left-area")
            page.wait_for_timeout(3000)
            state = "view => view.getRootNode().nlviz.toClient({ t: 5, x: 330, y: 200 })"
            point = page.locator(".nlviz").evaluate(state)
            page.mouse.click(point["x"], point["y"])
            page.locator(".nlviz-chip").nth(1).wait_for()
            jupyter.run_cell(page, 1)
            page.mouse.move(5, 5)
            page.wait_for_timeout(2000)
            page.screenshot(
                path=IMAGES / "notebook.png",
                clip={"x": 0, "y": 0, "width": 1180, "height": 860},
            )
            browser.close()


def film() -> None:
    """The README's moving picture, by the command that anyone may type."""
    with chdir(ROOT):
        asked = [
            "assets/clips/ball.mp4",
            "--at",
            "8,156,196",
            "--k",
            "40",
            "--frames",
            "16",
            "--width",
            "560",
        ]
        if main(["film", *asked, "-o", "docs/images/film.gif", "--force"]):
            raise RuntimeError("The film was not drawn.")


def page() -> None:
    """The page for a talk, as a browser opens it from a folder."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "ball.html"
        clip = str(ROOT / "assets" / "clips" / "ball.mp4")
        title = "Where is the ball?"
        if main(["html", clip, "--at", "8,156,196", "--title", title, "-o", str(file)]):
            raise RuntimeError("The page was not made.")
        browser = launch(playwright)
        shown = browser.new_page(viewport={"width": 1280, "height": 720})
        shown.goto(file.as_uri())
        shown.locator("canvas").first.wait_for()
        shown.wait_for_timeout(3000)  # fades
        shown.screenshot(path=IMAGES / "page.jpg", type="jpeg", quality=84)
        browser.close()


def features() -> None:
    """The components of a block's output over a bundled clip."""
    clip = ["sample:safari.mp4", "--frames", "4", "--size", "256", "--of", "output"]
    main(["pca", *clip, "--dpi", "150", "-o", str(IMAGES / "features.png"), "--force"])


def track() -> None:
    """Two things carried by the cosine of a block's input, their masks along the frame's edges."""
    regions = ["--region", "8,250,205,350,290", "--region", "8,575,260,625,320"]
    how = ["--frames", "8", "--baseline", "cosine", "--edges"]
    main(["track", "sample:ball.mp4", *regions, *how, "-o", str(IMAGES / "track.png"), "--force"])


def rollout() -> None:
    """What counts for the first class in the last block, and the same with shuffled weights."""
    clip = ["sample:safari.mp4", "--frames", "4", "--size", "320"]
    asked = ["--class", "top", "--block", "nl5", "--shuffled", "0"]
    made = IMAGES / "rollout.png"
    main(["rollout", *clip, *asked, "-o", str(made), "--force"])
    with Image.open(made) as picture:  # at 300 dpi it is 1.5 MB, more than a page should bring
        small = picture.convert("RGB").resize(
            (_WIDE, round(picture.height * _WIDE / picture.width))
        )
    # Mixed from the palette's colours, for without that the legend's colours lie in steps.
    mixed = small.quantize(palette=small.quantize(256), dither=Image.Dither.FLOYDSTEINBERG)
    mixed.save(made, optimize=True)


def figure() -> None:
    """The film strip of the same first query."""
    material = bundled()[0]
    clip = nlviz.read(material.path, frames=8)
    analysis = nlviz.analyse(clip, nlviz.load("nl-lite0", device="cpu"))
    links = nlviz.top_links(analysis, nlviz.Query(material.at, analysis.blocks[-1]))
    nlviz.film_strip(analysis, [links], columns=4).save(IMAGES / "figure.png", dpi=200)


def vit() -> None:
    """A vision transformer with random weights, larger than usual so that its rows have peaks."""
    from tests.support.vision import timm

    manual_seed(3)
    module = timm.create_model("vit_tiny_patch16_224")
    for block in module.blocks:
        nn.init.normal_(block.attn.qkv.weight, std=0.12)
    network = nlviz.UserNetwork(module, nlviz.Input(size=(224, 224)))
    material = next(m for m in bundled() if m.path.endswith("pasture.jpg"))
    analysis = nlviz.analyse(nlviz.read(material.path), network)
    query = nlviz.Query(material.at, "blocks.5.attn", k=12, exclude="cell")
    nlviz.film_strip(analysis, [nlviz.top_links(analysis, query)]).save(IMAGES / "vit.png", dpi=100)


def i3d() -> None:
    """The paper's I3D with five blocks, one strip for each; random weights, made to have peaks."""
    manual_seed(0)
    plan = paper("i3d")
    module = VideoResNet(plan)
    grey = nlviz.Input(size=320, mean=(0.45,) * 3, deviation=(0.225,) * 3)
    network = nlviz.UserNetwork(module, grey, "I3D-R50", plan.taps)
    material = bundled()[0]
    clip = nlviz.read(material.path, frames=32)
    flat = nlviz.analyse(clip, network)
    for name, affinity in flat.affinities.items():  # as they are, all their rows are nearly even
        logits = affinity.scale * affinity.theta[:, ::7].T @ affinity.phi
        block = module.get_submodule(name)
        factor = (3 / (logits - logits.mean(1, keepdims=True)).std()) ** 0.5
        for parameter in (*block.theta.parameters(), *block.phi.parameters()):
            parameter.data *= factor
    seen = nlviz.analyse(clip, network)
    links = [nlviz.top_links(seen, nlviz.Query(material.at, name, k=10)) for name in seen.blocks]
    frames = {material.at.frame, *(link.target.frame for one in links for link in one)}
    nlviz.film_strips(
        [nlviz.Panel(seen, [one], nlviz.Heat(one[0].query)) for one in links],
        style=nlviz.Style(frames=tuple(sorted(frames))),
    ).save(IMAGES / "i3d.png", dpi=100)


def match() -> None:
    """A tree of one clip, looked for in another: the command of docs/matching.md."""
    words = (
        "match sample:ball.mp4 --at 0,290,150 --in sample:safari.mp4 --frames 6 --heat --dpi 110"
    )
    main([*words.split(), "--force", "-o", str(IMAGES / "match.png")])


def scan() -> None:
    """The heat table of docs/scan.md: the bundled network against the masks of a ball."""
    path = ROOT / "assets" / "clips" / "court.mp4"
    network, clip = nlviz.load("nl-lite0"), nlviz.read(path, frames=16)
    labels = np.load(path.with_suffix(".masks.npz"))["labels"][list(clip.indices)]
    analysis = nlviz.analyse(clip, network)
    found = nlviz.scan(analysis, labels == 1, network=network)
    nlviz.scan_figure(found, width_cm=12).save(IMAGES / "scan.png", dpi=110)


if __name__ == "__main__":
    match()
    scan()
    film()
    page()
    functions(IMAGES / "functions.png")
    vit()
    i3d()
    figure()
    features()
    rollout()
    track()
    notebook()
    app()
