"""Colours: one home for them, and a twin in the viewer that says the same."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.heat.colormap import _STOPS, COLOUR_MAPS, PALETTE, PRINT, SCREEN, coloured

TWIN = Path(nlviz.__file__).parent / "viewer" / "js" / "draw" / "colour.js"


def test_the_viewers_twin_has_the_same_palette_and_maps():
    script = TWIN.read_text(encoding="utf-8")
    palette = re.search(r"PIN_COLOURS = \[(.*?)\]", script, re.DOTALL)
    assert re.findall(r"#[0-9A-F]{6}", palette[1]) == list(PALETTE)
    for name, stops in _STOPS.items():
        listed = re.search(rf"{name}: between\(\[(.*?)\]", script, re.DOTALL)
        assert re.findall(r"[0-9a-f]{6}", listed[1]) == stops.split()
    named = re.search(r"COLOUR_MAPS = \{(.*?)\}", script, re.DOTALL)
    assert re.findall(r"(\w+):", named[1]) == list(COLOUR_MAPS)
    assert f"VEIL = {SCREEN.veil};" in script


@pytest.mark.parametrize("medium", [SCREEN, PRINT])
@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_opacity_rises_from_the_mediums_veil_and_lightness_with_it(medium, name):
    seen = coloured(np.linspace(0, 1, 64), False, 0.5, name, medium)
    assert seen[0, 3] == pytest.approx(0.5 * medium.veil)
    assert seen[-1, 3] == pytest.approx(0.5)
    assert (np.diff(seen[:, :3] @ [0.2126, 0.7152, 0.0722])[1:] > 0).all()
