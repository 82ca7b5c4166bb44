"""The scale of the heat, its picture and colour bar, and the path of the best links."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz import affinity as affinities
from nlviz.heat import scale as scaling
from tests.support import make

QUERY = nlviz.Query(nlviz.Point(5, 30.0, 20.0), "coarse")


def scale(analysis, query=QUERY, **options):
    return nlviz.heat_scale(analysis, query, nlviz.row_of(analysis, query), **options)


def test_a_scale_ends_at_the_rows_the_blocks_or_one(monkeypatch):
    monkeypatch.setattr(affinities, "_CHUNK_BYTES", 4 * 48 * 50)
    analysis = make.analysis()
    matrix = analysis.affinity("coarse").matrix()
    row = nlviz.row_of(analysis, QUERY).weights
    assert scale(analysis).most == row.max()
    assert scale(analysis, against="block").most == pytest.approx(matrix.max())
    assert scale(analysis, against="absolute").most == 1
    assert scaling.extremes(analysis.affinity("coarse")) == pytest.approx(
        (matrix.min(), matrix.max())
    )


def test_who_waits_for_the_extremes_hears_of_each_chunk_and_can_end_it(monkeypatch):
    affinity = make.analysis().affinity("coarse")
    count = affinity.query_grid.size
    monkeypatch.setattr(affinities, "_CHUNK_BYTES", 4 * affinity.key_grid.size * (count // 4))
    told = []
    scaling.extremes(affinity, lambda fraction, what: told.append((fraction, what)))
    assert told == [(i / 4, scaling.ALL_WEIGHTS) for i in range(5)]
    told.clear()
    again = scaling.extremes(affinity, lambda fraction, what: told.append((fraction, what)))
    assert again == (affinity.matrix().min(), affinity.matrix().max())
    assert not told, "they are known by then"
    affinity = make.analysis().affinity("coarse")

    def stop(fraction, what):
        told.append(fraction)
        if fraction > 0.3:
            raise KeyboardInterrupt

    told.clear()
    with pytest.raises(KeyboardInterrupt):
        scaling.extremes(affinity, stop)
    assert told == [0, 0.25, 0.5]


def test_curves_are_their_formulas():
    analysis = make.analysis()
    weights = nlviz.row_of(analysis, QUERY).weights
    share = weights / weights.max()
    np.testing.assert_allclose(scale(analysis).places(weights), share, rtol=1e-6)
    np.testing.assert_allclose(scale(analysis, curve="root").places(weights), share**0.5, rtol=1e-6)
    log = np.clip(1 + np.log10(share) / 4, 0, 1)
    np.testing.assert_allclose(scale(analysis, curve="log").places(weights), log, atol=1e-6)
    most = weights.max()
    assert scale(analysis, curve="root").ticks == pytest.approx((0, most / 4, most))
    assert scale(analysis, curve="log").ticks == pytest.approx((most / 1e4, most / 100, most))
    for curve in ("linear", "root", "log"):  # a tick stands where its weight's colour is
        made = scale(analysis, curve=curve)
        assert list(made.places(np.array(made.ticks))) == pytest.approx([0, 0.5, 1])


def test_signed_weights_diverge_around_zero():
    analysis = make.analysis("dot_product")
    weights = nlviz.row_of(analysis, QUERY).weights
    for curve in ("linear", "root", "log"):
        made = scale(analysis, curve=curve)
        places = made.places(weights)
        assert (np.sign(places) * np.sign(weights) >= 0).all()
        assert np.abs(places).max() == 1
        assert made.ticks == (-made.most, 0, made.most)
    assert made.most == np.abs(weights).max()


def test_what_cannot_be_scaled_is_told():
    analysis = make.analysis()
    with pytest.raises(nlviz.QueryError, match="scaled against row, block, absolute, along linear"):
        scale(analysis, curve="cube")
    measured = replace(analysis, sizes={"coarse": np.ones(48, np.float32)})
    ranked = replace(QUERY, rank_by="contribution")
    with pytest.raises(nlviz.QueryError, match="scaled by their own row; choose 'row'"):
        scale(measured, ranked, against="block")
    with pytest.raises(
        nlviz.FigureError, match="dusk, viridis, cividis, grey at an opacity above 0"
    ):
        nlviz.Heat(QUERY, colours="jet")


def drawn(analysis, **options):
    links = [nlviz.top_links(analysis, QUERY)]
    return nlviz.film_strip(analysis, links, heat=nlviz.Heat(QUERY, **options)).drawing.axes[0]


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_heat_lies_over_every_frame_cell_by_cell_with_a_labelled_bar(function):
    analysis = make.analysis(function)
    page = drawn(analysis, curve="root", colours="cividis")
    images = {image.get_gid(): image for image in page.images}
    weights = nlviz.row_of(analysis, QUERY).weights
    for t, frame in enumerate(analysis.clip.indices):
        over, under = images[f"heat-{frame}"], images[f"frame-{frame}"]
        assert over.get_extent() == pytest.approx(under.get_extent())  # the cells tile the frame
        cells = np.asarray(over.get_array())[4::8, 4::8]
        assert cells.shape == (3, 4, 4)
        order = np.argsort(np.abs(weights[t]).ravel())
        assert (np.diff(cells[..., 3].ravel()[order]) >= 0).all()
    assert np.asarray(images["heat-bar"].get_array()).shape == (1, 256, 4)
    words = [text.get_text() for text in page.texts]
    assert "heat: affinity f/C" in words
    assert "scaled to this row, square root" in words
    assert f"{np.abs(weights).max():.2g}" in words


def test_what_a_query_leaves_out_is_clear_in_the_figure_and_does_not_set_its_scale():
    analysis = make.analysis()
    images = {image.get_gid(): image for image in drawn(analysis).images}
    row = nlviz.row_of(analysis, QUERY)
    for t, frame in enumerate(analysis.clip.indices):
        cells = np.asarray(images[f"heat-{frame}"].get_array())[4::8, 4::8]
        assert ((cells[..., 3] > 0) == row.allowed[t]).all()
    words = [text.get_text() for text in drawn(analysis).texts]
    assert f"{np.abs(row.weights[row.allowed]).max():.2g}" in words
    assert not row.allowed.all()


def test_words_that_would_run_over_the_edge_get_lines_of_their_own():
    analysis = make.analysis()
    region = nlviz.Query(nlviz.Region.box(15, 13, 13, 44, 44), "coarse")
    answers = [nlviz.top_links(analysis, query) for query in (region, QUERY)]
    for width in (8.4, 17.4):
        figure = nlviz.film_strip(
            analysis, answers, width_cm=width, heat=nlviz.Heat(QUERY, curve="log")
        )
        figure.png(dpi=100)  # the drawing's own, so that words and page are measured alike
        page = figure.drawing.axes[0]
        boxes = [text.get_window_extent() for text in page.texts]
        assert max(box.x1 for box in boxes) <= page.bbox.x1 + 1
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_grid_larger_than_the_frame_is_cut_off_at_its_edge():
    analysis = make.analysis()
    affinity = analysis.affinity("coarse")
    keys = replace(affinity.key_grid, stride=(1.0, 20.0, 20.0), first=(0.5, 10.0, 10.0))
    analysis = replace(analysis, affinities={"coarse": replace(affinity, key_grid=keys)})
    page = drawn(analysis)
    images = {image.get_gid(): image for image in page.images}
    over, under = images["heat-5"].get_extent(), images["frame-5"].get_extent()
    assert over[1] - over[0] == pytest.approx((under[1] - under[0]) * 80 / 64)
    kept = page.transData.inverted().transform_bbox(images["heat-5"].get_clip_box())
    assert (kept.x0, kept.x1, kept.y0, kept.y1) == pytest.approx(under)


@pytest.mark.parametrize("exclude", ["frame", "none"])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_path_is_the_best_link_into_each_frame_in_order_of_time(exclude, reverse):
    analysis = make.analysis(special=True)
    query = nlviz.Query(nlviz.Point(5, 30, 20), "special", exclude=exclude, reverse=reverse)
    path, row = nlviz.best_path(analysis, query), nlviz.row_of(analysis, query)
    frames = [0, 10, 15] if exclude == "frame" else [0, 5, 10, 15]
    assert [link.target.frame for link in path] == frames
    for link in path:
        t = analysis.clip.indices.index(link.target.frame)
        assert link.weight == row.weights[t][row.reached[t]].max()
        assert link.share == pytest.approx(link.weight / row.total)
    by_rank = sorted(path, key=lambda link: link.rank)
    assert [link.rank for link in by_rank] == list(range(1, len(path) + 1))
    assert [link.weight for link in by_rank] == sorted((x.weight for x in path), reverse=True)
    with pytest.raises(nlviz.QueryError, match="leaves no place to link to"):
        nlviz.best_path(make.analysis(frames=1), nlviz.Query(nlviz.Point(0, 1, 1), "fine"))
