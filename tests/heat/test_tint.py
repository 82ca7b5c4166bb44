"""Objects tinted: each in its colour, outlined, and the picture as it was elsewhere."""

from __future__ import annotations

import numpy as np

from nlviz.heat.tint import tinted


def test_each_object_is_half_in_its_colour_with_a_white_outline():
    picture = np.full((40, 60, 3), 100, np.uint8)
    numbers = np.zeros((20, 30), np.uint16)  # half the picture's size
    numbers[5:15, 2:12], numbers[5:15, 18:28] = 1, 2
    drawn = tinted(picture, numbers, ["#FF0000"])
    assert (picture == 100).all()
    assert drawn[20, 14].tolist() == [185, 45, 45]  # 0.45 · 100 + 0.55 · 255 and 0
    assert drawn[20, 46].tolist() == [185, 45, 45]  # the colours begin again
    assert drawn[2, 2].tolist() == [100, 100, 100]
    assert drawn[20, 4].min() > 200
    assert tinted(picture, numbers * 0, ["#FF0000"]).tolist() == picture.tolist()
