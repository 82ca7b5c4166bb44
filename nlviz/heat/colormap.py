"""The viewer's colours of heat (viewer/colour.js), for pictures that are made without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Colours = Literal["dusk", "viridis", "cividis", "grey"]
COLOURS: tuple[Colours, ...] = get_args(Colours)

Numbers = NDArray[np.floating[Any]]

_VEIL = 0.4  # of the opacity where a weight is zero, so that the rest stands out
_STOPS: Mapping[str, str] = {
    "viridis": "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
}


def coloured(
    places: Numbers, signed: bool, opacity: float, colours: Colours = "dusk"
) -> NDArray[np.float32]:
    """(…, 4) red, green, blue and opacity, 0 to 1, of places on a colour map.

    Args:
        places: 0 to 1, or −1 to 1 where signed, as ``HeatScale.places`` gives them.
        signed: blue below zero and orange above, whatever the name.
        opacity: of the heaviest weight; it rises from a dark veil at zero.
        colours: the map of weights from 0 up; each rises evenly in lightness.
    """
    u = np.clip(places, -1 if signed else 0, 1)
    size = np.abs(u)
    if signed:
        rgb = _rgb(0.2 + 0.6 * size, 0.01 + 0.13 * size, np.where(u < 0, 245.0, 62.0))
    elif colours in _STOPS:
        rgb = _between(_STOPS[colours].split(), size)
    elif colours == "grey":
        rgb = _rgb(0.15 + 0.83 * size, 0 * size, 0 * size)
    else:
        rgb = _rgb(0.2 + 0.76 * size, 0.08 + 0.13 * np.sin(np.pi * size**0.8), 290 + 170 * size)
    alpha = opacity * (_VEIL + (1 - _VEIL) * size**0.7)
    return np.concatenate([rgb, alpha[..., None]], axis=-1).astype(np.float32)


def _between(stops: list[str], u: Numbers) -> Numbers:
    """Straight lines between colours at even distances."""
    known = np.array([[int(stop[at : at + 2], 16) / 255 for at in (0, 2, 4)] for stop in stops])
    along = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(u, along, channel) for channel in known.T], axis=-1)


def _rgb(lightness: Numbers, chroma: Numbers, hue: Numbers) -> Numbers:
    """OKLCH, hue in degrees, to sRGB from 0 to 1, after Ottosson (2020)."""
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    lms = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.291485548 * b,
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip(np.tensordot(to_linear, lms**3, axes=1), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    moved: Numbers = np.moveaxis(curved, 0, -1)
    return moved
