"""The picture of a row: heat where weight lies, nothing where no link is allowed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

import nlviz
from nlviz.figures.heat import Heat, Painted
from nlviz.figures.strip import Strip
from nlviz.film import play
from nlviz.heat.colormap import coloured
from nlviz.heat.overlay import HeatLayer, Shade, heat, scale_of
from tests.support import make

QUERY = nlviz.Query(nlviz.Point(5, 20, 20), "fine")


def test_the_own_frame_stays_clear_and_the_heaviest_cell_is_the_warmest():
    analysis = make.analysis()
    (own, other) = heat(analysis, QUERY, (1, 2), 64, Shade(opacity=1))
    frame = analysis.clip.frames[1]
    same = (own == frame).all(axis=2)
    assert same[:8].all()  # all but the mark
    assert not same[18:22, 18:22].any()
    row = nlviz.row_of(analysis, QUERY)
    most = np.where(row.allowed, row.weights, 0)
    t, r, c = np.unravel_index(most.argmax(), most.shape)
    (there,) = heat(analysis, QUERY, (int(t),), 64, Shade(opacity=1))
    assert tuple(there[r * 8 + 4, c * 8 + 4]) == pytest.approx(
        255 * coloured(np.ones(1), False, 1)[0, :3], abs=60
    )
    light = cv2.cvtColor(there, cv2.COLOR_RGB2GRAY)[4::8, 4::8]
    assert np.unravel_index(light.argmax(), light.shape) == (r, c)
    assert other.shape == (48, 64, 3)


def test_signed_weights_are_dark_at_zero_and_symmetrical_in_size():
    signed = coloured(np.linspace(-1, 1, 256), True, 1)
    plain = coloured(np.linspace(0, 1, 256), False, 1)
    light = signed[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert light[127] < 0.16 < min(light[0], light[255])
    assert signed[0, 3] == pytest.approx(signed[255, 3]) == pytest.approx(plain[255, 3]) == 1
    assert (np.diff(plain[:, :3] @ [0.2126, 0.7152, 0.0722])[1:] > 0).all()


def test_a_region_is_outlined_on_its_frame_only():
    analysis = make.analysis()
    region = nlviz.Region.box(5, 8, 8, 40, 32)
    query = nlviz.Query(region, "fine", exclude="none")
    pictures = heat(analysis, query, (0, 1), 128, Shade(opacity=0))
    red = heat(analysis, query, (0, 1), 128, Shade(opacity=0), color="#FF0000")
    assert np.array_equal(pictures[0], red[0])
    changed = np.argwhere((pictures[1] != red[1]).any(axis=2))
    assert changed.min(axis=0) == pytest.approx([16, 16], abs=3)
    assert changed.max(axis=0) == pytest.approx([64, 80], abs=3)


def test_heat_follows_the_scale_and_the_curve_of_the_viewer():
    analysis = make.analysis()
    dark = replace(analysis.clip, frames=np.zeros_like(analysis.clip.frames))
    analysis = replace(analysis, clip=dark)
    query = nlviz.Query(nlviz.Point(5, 20, 20), "fine", exclude="none")
    heats = [
        np.stack(heat(analysis, query, range(4), 64, Shade(1.0, "grey", **more))).mean()
        for more in ({"curve": "root"}, {}, {"against": "block"}, {"against": "absolute"})
    ]
    assert heats == sorted(heats, reverse=True)
    assert len(set(heats)) == 4


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_keys_that_are_not_there_stay_clear_and_a_weight_of_zero_does_not(function):
    analysis = make.partial(function)
    affinity = analysis.affinity("kept")
    nothing = replace(affinity, theta=0 * affinity.theta, function="dot_product")  # all weigh 0
    query = nlviz.Query(nlviz.Point(0, 1, 1), "kept", exclude="none")
    place = next(
        affinity.query_grid.cell(int(i)) for i in np.flatnonzero(affinity.reach[0].query[:-2] == 0)
    )
    query = replace(query, point=analysis.view.point(place, affinity.query_grid))
    there = (affinity.reach[0].key[:-2] == 0).reshape(affinity.key_grid.shape)
    for shown in (affinity, nothing):
        seen = replace(analysis, affinities={"kept": shown})
        row = nlviz.row_of(seen, query)
        layer = HeatLayer.of(
            analysis.view, row, scale_of(seen, query, row, Shade()), Shade(), premultiplied=False
        )
        np.testing.assert_array_equal(layer.tiles[..., 3] > 0, there)
        cells = Painted.of(seen, Heat(query))
        strip = Strip(analysis.clip, 17.4, 4, 0.5, 1)
        page = Figure().add_axes((0, 0, 1, 1))
        for position in range(4):
            cells.frame(page, analysis.view, strip, position)
        for t, image in enumerate(page.images):
            np.testing.assert_array_equal(image.get_array()[4::8, 4::8, 3] > 0, there[t])


def test_a_place_without_a_query_has_no_heat_and_says_where_they_lie():
    query = nlviz.Query(nlviz.Point(0, 20, 20), "memory", exclude="none")
    analysis = make.partial()
    for draw in (
        lambda: heat(analysis, query, (0,), 64),
        lambda: nlviz.film_strip(
            analysis,
            [nlviz.top_links(analysis, replace(query, point=nlviz.Point(15, 20, 20)))],
            heat=Heat(query),
        ),
        lambda: play(analysis, [query]),
    ):
        with pytest.raises(nlviz.QueryError, match="its queries lie on frame 15, within"):
            draw()


def test_frames_drawn_alone_may_have_a_scale_of_their_own():
    analysis = make.analysis()
    row = nlviz.row_of(analysis, QUERY)
    allowed = np.where(row.allowed, row.weights, 0)
    heaviest = int(allowed.max(axis=(1, 2)).argmax())
    (lightest, *_) = (t for t in range(4) if t not in (heaviest, 1))
    shade = Shade(opacity=1)
    for own, most in ((False, allowed.max()), (True, allowed[lightest].max())):
        scale = replace(scale_of(analysis, QUERY, row, shade), most=float(most))
        expected = analysis.clip.frames[lightest].copy()
        layer = HeatLayer.of(analysis.view, row, scale, shade, premultiplied=False)
        layer.paint(expected, lightest, 1, 1)
        (found,) = heat(analysis, QUERY, (lightest,), 64, shade, scaled_to_drawn=own)
        np.testing.assert_array_equal(found, expected)
