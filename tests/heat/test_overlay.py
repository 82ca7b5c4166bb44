"""The picture of a row: heat where weight lies, nothing where no link is allowed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

import nlviz
from nlviz.heat.colormap import coloured
from nlviz.heat.overlay import Shade, heat
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
