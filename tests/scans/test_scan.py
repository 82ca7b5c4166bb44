"""The scan against slow loops, and its words and refusals."""

from __future__ import annotations

import csv
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Drawing

import nlviz
from nlviz.errors import FigureError, MediaError, QueryError
from nlviz.export.tables import scan_csv
from nlviz.figures import figure
from nlviz.heat.overlay import heat
from nlviz.provenance import Provenance
from nlviz.scans import figure as figure_of_scan
from nlviz.scans.interval import RESAMPLES, SEED, interval, resampled
from nlviz.tracking.precision import LINKS, cells_on
from nlviz.tracking.scores import each_after
from tests.support import make


def heads_analysis(function="embedded_gaussian"):
    """Two blocks of two heads; ``coarse`` has keys of 16 pixels, ``fine`` of 8."""
    whole = make.analysis(function)
    rng = np.random.default_rng(3)

    def block(name):
        old = whole.affinity(name)
        theta = rng.normal(size=(6, old.query_grid.size))
        phi = rng.normal(size=(6, old.key_grid.size))
        return nlviz.Affinity(function, theta, phi, old.query_grid, old.key_grid, heads=2)

    affinities = {name: block(name) for name in ("coarse", "fine")}
    return replace(whole, affinities=affinities)


def masks_of(analysis):
    masks = np.zeros(analysis.clip.frames.shape[:3], bool)
    masks[:, 8:32, 8:40] = True
    masks[1] = False
    return masks


def tracks_of(analysis, points=6):
    rng = np.random.default_rng(5)
    tracks = rng.uniform(0, 256, (points, len(analysis.view.frames), 2))
    visible = rng.random(tracks.shape[:2]) < 0.8
    visible[0] = False
    return nlviz.PointTracks("tracks.csv", tracks, visible)


def each_row(analysis):
    """(block, head) → the affinity of it alone."""
    for block in analysis.blocks:
        whole = analysis.affinity(block)
        yield (block, None), whole
        for head in range(whole.heads):
            yield (block, head), whole.head(head)


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_same_object_precision_is_that_of_each_head_alone(function):
    analysis = heads_analysis(function)
    masks = masks_of(analysis)
    found = nlviz.scan(analysis, masks)
    assert [(e.block, e.head) for e in found.scores] == [name for name, _ in each_row(analysis)]
    for (block, head), affinity in each_row(analysis):
        score = found.at(block, head)
        alone = nlviz.same_object(analysis, affinity, masks)
        assert score.value == pytest.approx(alone.precision)
        assert score.chance == pytest.approx(alone.chance)
        assert score.count == len(cells_on(analysis, affinity, masks))
        assert score.low <= score.value <= score.high


def test_equal_weights_count_in_order_as_they_do_in_same_object():
    whole = make.analysis()
    flat = replace(whole.affinity("fine"), theta=0 * whole.affinity("fine").theta)
    analysis = replace(whole, affinities={"flat": flat})
    masks = masks_of(analysis)
    alone = nlviz.same_object(analysis, flat, masks).precision
    assert nlviz.scan(analysis, masks).at("flat").value == pytest.approx(alone)
    assert flat.key_grid.size > LINKS


def delta_by_hand(analysis, affinity, tracks):
    """TAP-Vid's δ of the heaviest key in each frame, point by point."""
    near, counted = np.zeros(5), 0
    for places, visible in zip(tracks.tracks, tracks.visible, strict=True):
        if not visible.any():
            continue
        first = int(np.flatnonzero(visible)[0])
        for t in np.flatnonzero(visible)[1:]:
            found = found_by_hand(analysis, affinity, places[first], first, t)
            off = np.hypot(*(found - places[t]))
            near += [off < threshold for threshold in (1, 2, 4, 8, 16)]
            counted += 1
    return near / counted


def found_by_hand(analysis, affinity, place, first, t):
    """Where the heaviest key of one frame puts a point of the first, in 256 × 256 pixels."""
    view, grid, keys = analysis.view, affinity.query_grid, affinity.key_grid
    scale = np.array([256 / view.source[0], 256 / view.source[1]])
    cell = view.cell(nlviz.Point(view.frames[first], *(place / scale)), grid)
    own = view.point(cell, grid)
    row = np.where(affinity.reached(cell), affinity.row(cell), -np.inf)[t]
    centre = view.point(nlviz.Cell(int(t), *np.unravel_index(row.argmax(), row.shape)), keys)
    return place + np.array([centre.x - own.x, centre.y - own.y]) * scale


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_delta_is_that_of_the_heaviest_key_in_each_frame(function):
    analysis = heads_analysis(function)
    tracks = tracks_of(analysis, 40)
    found = nlviz.scan(analysis, tracks)
    for (block, head), affinity in each_row(analysis):
        score, delta = found.at(block, head), delta_by_hand(analysis, affinity, tracks)
        assert list(score.parts.values()) == pytest.approx(delta)
        assert score.value == pytest.approx(delta.mean())
        assert 0 < score.chance < score.most <= 1
    assert found.over == "points"
    assert list(score.parts) == ["delta_1", "delta_2", "delta_4", "delta_8", "delta_16"]


