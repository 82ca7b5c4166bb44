"""The viewer and the library say the same: links hovered in the page against ``top_links``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nlviz import Affinity, Analysis, Grid, Point, Query, Region, View, row_of, top_links
from nlviz.affinity import FUNCTIONS
from nlviz.errors import QueryError
from nlviz.experiments.derived import Starts, affinity_of_rows, beside
from nlviz.heat.colormap import coloured
from nlviz.heat.overlay import Shade, scale_of
from nlviz.query import Link
from nlviz.viewer import blobs
from nlviz.viewer.messages import Can, Scene, links_of, query_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins, Place
from tests.support import make
from tests.support.time_steps import CASES
from tests.support.time_steps import analysis as rising
from tests.support.viewer_page import Viewer

PLACES = ((0, 3.0, 4.0), (1, 33.0, 20.0), (3, 62.0, 46.0))


def centred(function: str) -> Analysis:
    """Cells centred on pixels 0, 8, 16 … of an input of 65×49, their keys pooled by two."""
    whole = make.analysis(function)
    queries = Grid(4, 7, 9, stride=(1, 8, 8), first=(0.5, 0.5, 0.5))
    keys = queries.pooled((4, 3, 4))
    rng = np.random.default_rng(2)
    theta, phi = rng.normal(size=(5, queries.size)), rng.normal(size=(5, keys.size))
    view = View(whole.view.source, (65, 49), whole.view.frames)
    return replace(
        whole,
        view=view,
        affinities={"nl": Affinity(function, theta, phi, queries, keys)},
        fidelity={"nl": 0.0},
    )


def tied(function: str) -> Analysis:
    """θ and φ are one, so the viewer is sent one of them."""
    whole = make.analysis(function)
    cells = Grid(4, 7, 9)
    theta = np.random.default_rng(5).normal(size=(5, cells.size))
    return replace(
        whole, affinities={"nl": Affinity(function, theta, theta, cells, cells)}, fidelity={"nl": 0}
    )


def derived() -> Analysis:
    """Rows that are no block's."""
    whole = make.analysis()
    cells = Grid(4, 6, 8)
    columns = np.arange(cells.size + 1, dtype=np.intp)
    asked = Starts(cells, ("class",), np.empty(0, np.float32), columns)
    rows = np.random.default_rng(7).random((len(columns), cells.size + 1), np.float32)
    made = affinity_of_rows(asked, rows, cells, ("class",))
    return beside(whole, "rollout", made, "rollout")


def test_hovered_links_of_a_derived_block_are_those_of_the_library(
    show: Callable[..., Viewer],
) -> None:
    analysis = derived()
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tag = view.put(blobs.block_blob(analysis, "rollout", blobs.tag(clip)))
    view.show(blocks=[tag], options={"block": "rollout", "k": 6, "exclude": "none"})
    for place in PLACES:
        state = view.hover(*place)
        at = state["place"]
        point = Point(analysis.view.frames[at["t"]], at["x"], at["y"])
        links = top_links(analysis, Query(point, "rollout", k=6, exclude="none"))
        got = [link["weight"] for link in state["links"]]
        np.testing.assert_allclose(got, [link.weight for link in links], rtol=2e-3)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("made", [make.analysis, centred, tied])
def test_hovered_links_are_those_of_the_library(
    show: Callable[..., Viewer], made: Callable[[str], Analysis], function: str
) -> None:
    analysis = made(function)
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tags = [
        view.put(blobs.block_blob(analysis, block, blobs.tag(clip))) for block in analysis.blocks
    ]
    for block in analysis.blocks:
        for exclude in ("none", "cell", "frame"):
            options = {"block": block, "k": 6, "exclude": exclude}
            view.show(blocks=tags, options=options)
            for place in PLACES:
                state = view.hover(*place)
                at = state["place"]
                point = Point(analysis.view.frames[at["t"]], at["x"], at["y"])
                links = top_links(analysis, Query(point, **options))
                frames = analysis.view.frames
                seen = [(frames[n["t"]], n["x"], n["y"]) for n in state["links"]]
                want = [(n.target.frame, n.target.x, n.target.y) for n in links]
                assert np.allclose(seen, want, atol=0.01)
                weights = [n["weight"] for n in state["links"]]
                assert np.allclose(weights, [n.weight for n in links], rtol=0.01)
                assert state["covered"] == pytest.approx(sum(n.share for n in links), rel=0.01)


