"""Blobs, pins and messages: what the app sends to the page and what it makes of the answers."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
import pytest

import nlviz
from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.shown import Shown
from nlviz.ask.links import top_links
from nlviz.clip import Clip
from nlviz.experiments.derived import Starts, affinity_of_rows, alone, beside
from nlviz.geometry import Cell, Grid, Point, Region, View
from nlviz.heat.colormap import PALETTE
from nlviz.query import Query
from nlviz.viewer import blobs
from nlviz.viewer.acts import acted
from nlviz.viewer.messages import Scene, links_of
from nlviz.viewer.options import MOST_LINKS, Options
from nlviz.viewer.pins import Pins
from tests.support import make

WIDTH, HEIGHT, FRAMES = 90, 50, (0, 7, 21)
VIEW = View((WIDTH, HEIGHT), (97, 49), FRAMES)
QUERIES = Grid(3, 4, 7, stride=(1, 16, 16), first=(0.5, 0.5, 0.5))
KEYS = QUERIES.pooled((3, 2, 3))
OUTSIDE = Grid(3, 4, 7, stride=(1, 16, 16), first=(0.5, -4.0, -7.0))


def made(function: str = "embedded_gaussian", width: int = 5, seed: int = 0) -> Affinity:
    draw = np.random.default_rng(seed)
    theta = draw.normal(size=(width, QUERIES.size)).astype(np.float32)
    phi = draw.normal(size=(width, KEYS.size)).astype(np.float32)
    if function == "concatenation":
        theta[1], phi[0] = 1, 1
        theta, phi = theta[:2], phi[:2]
    return Affinity(function, theta, phi, QUERIES, KEYS)


def analysed(affinity: Affinity | None = None, frames: tuple[int, ...] = FRAMES) -> Analysis:
    pixels = np.random.default_rng(1).integers(0, 255, (len(frames), HEIGHT, WIDTH, 3), np.uint8)
    clip = Clip(pixels, frames, tuple(i / 25 for i in frames), "made.mp4", 30)
    affinities = {"nl3": affinity or made(), "nl5": made(seed=2)}
    return Analysis(
        clip,
        replace(VIEW, frames=frames),
        "made",
        MappingProxyType(affinities),
        MappingProxyType({"nl3": 1e-6, "nl5": 2e-6}),
    )


def unpacked(blob: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    length = int.from_bytes(blob[:4], "little")
    header = json.loads(blob[4 : 4 + length])
    start = -(-(4 + length) // 8) * 8
    assert len(blob) % 8 == 0
    parts = {}
    for part in header["parts"]:
        assert part["offset"] % 8 == 0
        parts[part["name"]] = blob[start + part["offset"] :][: part["length"]]
    return header, parts


def logits(header: dict[str, Any], parts: dict[str, bytes]) -> np.ndarray:
    theta = np.frombuffer(parts["theta"], np.float16).astype(np.float64)
    phi = np.frombuffer(parts["phi"], np.float16).astype(np.float64)
    width = header["width"]
    return header["scale"] * theta.reshape(-1, width) @ phi.reshape(width, -1)


def test_a_block_blob_gives_the_same_logits_as_the_affinity() -> None:
    for function in ("embedded_gaussian", "dot_product", "concatenation"):
        affinity = made(function)
        header, parts = unpacked(blobs.block_blob(analysed(affinity), "nl3", "c"))
        assert header["function"] == function
        wanted = affinity.theta.T @ affinity.phi
        np.testing.assert_allclose(logits(header, parts), wanted, atol=0.01)


@pytest.mark.parametrize("factor", [1.0, 1e6])
def test_a_theta_that_is_phi_is_not_sent_twice(factor: float) -> None:
    theta = np.random.default_rng(3).normal(size=(5, QUERIES.size)).astype(np.float32) * factor
    tied = Affinity("dot_product", theta, theta.copy(), QUERIES, QUERIES)
    apart = replace(tied, phi=theta * np.float32(1.01))
    sent = {each: blobs.block_blob(analysed(each), "nl3", "c") for each in (tied, apart)}
    header, parts = unpacked(sent[tied])
    assert set(parts) == {"phi"}
    assert set(unpacked(sent[apart])[1]) == {"phi", "theta"}
    parts["theta"] = np.frombuffer(parts["phi"], np.float16).reshape(5, -1).T.tobytes()
    wanted = theta.T @ theta
    np.testing.assert_allclose(logits(header, parts) / factor**2, wanted / factor**2, atol=0.02)


@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1e5, 1e9])
def test_logits_survive_when_theta_or_phi_leave_the_range_of_float16(factor: float) -> None:
    plain = made()
    affinity = replace(
        plain, theta=plain.theta * np.float32(factor), phi=plain.phi / np.float32(factor)
    )
    header, parts = unpacked(blobs.block_blob(analysed(affinity), "nl3", "c"))
    np.testing.assert_allclose(logits(header, parts), plain.theta.T @ plain.phi, atol=0.01)


def test_logits_too_large_for_float16_go_into_the_scale() -> None:
    plain = made("dot_product")
    affinity = replace(plain, theta=plain.theta * np.float32(1e6), phi=plain.phi * np.float32(1e6))
    header, parts = unpacked(blobs.block_blob(analysed(affinity), "nl3", "c"))
    wanted = plain.theta.T @ plain.phi
    np.testing.assert_allclose(logits(header, parts) / 1e12, wanted, atol=0.01)


def test_a_channel_of_zeros_adds_nothing_and_warns_of_nothing() -> None:
    plain = made()
    theta = plain.theta.copy()
    theta[2] = 0
    affinity = replace(plain, theta=theta)
    header, parts = unpacked(blobs.block_blob(analysed(affinity), "nl3", "c"))
    np.testing.assert_allclose(logits(header, parts), theta.T @ plain.phi, atol=0.01)


@pytest.mark.parametrize("grid", [QUERIES, KEYS, OUTSIDE, Grid(3, 5, 9), Grid(1, 3, 3)])
def test_the_grid_header_places_every_cell_where_the_view_does(grid: Grid) -> None:
    header = blobs.grid_header(VIEW, grid)
    assert (header["t"], header["rows"], header["cols"]) == grid.shape
    for index in range(grid.size):
        cell = grid.cell(index)
        point = VIEW.point(cell, grid)
        x = header["x0"] + header["dx"] * cell.col
        y = header["y0"] + header["dy"] * cell.row
        inside = min(max(x, 0), WIDTH), min(max(y, 0), HEIGHT)
        assert inside == pytest.approx((point.x, point.y), abs=1e-9)
        covered = VIEW.footprint(cell, grid).frames
        assert tuple(FRAMES[t] for t in header["frames"][cell.t]) == covered


def test_a_clip_blob_holds_every_frame_as_a_picture_of_display_size() -> None:
    pixels = np.full((3, 90, 1300, 3), (250, 20, 20), np.uint8)
    clip = Clip(pixels, (0, 1, 2), (0.0, 0.1, 0.2), "wide.mp4", 3)
    header, parts = unpacked(blobs.clip_blob(clip))
    assert (header["kind"], header["width"], header["height"]) == ("clip", 1300, 90)
    assert header["frames"] == [0, 1, 2]
    picture = cv2.imdecode(np.frombuffer(parts["frame2"], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (44, 640, 3)
    assert picture[20, 300, 2] > 230 > 60 > picture[20, 300, 0]  # BGR: red stays red


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3000, 17), (17, 3000)])
def test_frames_of_odd_sizes_become_pictures(size: tuple[int, int]) -> None:
    clip = Clip(np.zeros((1, size[1], size[0], 3), np.uint8), (0,), (0.0,), "odd.png", 1)
    _, parts = unpacked(blobs.clip_blob(clip))
    assert cv2.imdecode(np.frombuffer(parts["frame0"], np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_tag_names_the_content() -> None:
    one, other = (blobs.block_blob(analysed(made(seed=s)), "nl3", "c") for s in (0, 5))
    again = blobs.block_blob(analysed(made(seed=0)), "nl3", "c")
    assert blobs.tag(one) == blobs.tag(again) != blobs.tag(other)


def test_pins_take_the_first_free_colour_and_stop_at_eight() -> None:
    held = Pins()
    for x in range(9):
        held = held.add(Point(0, x, 0))
    assert [pin.color for pin in held.shown] == list(PALETTE)
    held = held.remove("pin-3").add(Point(0, 40, 0))
    assert held.shown[-1].color == PALETTE[2]
    assert held.shown[-1].id not in {pin.id for pin in held.shown[:-1]}


def test_undo_takes_back_one_change_at_a_time() -> None:
    one = Pins().add(Point(0, 1, 1))
    held = one.add(Point(7, 2, 2)).remove("pin-1").clear()
    assert held.shown == ()
    assert [pin.id for pin in held.undo().shown] == ["pin-2"]
    assert [pin.id for pin in held.undo().undo().shown] == ["pin-1", "pin-2"]
    assert held.undo().undo().undo().shown == one.shown
    assert held.undo().undo().undo().undo().undo().shown == ()


def test_pins_stay_where_a_new_analysis_still_has_their_points() -> None:
    held = Pins().add(Point(0, 1, 1)).add(Point(7, 2, 2)).add(Point(0, 89, 2))
    coarser = View((80, 50), (97, 49), (0, 20))
    assert [pin.id for pin in held.kept(coarser).shown] == ["pin-1"]
    assert [pin.id for pin in held.kept(coarser).undo().shown] == ["pin-1"]


def test_an_added_pin_lands_on_the_source_frame_that_was_clicked() -> None:
    held = acted(Pins(), {"type": "add", "t": 1, "x": 12.345678, "y": 8}, VIEW)
    assert held.shown[0].point == Point(7, 12.35, 8)
    assert acted(held, {"type": "remove", "id": "pin-1"}, VIEW).shown == ()
    assert acted(held, {"type": "clear"}, VIEW).shown == ()
    assert acted(held, {"type": "undo"}, VIEW).shown == ()


def test_a_click_at_the_very_edge_is_inside_the_frame() -> None:
    held = acted(Pins(), {"type": "add", "t": 0, "x": 90.0, "y": -0.4}, VIEW)
    assert VIEW.cell(held.shown[0].point, QUERIES) == Cell(0, 0, QUERIES.cols - 1)


@pytest.mark.parametrize(
    "said",
    [
        *(None, "add", {}, {"type": "fly"}, {"type": "add"}, {"type": "remove"}),
        {"type": "add", "t": 9, "x": 1, "y": 1},
        {"type": "add", "t": 0, "x": float("nan"), "y": 1},
        {"type": "add", "t": True, "x": "1", "y": [1]},
        {"type": "add", "t": 0, "region": [[1, 1], [2, 2]]},
        {"type": "add", "t": 0, "region": [[1, 1], [2, 2], [float("inf"), 1]]},
        {"type": "add", "t": 0, "region": [[1, 1, 1]] * 4},
        {"type": "add", "t": 0, "region": "here"},
        {"type": "rename", "id": "pin-9", "name": "x"},
        {"type": "move", "id": "pin-1", "to": 1},
        {"type": "move", "id": "pin-1", "to": "0"},
        {"type": "redo"},
    ],
)
def test_a_message_that_makes_no_sense_changes_nothing(said: object) -> None:
    held = Pins().add(Point(0, 1, 1))
    assert acted(held, said, VIEW) is held


def test_an_added_region_is_kept_inside_the_frame_and_a_token_is_a_pin() -> None:
    outline = [[-3, 4.126], [40, 4], [95.5, 60]]
    held = acted(Pins(), {"type": "add", "t": 2, "region": outline}, VIEW)
    assert held.shown[0].point == Region(21, ((0, 4.13), (40, 4), (90, 50)))
    held = acted(held, {"type": "add", "token": "class"}, VIEW)
    assert held.shown[1].point == "class"
    assert [pin.id for pin in held.kept(View((80, 50), (97, 49), (0, 20))).shown] == ["pin-2"]
    analysis = analysed()
    options = Options(block="nl3", k=4).fitting(analysis)
    links = {pin: links_of(analysis, pin, options) for pin in held.shown}
    assert len(links[held.shown[0]]) == 4
    assert links[held.shown[1]] == (), "this block has no such token; the viewer says so"
    region, token = Scene.of(analysis, ("c", "b"), links, options).json()["pins"]
    assert (region["t"], region["x"], region["y"]) == (2, 45, 27)
    assert region["region"][1] == [40, 4]
    assert (token["t"], token["token"]) == (None, "class")


def test_pins_are_renamed_moved_and_redone() -> None:
    held = Pins().add(Point(0, 1, 1)).add(Point(0, 2, 2))
    held = acted(held, {"type": "rename", "id": "pin-2", "name": " the  dog\n"}, VIEW)
    held = acted(held, {"type": "move", "id": "pin-2", "to": 0}, VIEW)
    assert [(pin.id, pin.name) for pin in held.shown] == [("pin-2", "the dog"), ("pin-1", "")]
    back = held.undo().undo()
    assert [(pin.id, pin.name) for pin in back.shown] == [("pin-1", ""), ("pin-2", "")]
    assert back.redo().redo().shown == held.shown
    assert back.add(Point(0, 3, 3)).after == (), "a change ends what can be redone"
    assert len(held.rename("pin-1", "n" * 99).shown[1].name) == 40


def test_a_constants_blob_holds_the_constants_and_the_extremes() -> None:
    affinity = made("embedded_gaussian")
    header, parts = unpacked(blobs.constants_blob(analysed(affinity), "nl3", "b3"))
    matrix = affinity.matrix()
    assert (header["kind"], header["block"]) == ("constants", "b3")
    assert header["extremes"] == [pytest.approx((matrix.min(), matrix.max()))] * 2
    constants = np.frombuffer(parts["constants"], np.float32)
    logits = affinity.theta.T @ affinity.phi
    np.testing.assert_allclose(constants, np.log(np.exp(logits).sum(axis=1)), rtol=1e-5)


def test_the_constants_of_a_block_tell_how_far_they_are_from_head_to_head() -> None:
    analysis = make.analysis(special=True)
    assert analysis.affinity("special").heads == 2
    told: list[float] = []
    blobs.constants_blob(analysis, "special", "b", lambda fraction, _: told.append(fraction))
    assert told == pytest.approx([0, 1 / 4, 1 / 4, 1 / 2, 1 / 2, 3 / 4, 3 / 4])
    told.clear()
    blobs.constants_blob(analysis, "fine", "b", lambda fraction, _: told.append(fraction))
    assert told == pytest.approx([0, 1 / 2, 1 / 2]), "one head is gone over once"


def test_options_keep_what_the_viewer_said_wrongly() -> None:
    chosen = Options().changed({"k": 5, "block": "nl3", "exclude": "cell", "heat": False})
    assert (chosen.k, chosen.block, chosen.exclude, chosen.heat) == (5, "nl3", "cell", False)
    assert chosen.changed({"k": "x", "opacity": None, "exclude": "all", "links": 1}) == chosen
    assert chosen.changed(None) == chosen
    said = {"head": 1, "reverse": True, "scale": "block", "curve": "log", "colours": "cividis"}
    assert not chosen.sharpened
    seen = chosen.changed(said | {"together": False, "view": "player", "sharpened": True})
    assert seen.sharpened
    assert (seen.head, seen.reverse, seen.scale, seen.curve) == (1, True, "block", "log")
    assert (seen.colours, seen.together, seen.view) == ("cividis", False, "player")
    assert seen.fitting(analysed()).head is None, "one head is all there is"
    assert seen.changed({"head": None}).head is None
    wrong = {"head": "1", "scale": "huge", "curve": [], "view": 3, "colours": None, "sharpened": 1}
    assert seen.changed(wrong) == seen
    assert chosen.changed({"k": 10**9}).k == MOST_LINKS


def test_options_fall_back_to_a_block_and_an_exclusion_that_the_analysis_has() -> None:
    fitted = Options(block="gone").fitting(analysed())
    assert (fitted.block, fitted.exclude) == ("nl5", "frame")
    single = Options(block="nl3").fitting(analysed(frames=(0,)))
    assert (single.block, single.exclude) == ("nl3", "cell")


def test_a_ranking_by_contribution_holds_where_the_sizes_are_known() -> None:
    wish = Options(block="nl3", rank_by="contribution")
    assert wish.fitting(analysed()).rank_by == "affinity"
    sizes = {"nl3": np.arange(made("embedded_gaussian").key_grid.size, dtype=np.float32)}
    known = replace(analysed(), sizes=sizes)
    assert wish.fitting(known).rank_by == "contribution"
    assert replace(wish, block="nl5").fitting(known).rank_by == "affinity"
    header, parts = unpacked(blobs.sizes_blob(known, "nl3", "b3"))
    assert (header["kind"], header["block"], header["problem"]) == ("sizes", "b3", None)
    np.testing.assert_array_equal(np.frombuffer(parts["sizes"], np.float32), sizes["nl3"])
    header, _ = unpacked(blobs.sizes_blob(known, "nl5", "b5"))
    assert "nl5 does not show" in header["problem"]
    header, _ = unpacked(blobs.sizes_blob(known, "nl3", "b3", "No network is here."))
    assert header["problem"] == "No network is here."


def test_a_baseline_becomes_a_block_after_its_own() -> None:
    analysis = analysed()
    choice = Choice(Material("id", "A title", "a.mp4"), ClipPart(), "nl-lite0", 64)
    shown = Shown(choice, analysis, (b"clip", b"3", b"5"), ("c", "b3", "b5"))
    found = nlviz.baseline(analysis, None, "nl3", "uniform")
    more = shown.beside(found)
    assert more.analysis.blocks == ("nl3", "nl3 (uniform)", "nl5")
    assert more.tags == ("c", "b3", blobs.tag(more.blobs[2]), "b5")
    assert (more.blobs[1], more.blobs[3]) == (b"3", b"5")
    assert more.without_baselines.blocks == ("nl3", "nl5")
    assert more.beside(found) is more
    assert shown.analysis.blocks == ("nl3", "nl5"), "nobody else's changes"


def test_a_derived_block_stands_after_all_others_and_takes_the_place_of_its_like() -> None:
    analysis = analysed()
    choice = Choice(Material("id", "A title", "a.mp4"), ClipPart(), "nl-lite0", 64)
    shown = Shown(choice, analysis, (b"clip", b"3", b"5"), ("c", "b3", "b5"))
    grid = analysis.affinity("nl3").query_grid

    def rows(at: int) -> nlviz.Analysis:
        asked = Starts(grid, (), np.empty(0, np.float32), np.array([at]))
        made = affinity_of_rows(asked, np.eye(1, grid.size, dtype=np.float32), grid, ())
        return alone(beside(analysis, "rollout (derived)", made, "rollout"), "rollout (derived)")

    more = shown.with_derived(rows(0))
    assert more.analysis.blocks == ("nl3", "nl5", "rollout (derived)")
    again = more.with_derived(rows(1))
    assert again.analysis.blocks == more.analysis.blocks
    assert (len(again.tags), again.tags[:3]) == (4, ("c", "b3", "b5"))
    assert again.tags[3] != more.tags[3]
    assert again.without_baselines.blocks == ("nl3", "nl5")
    assert again.needed_first[0] == ("c", "b5"), "it never opens by itself"


def test_the_scene_holds_the_exact_links_and_plain_json() -> None:
    analysis = analysed()
    options = Options(block="nl3", k=4).fitting(analysis)
    held = Pins().add(Point(7, 40.0, 20.0))
    (pin,) = held.shown
    links = links_of(analysis, pin, options)
    assert links == top_links(analysis, Query(pin.point, "nl3", 4, "frame"))
    tags = ("c", "b3", "b5")
    said = Scene.of(analysis, tags, {pin: links}, options, notice="A word.").json()
    assert (said["clip"], said["blocks"], said["notice"]) == ("c", ["b3", "b5"], "A word.")
    assert said["options"] == asdict(options)
    assert json.loads(json.dumps(said)) == said
    (shown,) = said["pins"]
    assert (shown["t"], shown["x"], shown["color"]) == (1, 40.0, "#E69F00")
    assert [link["rank"] for link in shown["exact"]["links"]] == [1, 2, 3, 4]
    assert shown["exact"]["covered"] == pytest.approx(sum(link.share for link in links))
    assert all(link["t"] in (0, 2) for link in shown["exact"]["links"])


def test_a_pins_name_has_only_signs_that_show() -> None:
    pins = Pins().add(Point(0, 1, 1))
    (pin,) = pins.rename(pins.shown[0].id, "a\x00b\u202ec\x1b[31m\n d").shown
    assert pin.name == "a b c [31m d"