def test_delta_in_windows_is_looked_up_a_few_points_at_a_time(monkeypatch):
    analysis = heads_analysis("dot_product")
    fine = analysis.affinity("fine")
    _, _, col = np.indices(fine.query_grid.shape)
    halves = (col >= fine.query_grid.cols // 2).ravel()  # no link from the left to the right
    within = replace(fine, reach=(nlviz.Groups(halves, halves),))
    analysis = replace(analysis, affinities={"within": within})
    begun = tracks_of(analysis, 40)
    places = begun.tracks.copy()
    for own, visible in zip(places, begun.visible, strict=True):
        first = int(visible.argmax())
        for t in range(first + 1, len(visible)):  # the truth is what the block finds
            own[t] = found_by_hand(analysis, within, own[first], first, t)
    tracks = nlviz.PointTracks("found", places, begun.visible)
    monkeypatch.setattr("nlviz.scans.measures._CHUNK_BYTES", 4 * fine.key_grid.size * 7)
    found = nlviz.scan(analysis, tracks)
    assert found.at("within").value == 1
    for head in (None, 0, 1):
        alone = within if head is None else within.head(head)
        wanted = delta_by_hand(analysis, alone, tracks)
        assert list(found.at("within", head).parts.values()) == pytest.approx(wanted)


def test_a_point_that_stands_still_is_found_by_a_row_that_looks_at_its_own_cell():
    whole = make.analysis()
    own = whole.affinity("fine")
    # θ and φ name the cell in the frame, so that the heaviest key of each frame is the same cell.
    names = np.tile(np.eye(own.key_grid.size // own.key_grid.t), own.key_grid.t) * 9
    same = replace(own, theta=names, phi=names)
    analysis = replace(whole, affinities={"same": same})
    tracks = np.repeat(np.array([[[30.0, 40.0]], [[200.0, 99.0]]]), 4, axis=1)
    still = nlviz.PointTracks("still", tracks, np.ones((2, 4), bool))
    score = nlviz.scan(analysis, still).best
    assert score.value == score.most == 1


def test_jf_is_that_of_the_object_carried_by_each_head():
    analysis = heads_analysis()
    masks = masks_of(analysis)
    found = nlviz.scan(analysis, masks, measure="JF")
    for (block, head), affinity in each_row(analysis):
        alone = replace(analysis, affinities={block: affinity})
        frame = analysis.clip.indices[0]
        carried = nlviz.track(alone, block, masks[0], frame=frame)
        j, f = each_after(carried.objects, masks).mean(axis=0)
        score = found.at(block, head)
        assert score.value == pytest.approx((j + f) / 2)
        assert score.parts == pytest.approx({"J": j, "F": f})
    assert found.over == "frames"


def test_cosines_are_scored_as_the_baseline_is():
    net = make.network()
    analysis = nlviz.analyse(make.clip(), net)
    masks = masks_of(analysis)
    steps = []
    found = nlviz.scan(analysis, masks, network=net, progress=lambda share, _: steps.append(share))
    for block in analysis.blocks:
        alone = nlviz.baseline(analysis, net, block, "cosine")
        expected = nlviz.same_object(alone, alone.affinity(alone.blocks[0]), masks)
        assert found.at(block, of="cosine").value == pytest.approx(expected.precision)
    without = nlviz.scan(analysis, masks)
    added = nlviz.with_inputs(without, analysis, masks, net)
    assert [(e.name, e.value) for e in added.scores] == [(e.name, e.value) for e in found.scores]
    assert steps == sorted(steps)
    assert steps[-1] == 1
    assert found.best_cosine.of == "cosine"
    assert found.best.of == "weights"
    assert "Best of the inputs: the cosine of block" in found.words


def test_the_interval_is_a_bootstrap_over_queries():
    rng = np.random.default_rng(7)
    sums, weights = rng.random(30), rng.integers(1, 5, 30).astype(float)
    draws = np.random.default_rng(SEED).multinomial(30, np.full(30, 1 / 30), size=RESAMPLES)
    expected = []
    for drawn in draws:
        picked = np.repeat(np.arange(30), drawn)
        expected.append(sums[picked].sum() / weights[picked].sum())
    found = resampled(sums, weights)
    assert found == pytest.approx(expected)
    low, high = interval(found)
    assert ((found >= low) & (found <= high)).mean() == pytest.approx(0.95, abs=0.002)


def test_the_best_is_the_highest_and_is_told_with_its_interval():
    found = nlviz.scan(heads_analysis(), masks_of(heads_analysis()))
    best = found.best
    assert best.value == max(each.value for each in found.scores)
    assert f"{best.value:.3f} ({best.low:.3f} to {best.high:.3f})" in found.words
    wins = sum(
        all(best.resamples[r] > e.resamples[r] for e in found.scores if e is not best)
        for r in range(RESAMPLES)
    )
    assert found.certainty == pytest.approx(wins / RESAMPLES)
    assert [line["best"] for line in found.records].count(1) == 1


def test_an_object_under_a_click_is_what_the_default_block_carries():
    analysis = heads_analysis()
    place = nlviz.Region.box(0, 8, 8, 40, 32)
    found = nlviz.scan(analysis, place)
    masks = nlviz.carried_object(analysis, place)
    by_hand = nlviz.track(analysis, "fine", nlviz.mask_of(analysis, "fine", place), frame=0)
    assert (masks == by_hand.objects).all()
    assert found.carried_by == analysis.default_block == "fine"
    assert "is measured against itself" in found.words
    values = [each.value for each in found.scores]
    assert values == [each.value for each in nlviz.scan(analysis, masks).scores]


def test_a_clicked_point_stands_for_its_cell_and_those_around_it():
    analysis = heads_analysis()
    found = nlviz.carried_object(analysis, nlviz.Point(0, 20, 20), "fine")
    box = nlviz.Region.box(0, 8, 8, 32, 32)  # cells of 8 pixels
    assert (found == nlviz.carried_object(analysis, box, "fine")).all()
    corner = nlviz.carried_object(analysis, nlviz.Point(0, 63, 0), "fine")
    box = nlviz.Region.box(0, 48, 0, 64, 16)
    assert (corner == nlviz.carried_object(analysis, box, "fine")).all()


def test_where_all_score_alike_none_is_called_the_best_for_sure():
    whole = heads_analysis()
    one = whole.affinity("fine")
    twice = replace(whole, affinities={"first": one, "second": one})
    found = nlviz.scan(twice, masks_of(whole))
    assert found.certainty == 0
    assert "in 0% of the resamples" in found.words


def test_an_object_that_is_lost_at_once_is_refused(monkeypatch):
    analysis = heads_analysis()
    lost = np.zeros((4, 48, 64), bool)
    lost[0, :9] = True
    nothing = type("Lost", (), {"objects": lost})
    monkeypatch.setattr("nlviz.scans.all_blocks.track", lambda *_, **__: nothing)
    with pytest.raises(QueryError, match="loses the object at once"):
        nlviz.scan(analysis, nlviz.Point(0, 20, 20))


def test_it_grows_block_by_block():
    analysis = heads_analysis()
    grown = [each.blocks for each in nlviz.scanning(analysis, masks_of(analysis))]
    assert grown == [("coarse",), ("coarse", "fine")]


def test_a_block_that_cannot_be_measured_is_told_and_hides_no_other():
    analysis = heads_analysis()
    fine = analysis.affinity("fine")
    steps = np.arange(fine.key_grid.size) // (fine.key_grid.size // fine.key_grid.t)
    within = replace(fine, reach=(nlviz.Groups(steps, steps),))
    both = replace(analysis, affinities={**analysis.affinities, "within": within})
    for truth in (masks_of(analysis), tracks_of(analysis)):
        found = nlviz.scan(both, truth)
        assert found.blocks == ("coarse", "fine")
        assert "looks within one frame only" in found.refused["within"]
        assert found.records[-1]["refused"] == found.refused["within"]
    small = np.zeros_like(masks_of(analysis))
    small[:, :8, :8] = True
    small[2:] = False
    assert "fewer than 5 cells" in nlviz.scan(analysis, small).refused["fine"]
    assert nlviz.scan(analysis, small).words == "No block could be measured."


def test_what_does_not_fit_is_refused_in_a_sentence():
    analysis = heads_analysis()
    masks, tracks = masks_of(analysis), tracks_of(analysis)
    with pytest.raises(QueryError, match="one of the clip's size for each frame"):
        nlviz.scan(analysis, masks[:, :10])
    with pytest.raises(QueryError, match="show no object"):
        nlviz.scan(analysis, 0 * masks > 0)
    with pytest.raises(QueryError, match="choose one of same_object, delta, JF"):
        nlviz.scan(analysis, masks, measure="iou")
    with pytest.raises(QueryError, match="'delta' needs point tracks"):
        nlviz.scan(analysis, masks, measure="delta")
    with pytest.raises(QueryError, match="'JF' needs masks"):
        nlviz.scan(analysis, tracks, measure="JF")
    short = nlviz.PointTracks("short.npz", tracks.tracks[:, :3], tracks.visible[:, :3])
    with pytest.raises(MediaError, match=r"short\.npz' have 3 frames, but the clip has 20"):
        nlviz.scan(analysis, short)
    with pytest.raises(QueryError, match="lies outside the 64×48 frame"):
        nlviz.scan(analysis, nlviz.Point(0, 99, 9))
    away = nlviz.PointTracks("away", tracks.tracks + 300, tracks.visible)
    assert "lies outside the 64×48 frame" in nlviz.scan(analysis, away).refused["fine"]


def test_more_points_than_are_asked_are_drawn_by_a_fixed_seed(monkeypatch):
    analysis = heads_analysis()
    tracks = tracks_of(analysis, 30)
    monkeypatch.setattr("nlviz.scans.measures.POINTS", 10)
    kept = np.sort(np.random.default_rng(0).permutation(30)[:10])
    fewer = nlviz.PointTracks("fewer", tracks.tracks[kept], tracks.visible[kept])
    found = nlviz.scan(analysis, tracks).best
    assert (found.value, found.count) == pytest.approx(
        (nlviz.scan(analysis, fewer).best.value, nlviz.scan(analysis, fewer).best.count)
    )
    assert found.count <= 10


def test_the_table_as_csv_has_a_line_for_each_score_and_each_refusal(tmp_path):
    analysis = heads_analysis()
    found = nlviz.scan(analysis, tracks_of(analysis))
    lines = scan_csv(found, Provenance.of(analysis)).decode().splitlines()
    assert lines[0].startswith("# {")
    rows = list(csv.DictReader(lines[1:]))
    assert len(rows) == 6
    for row, score in zip(rows, found.scores, strict=True):
        assert (row["block"], row["head"]) == (
            score.block,
            "" if score.head is None else str(score.head),
        )
        assert float(row["value"]) == score.value
        assert float(row["delta_16"]) == score.parts["delta_16"]
    assert [row["best"] for row in rows].count("1") == 1


def test_the_figure_shows_every_score_and_outlines_the_best():
    found = nlviz.scan(heads_analysis(), masks_of(heads_analysis()))
    drawing = nlviz.scan_figure(found).drawing
    axes = drawing.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["mean", "0", "1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["coarse", "fine"]
    (image,) = axes.images
    table = [[found.at(block, head).value for head in (None, 0, 1)] for block in found.blocks]
    assert np.allclose(image.get_array(), table)
    written = [text.get_text() for text in axes.texts]
    assert written == [f"{value:.2f}" for value in np.ravel(table)]
    (outline,) = axes.patches
    column = 0 if found.best.head is None else 1 + found.best.head
    assert outline.get_xy() == (column - 0.5, found.blocks.index(found.best.block) - 0.5)
    assert found.best.name in axes.get_title(loc="left").replace("\n", " ")
    nothing = replace(found, scores=())
    with pytest.raises(FigureError, match="nothing to draw"):
        nlviz.scan_figure(nothing)


def test_the_sheet_has_the_heat_of_each_block_and_head():
    analysis = heads_analysis()
    query = nlviz.Query(nlviz.Point(0, 20, 20), "fine")
    found = list(nlviz.head_pictures(analysis, query, width=64))
    assert [(e.block, e.head) for e in found] == [name for name, _ in each_row(analysis)]
    for each in found:
        asked = replace(query, block=each.block, head=each.head)
        expected = heat(analysis, asked, [0, 3], 32, scaled_to_drawn=True)
        assert (each.picture == np.concatenate(expected, axis=1)).all()
    page = nlviz.head_sheet(analysis, query).drawing.axes[0]
    assert [label.get_text() for label in page.get_yticklabels()] == ["coarse", "fine"]
    assert "frame 0, (20, 20), on frames 0, 15" in page.get_title(loc="left")
    with pytest.raises(QueryError, match="Frame 7 was not sampled"):
        nlviz.head_sheet(analysis, query, frames=[7])
    with pytest.raises(QueryError, match="lies outside"):
        nlviz.head_sheet(analysis, replace(query, point=nlviz.Point(0, 99, 9)))


def test_a_block_that_cannot_be_asked_there_leaves_its_row_out_of_the_sheet():
    analysis = make.partial()
    query = nlviz.Query(nlviz.Point(0, 20, 20), "kept")
    whole = {**heads_analysis().affinities, "memory": analysis.affinity("memory")}
    both = replace(analysis, affinities=whole, fidelity=dict.fromkeys(whole, 0.0))
    why = {e.block: e.why for e in nlviz.head_pictures(both, query)}
    assert why["memory"]
    assert not why["fine"]
    page = nlviz.head_sheet(both, query).drawing.axes[0]
    assert [label.get_text() for label in page.get_yticklabels()] == ["coarse", "fine"]
    alone = replace(both, affinities={"memory": both.affinity("memory")})
    with pytest.raises(QueryError):
        nlviz.head_sheet(alone, query)


def test_what_no_network_weighs_is_not_among_its_weights():
    whole = make.analysis()
    fine = whole.affinity("fine")
    affinities = {
        "fine": fine,
        "stem (similarity)": replace(fine, function="dot_product"),
        "rollout (derived)": replace(fine, function="derived"),
    }
    analysis = replace(whole, affinities=affinities)
    found = nlviz.scan(analysis, masks_of(analysis))
    scored = [(each.block, each.of) for each in found.scores]
    assert scored == [("fine", "weights"), ("stem (similarity)", "cosine")]
    assert found.best.block == "fine"
    assert "Best of the cosines: the similarity of layer stem, " in found.words
    assert "is derived from several layers" in found.refused["rollout (derived)"]
    alone = replace(analysis, affinities={"stem (similarity)": affinities["stem (similarity)"]})
    words = nlviz.scan(alone, masks_of(analysis)).words
    assert words.startswith("Best of the cosines: the similarity of layer stem, ")


class Enough(Exception):
    """Stop was pressed."""


def test_stop_is_heard_while_an_object_is_carried():
    analysis, told = heads_analysis(), []

    def stopping(fraction, what):
        told.append((fraction, what))
        if len(told) == 5:
            raise Enough

    with pytest.raises(Enough):
        nlviz.scan(analysis, masks_of(analysis), measure="JF", progress=stopping)
    assert {what for _, what in told} == {"block coarse: carrying the object with block coarse"}
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][0] > told[0][0]


def test_the_name_of_a_block_is_no_formula():
    whole = make.analysis()
    name = r"cost $x^{ in $\no"
    analysis = replace(whole, affinities={name: whole.affinity("fine")}, network=name)
    found = nlviz.scan(analysis, masks_of(analysis))
    svg = nlviz.scan_figure(found).svg()
    assert svg.count(name.encode()) >= 2, "at its row and in the title"
    query = nlviz.Query(nlviz.Point(5, 20.0, 20.0), name)
    assert name.encode() in nlviz.head_sheet(analysis, query).svg()


def test_a_scan_is_drawn_while_nobody_else_draws(monkeypatch):
    """Matplotlib's settings are those of all threads."""
    analysis, held = heads_analysis(), []

    class Drawn(Drawing):
        def __init__(self, *given, **more):
            held.append(figure._SETTINGS.locked())
            super().__init__(*given, **more)

    for module in ("figure", "sheet"):
        monkeypatch.setattr(f"nlviz.scans.{module}.Drawing", Drawn)
    before = matplotlib.rcParams["font.size"]
    nlviz.scan_figure(nlviz.scan(analysis, masks_of(analysis)))
    nlviz.head_sheet(analysis, nlviz.Query(nlviz.Point(5, 20.0, 20.0), "fine"))
    assert held == [True, True]
    assert not figure._SETTINGS.locked()
    assert matplotlib.rcParams["font.size"] == before


@pytest.mark.parametrize(
    ("value", "wide", "narrow"),
    [(0.573, "0.57", ".57"), (0.0, "0.00", ".00"), (1.0, "1.00", "1.0")],
)
def test_a_scans_numbers_are_those_of_its_colour_bar(value, wide, narrow):
    assert figure_of_scan._short(value, wide=True) == wide
    assert figure_of_scan._short(value, wide=False) == narrow


def test_one_point_tells_no_interval():
    found = nlviz.scan(heads_analysis(), masks_of(heads_analysis()))
    one = replace(found, over="points", scores=tuple(replace(e, count=1) for e in found.scores))
    assert f"{one.best.value:.3f} over 1 point, which tells no interval." in one.words
    assert " to " not in one.words
    assert "resamples" not in one.words
