"""Heat drawn along the frame's edges: off by default, told where it is on, and only then drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.film import play
from nlviz.heat.guided import SHARPENED
from nlviz.heat.overlay import Shade, heat
from tests.support import make

QUERY = nlviz.Query(nlviz.Point(0, 20.0, 20.0), "fine", k=3)


@pytest.fixture(scope="module")
def analysis():
    """Weights that rise to the right, over frames with one upright edge in the middle of a cell."""
    made = make.analysis()
    frames = np.full((4, 48, 64, 3), 40, np.uint8)
    frames[:, :, 35:] = (90, 130, 230)
    grid = made.affinity("fine").query_grid
    across = np.indices(grid.shape)[2].ravel() > 3
    theta, phi = np.ones((1, grid.size), np.float32), np.where(across, 2.0, 0.0)[None]
    rising = nlviz.Affinity("gaussian", theta, phi.astype(np.float32), grid, grid)
    clip = replace(made.clip, frames=frames)
    return replace(made, clip=clip, affinities={"fine": rising}, fidelity={"fine": None})


def test_sharpened_heat_jumps_where_the_picture_does(analysis):
    def jump(shade):
        (drawn,) = heat(analysis, QUERY, [2], 64, shade)
        frame = analysis.clip.frames[2].astype(float)
        added = np.abs(drawn - frame).sum(-1)[8:40].mean(0)
        return abs(added[36:38].mean() - added[33:35].mean())

    plain, sharpened = Shade(1.0), Shade(1.0, sharpened=True)
    assert not plain.sharpened
    assert jump(sharpened) > 1.5 * jump(plain)


def test_captions_and_legends_say_that_heat_is_sharpened(analysis, monkeypatch):
    said = []
    monkeypatch.setattr("nlviz.film.query_heat.caption", lambda p, s, text: said.append(text))
    play(analysis, [QUERY], width=160).draw(1)
    play(analysis, [QUERY], width=160, shade=Shade(sharpened=True)).draw(1)
    assert SHARPENED not in said[0]
    assert said[1].endswith(f"heat {SHARPENED}")
    links = [nlviz.top_links(analysis, QUERY)]

    def words(**options):
        drawn = nlviz.film_strip(analysis, links, heat=nlviz.Heat(QUERY, **options))
        return " ".join(text.get_text() for axes in drawn.drawing.axes for text in axes.texts)

    assert SHARPENED not in words()
    assert SHARPENED in words(sharpened=True)


def test_what_a_query_leaves_out_stays_clear(analysis):
    drawn = heat(analysis, QUERY, [0, 2], 64, Shade(1.0, sharpened=True))
    own, other = analysis.clip.frames[0], analysis.clip.frames[2]
    np.testing.assert_array_equal(drawn[0][40:], own[40:])  # its own frame, but for the dot
    assert np.abs(drawn[1].astype(int) - other).max() > 50