@pytest.mark.parametrize(("frames", "keys", "truth"), CASES.values(), ids=CASES)
def test_the_heat_of_a_frame_is_of_the_time_step_that_the_library_draws(
    show: Callable[..., Viewer], frames: int, keys: Grid, truth: list[int | None]
) -> None:
    analysis = rising(frames, keys)
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tag = view.put(blobs.block_blob(analysis, "rising", blobs.tag(clip)))
    view.show(
        blocks=[tag],
        options={"block": "rising", "exclude": "none", "links": False, "opacity": 1.0},
    )
    view.hover(0, 1.0, 1.0)
    point = Point(analysis.view.frames[0], 1.0, 1.0)
    shade = Shade(opacity=1.0)
    row = row_of(analysis, Query(point, "rising", exclude="none"))
    scale = scale_of(analysis, Query(point, "rising", exclude="none"), row, shade)
    opacities = 255 * coloured(scale.places(row.ranked[:, 0, 0]), scale.signed, 1.0)[:, 3]
    for t, step in enumerate(truth):
        pixels = view.pixels("heat", t)
        opacity = float(pixels[len(pixels) // 4, 3])
        if step is None:
            assert opacity == 0
        else:
            assert abs(opacities - opacity).argmin() == step
            assert opacity == pytest.approx(opacities[step], abs=2)
        here = Point(analysis.view.frames[t], 1.0, 1.0)
        asked = view.hover(t, 1.0, 1.0)["cell"]["step"]
        assert asked == analysis.view.cell(here, keys).t
        view.hover(0, 1.0, 1.0)


def found(analysis: Analysis, query: Query) -> tuple[Link, ...]:
    try:
        return top_links(analysis, query)
    except QueryError:
        return ()


def asked(analysis: Analysis, query: Query) -> tuple[int, bool]:
    """How many cells a question is about, and whether there is a place but no query (key) at it."""
    try:
        return len(row_of(analysis, query).cells), False
    except QueryError as error:
        return 0, str(error).startswith(("Nothing looks there", "Nothing can be reached"))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("made", ["special", "partial", "masked"])
def test_regions_tokens_heads_and_columns_are_those_of_the_library(
    show: Callable[..., Viewer], function: str, made: str
) -> None:
    if made == "masked" and function in ("gaussian", "concatenation"):
        pytest.skip("masks are as those of the others")
    ways = {"partial": make.partial, "masked": make.masked}
    analysis = ways[made](function) if made in ways else make.analysis(function, special=True)
    frames = analysis.view.frames
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    blocks = [blobs.block_blob(analysis, b, blobs.tag(clip)) for b in analysis.blocks]
    tags = [view.put(blob) for blob in blocks]
    for block, tag in zip(analysis.blocks, tags, strict=True):
        view.put(blobs.constants_blob(analysis, block, str(tag)))
    lasso = Region(frames[2], ((3.0, 2.0), (60.0, 11.0), (30.0, 44.0)))
    places: list[Place] = [Point(frames[1], 33.0, 20.0), Point(frames[0], 1, 1), lasso, "class"]
    if made == "partial":
        last = Region(frames[3], lasso.outline)
        places += [Point(frames[3], 40.0, 30.0), last, "key only"]
    compared = 0
    for block in analysis.blocks:
        for head in (None, 1) if analysis.affinity(block).heads > 1 else (None,):
            for reverse in (False, True):
                options = Options(block, head, reverse, k=6, exclude="cell")
                for place in places:
                    held = Pins().add(place)
                    links = found(analysis, query_of(analysis, held.shown[0], options))
                    tagged = ("clip", *map(str, tags))
                    said = Scene.of(analysis, tagged, {held.shown[0]: links}, options).json()
                    said["pins"][0]["exact"] = None  # what the page makes of it by itself
                    view.show(pins=said["pins"], options=said["options"], blocks=tags)
                    state = view.state()
                    assert (state["options"]["block"], state["options"]["reverse"]) == (
                        block,
                        reverse,
                    )
                    seen = [(frames[n["t"]], n["x"], n["y"]) for n in state["links"]]
                    assert seen == [
                        pytest.approx((n.target.frame, n.target.x, n.target.y), abs=0.01)
                        for n in links
                    ]
                    weights = [n["weight"] for n in state["links"]]
                    assert weights == pytest.approx([n.weight for n in links], rel=0.02, abs=1e-6)
                    covered = sum(n.share for n in links)
                    assert state["covered"] == pytest.approx(covered, rel=0.02)
                    cells, is_absent = asked(analysis, query_of(analysis, held.shown[0], options))
                    assert state["cells"] == cells
                    words = f"no {'key' if reverse else 'query'}"
                    assert (words in state["readout"]) == is_absent
                    compared += len(links)
    assert compared > 120


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_links_ranked_by_contribution_are_those_of_the_library(
    show: Callable[..., Viewer], function: str
) -> None:
    analysis = make.analysis(function)
    rng = np.random.default_rng(4)
    sizes = {b: rng.gamma(1, size=analysis.affinity(b).phi.shape[1]) for b in analysis.blocks[:1]}
    (known, unknown), analysis = analysis.blocks, replace(analysis, sizes=sizes)
    frames = analysis.view.frames
    clip = blobs.clip_blob(analysis.clip)
    view = show(clip=clip)
    tags = [view.put(blobs.block_blob(analysis, b, blobs.tag(clip))) for b in analysis.blocks]
    box = Region.box(frames[1], 3.0, 2.0, 40.0, 40.0)
    pins = Pins().add(Point(frames[1], 33.0, 20.0)).add(box)

    def shown(block: str, reverse: bool) -> dict[str, Any]:
        options = Options(block, None, reverse, k=6, rank_by="contribution")
        links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
        named = ("clip", *map(str, tags))
        said = Scene.of(analysis, named, links, options, can=Can(rank=True)).json()
        for pin in said["pins"]:
            pin["exact"] = None  # what the page makes of it by itself
        view.show(**{name: said[name] for name in ("pins", "options", "can")}, blocks=tags)
        return view.state()

    assert shown(known, False)["readout"] == "Measuring what each place adds…"
    for block, tag in zip(analysis.blocks, tags, strict=True):
        view.put(blobs.constants_blob(analysis, block, str(tag)))
        view.put(blobs.sizes_blob(analysis, block, str(tag)))
    for reverse in (False, True):
        state = shown(known, reverse)
        query = Query(box, known, 6, reverse=reverse, rank_by="contribution")
        links = top_links(analysis, query)
        assert [(frames[n["t"]], n["x"], n["y"]) for n in state["links"]] == [
            pytest.approx((n.target.frame, n.target.x, n.target.y), abs=0.01) for n in links
        ]
        for name in ("weight", "contribution"):
            seen = [n[name] for n in state["links"]]
            assert seen == pytest.approx([getattr(n, name) for n in links], rel=0.02)
        row = row_of(analysis, query)
        most = np.abs(row.ranked[row.allowed]).max()
        assert state["heat"]["high"] == pytest.approx(most, rel=0.02)
        plain = top_links(analysis, replace(query, rank_by="affinity"))
        assert [n.target for n in links] != [n.target for n in plain]
    state = shown(unknown, False)
    assert state["options"]["rank_by"] == "affinity"
    assert state["message"] == (
        f"Block {unknown} does not show what each place adds, so its links are ranked by affinity."
    )
