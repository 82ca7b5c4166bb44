"""Words of an answer in the viewer: chips that light the frames up, and are pinned by a click."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import nlviz
from nlviz.language.answered import MEAN
from nlviz.viewer import blobs
from tests.support.viewer_page import Viewer
from tests.support.vision import transformers  # noqa: F401 — or these tests are skipped
from tools import tiny_vlm


def test_a_word_is_hovered_and_pinned_by_its_chip(show: Callable[..., Viewer]) -> None:
    network = nlviz.VisionLanguage(*tiny_vlm.make("InternVL"), "tiny")
    words = nlviz.words(tiny_vlm.clip(), network, ask="What moves?", answer="The dog runs.")
    analysis = words.analysis()
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tag = view.put(blobs.block_blob(analysis, MEAN, blobs.tag(clip)))
    view.show(blocks=[tag], options={"block": MEAN, "k": 5, "exclude": "none"})
    chips = view.page.locator(".nlviz-tokens").get_by_role("button")
    assert chips.all_inner_texts() == ["The", "dog", "runs", ".", "What", "moves", "?"]
    chips.nth(1).hover()
    state = view.settle()
    assert state["place"]["token"] == "dog"
    links = nlviz.top_links(analysis, nlviz.Query("dog", MEAN, 5, "none"))
    frames = analysis.view.frames
    seen = [(frames[n["t"]], n["x"], n["y"], n["weight"]) for n in state["links"]]
    assert seen == [
        pytest.approx((n.target.frame, n.target.x, n.target.y, n.weight), rel=0.02) for n in links
    ]
    assert any(pixel[3] > 0 for pixel in view.pixels("heat", 1))
    chips.nth(1).click()
    assert [pin["token"] for pin in view.settle()["pins"]] == ["dog"]
