"""Every painter draws the same time step on a frame, however many cover it."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import nlviz
from nlviz import Query, row_of
from nlviz.figures.heat import Heat, Painted
from nlviz.figures.strip import Strip
from nlviz.film.query_heat import QueryHeat
from nlviz.film.sheet import Sheet
from nlviz.heat.colormap import PRINT, coloured
from nlviz.heat.overlay import Shade, heat, scale_of
from tests.support.time_steps import CASES, analysis

matplotlib.use("Agg")
SHADE = Shade(opacity=1.0, colours="grey")


def asked(seen: nlviz.Analysis) -> Query:
    return Query(nlviz.Point(seen.view.frames[0], 1.0, 1.0), "rising", exclude="none")


def colours(seen: nlviz.Analysis, medium=None) -> np.ndarray:
    """(T', 3) of 255: what each time step's cells look like over black."""
    row = row_of(seen, asked(seen))
    scale = scale_of(seen, asked(seen), row, SHADE)
    given = {} if medium is None else {"medium": medium}
    rgba = coloured(scale.places(row.ranked[:, 0, 0]), scale.signed, 1.0, "grey", **given)
    return 255 * rgba[:, :3] * rgba[:, 3:]


def steps(middles: list[np.ndarray], own: np.ndarray) -> list[int | None]:
    """Which step each frame's middle shows; None where it is black."""
    found = []
    for middle in middles:
        off = np.abs(own - middle).max(axis=1)
        assert not middle.any() or off.min() < 3, "a mixture of several steps"
        found.append(int(off.argmin()) if middle.any() else None)
    return found


@pytest.mark.parametrize(("frames", "keys", "truth"), CASES.values(), ids=CASES)
def test_heat_over_frames_shows_the_step_that_stands_for_each(frames, keys, truth):
    seen = analysis(frames, keys)
    pictures = heat(seen, asked(seen), range(frames), 64, SHADE)
    assert steps([picture[36, 48].astype(float) for picture in pictures], colours(seen)) == truth


@pytest.mark.parametrize(("frames", "keys", "truth"), CASES.values(), ids=CASES)
def test_a_film_shows_the_step_that_stands_for_each(frames, keys, truth):
    seen, middles = analysis(frames, keys), []
    for position in range(frames):
        sheet = Sheet.of(seen.clip, (position,), 320)
        picture = np.zeros((sheet.height, sheet.width, 3), np.uint8)
        QueryHeat.of(seen, asked(seen), SHADE).lay(picture, sheet, asked(seen))
        x, y = sheet.corner(position)
        width, height = sheet.frame
        middles.append(picture[y + height * 3 // 4, x + width * 3 // 4].astype(float))
    assert steps(middles, colours(seen)) == truth


@pytest.mark.parametrize(("frames", "keys", "truth"), CASES.values(), ids=CASES)
def test_a_figure_shows_the_step_that_stands_for_each(frames, keys, truth):
    seen, middles = analysis(frames, keys), []
    painted = Painted.of(seen, Heat(asked(seen), colours="grey", opacity=1.0))
    for position in range(frames):
        page = Figure().add_subplot()
        painted.frame(page, seen.view, Strip(seen.clip, 17.4, frames, 0, 0), position)
        drawn = [np.asarray(image.get_array())[-1, -1] for image in page.images]
        middles.append(255 * drawn[0][:3] * drawn[0][3] if drawn else np.zeros(3))
    assert steps(middles, colours(seen, PRINT)) == truth


@pytest.mark.parametrize(("frames", "keys", "truth"), CASES.values(), ids=CASES)
def test_a_point_asks_the_step_that_is_drawn_on_its_frame(frames, keys, truth):
    view = analysis(frames, keys).view
    for frame, step in zip(view.frames, truth, strict=True):
        if step is not None:
            assert view.cell(nlviz.Point(frame, 1, 1), keys).t == step
