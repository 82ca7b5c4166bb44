"""Components of features in the page: the library's colours over strip and player, and told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import nlviz
from nlviz import Foreground
from nlviz.errors import QueryError
from nlviz.viewer import blobs, colour_layer
from tests.support import make
from tests.support.viewer_page import Viewer


def test_components_lie_over_grey_frames_until_something_is_pointed_at(
    show: Callable[..., Viewer],
) -> None:
    analysis = make.analysis()
    found = nlviz.pca(analysis, "fine", of="theta", foreground=Foreground())
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    block = view.put(blobs.block_blob(analysis, "fine", blobs.tag(clip)))
    layer = view.put(found.layer.blob(analysis.view, blobs.tag(clip)))
    view.show(blocks=[block], components=layer, options={"block": "fine", "opacity": 0.8})
    stage, words = view.page.locator(".nlviz-stage"), view.page.locator(".nlviz-components")
    assert view.state()["components"] == layer
    assert f"{found.explained[0]:.1%}" in words.inner_text()
    assert "a view of features, not a weight of the network" in words.inner_text()
    frames = view.page.locator(".nlviz-frames")
    assert frames.evaluate("canvas => getComputedStyle(canvas).filter") == "grayscale(1)"

    def centres(t: int) -> np.ndarray:
        """(rows, cols, 4) what is drawn in the middle of each cell of a frame."""
        box = view.state()["layout"]["frames"][t]
        height = len(view.pixels("mask", t)) // int(box["w"])
        pixels = view.pixels("mask", t).reshape(height, -1, 4).astype(int)
        rows, cols = found.grid.rows, found.grid.cols
        down = ((np.arange(rows) + 0.5) / rows * height).astype(int)
        across = ((np.arange(cols) + 0.5) / cols * pixels.shape[1]).astype(int)
        return pixels[down][:, across]

    for mode in ("strip", "player"):
        view.show(options={"block": "fine", "opacity": 0.8, "view": mode})
        drawn, shown = centres(0), found.shown[0]
        over_dark = 0.8 + 0.2 * 0.55
        near = np.abs(drawn[..., :3] - found.colours[0] * 0.8 / over_dark)[shown]
        assert near.mean() < 6, mode  # the neighbours shine in a little
        assert drawn[shown][:, 3].mean() == pytest.approx(255 * over_dark, abs=4)
        assert drawn[~shown][:, 3].mean() == pytest.approx(255 * 0.55, abs=12)
    view.show(options={"block": "fine", "opacity": 0.8, "view": "strip"})
    view.hover(0, 20.0, 20.0)
    assert view.pixels("heat", 2).any()
    assert not view.pixels("mask", 2).any()
    assert (words.inner_text(), "nlviz-grey" in stage.get_attribute("class")) == ("", False)
    view.leave()
    assert view.pixels("mask", 2).any()
    view.page.get_by_role("button", name="More").click()
    view.page.get_by_role("switch", name="Components").click()
    assert not view.state()["options"]["components"]
    view.leave()
    assert not view.pixels("mask", 2).any()


def test_a_layer_that_is_too_fine_for_a_page_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = nlviz.pca(make.analysis(), "coarse", of="theta")
    monkeypatch.setattr(colour_layer, "MOST_CELLS", 7)
    with pytest.raises(QueryError, match=r"of \d+ cells is too fine for the viewer, which takes 7"):
        found.layer  # noqa: B018
