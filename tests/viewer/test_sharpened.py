"""Heat along the frames' edges in the page: the library's filter, told, and off until asked for."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser

from nlviz import Affinity, Analysis, Point, Query, row_of
from nlviz.groups import Groups
from nlviz.heat.colormap import SCREEN
from nlviz.heat.guided import Guide
from nlviz.heat.overlay import Shade, SharpenedHeat, scale_of
from nlviz.viewer import blobs, bundle
from tests.support import make
from tests.support.viewer_page import Viewer

OPTIONS: dict[str, Any] = {
    "block": "fine", "exclude": "frame", "links": False, "opacity": 1.0, "sharpened": True,
}  # fmt: skip
SAID = "sharpened along the picture’s edges, for display only"


def rising() -> Analysis:
    """Weights that rise to the right, over frames with one upright edge in the middle of a cell.

    Nothing on the last frame can be reached.
    """
    made = make.analysis()
    frames = np.full((4, 48, 64, 3), 40, np.uint8)
    frames[:, :, 36:] = (90, 130, 230)
    grid = made.affinity("fine").query_grid
    across = np.indices(grid.shape)[2].ravel() > 3
    phi = np.where(across, 2.0, 0.0)[None].astype(np.float32)
    last = (np.indices(grid.shape)[0].ravel() == 3).astype(np.intp)
    reach = (Groups(np.zeros_like(last), last),)
    ones = np.ones((1, grid.size), np.float32)
    affinity = Affinity("gaussian", ones, phi, grid, grid, reach=reach)
    clip = replace(made.clip, frames=frames)
    return replace(made, clip=clip, affinities={"fine": affinity}, fidelity={"fine": None})


def test_the_pages_filter_is_the_librarys(browser: Browser) -> None:
    page = browser.new_page()
    script = bundle.join(bundle.JS / "draw" / "guided.js").replace("export ", "")
    page.set_content(f'<script type="module">{script}\nglobalThis.guide = createGuide;</script>')
    page.wait_for_function("() => globalThis.guide")
    rng = np.random.default_rng(3)
    for height, width, radius in ((9, 11, 2), (40, 60, 7), (5, 8, 12)):
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        picture = np.asarray(cv2.resize(coarse, (width, height)), np.uint8)
        values = rng.normal(size=(height, width)).astype(np.float32)
        opaque = np.dstack([picture, np.full((height, width), 255, np.uint8)])
        drawn = page.evaluate(
            """([rgba, width, height, radius, values]) => {
                const bytes = Uint8ClampedArray.from(atob(rgba), (c) => c.charCodeAt(0));
                return [...guide({ rgba: bytes, width, height }, radius).filtered(values)];
            }""",
            [base64.b64encode(opaque).decode(), width, height, radius, values.ravel().tolist()],
        )
        expected = Guide.of(picture, radius).filtered(values)
        np.testing.assert_allclose(drawn, expected.ravel(), atol=2e-5)
    page.close()


def finished(view: Viewer) -> dict[str, Any]:
    """The state once nothing is drawn any more."""
    before, state = -1, view.state()
    while state["drawn"]["count"] != before:
        before, state = state["drawn"]["count"], view.state()
    return state


def test_sharpened_heat_is_that_of_the_library(show: Callable[..., Viewer]) -> None:
    analysis = rising()
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tag = view.put(blobs.block_blob(analysis, "fine", blobs.tag(clip)))
    view.show(blocks=[tag], options=OPTIONS | {"sharpened": False})
    view.hover(0, 20.0, 20.0)
    finished(view)
    cells = view.pixels("heat", 2)[:, 3].astype(float)
    legend = view.page.locator(".nlviz-unit")
    assert SAID not in legend.inner_text()
    view.page.get_by_role("button", name="More").click()
    view.page.get_by_role("switch", name="Sharpen").click()
    view.hover(0, 20.5, 20.5)
    state = finished(view)
    assert state["options"]["sharpened"]
    assert legend.inner_text().endswith(SAID)
    assert not view.pixels("heat", 0).any(), "its own frame is left out"
    assert (view.pixels("heat", 3) == (128, 128, 128, 160)).all(), "grey where no link can exist"
    query = Query(Point(analysis.view.frames[0], 20.5, 20.5), "fine")
    row, shade = row_of(analysis, query), Shade(1.0, sharpened=True)
    heat = SharpenedHeat.of(analysis.view, row, scale_of(analysis, query, row, shade), shade)
    place = np.array([[8.0, 0, 3.5], [0, 8.0, 3.5]])  # cells of 8 × 8 pixels
    expected = 255 * heat.layer(analysis.clip.frames[2], 2, place, SCREEN)[..., 3]
    frame = state["layout"]["frames"][2]
    size = round(frame["w"]), round(frame["h"])
    large = cv2.resize(expected.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    drawn = view.pixels("heat", 2)[:, 3].astype(float)
    assert np.abs(drawn - large.ravel()).mean() < 1.5
    assert np.abs(drawn - cells).mean() > 3, "it is not what cells look like"
