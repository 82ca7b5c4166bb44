"""Colours: the palette of queries, and the maps of heat on a screen and in print.

The viewer's twin, held by a test, is viewer/js/draw/colour.js.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

# Okabe and Ito's, which colour-blind people can tell apart, and white.
PALETTE = (
    *("#E69F00", "#56B4E9", "#009E73", "#F0E442"),
    *("#0072B2", "#D55E00", "#CC79A7", "#FFFFFF"),
)

Colours = Literal["dusk", "viridis", "cividis", "grey"]
COLOUR_MAPS: tuple[Colours, ...] = get_args(Colours)

Numbers = NDArray[np.floating[Any]]

_STOPS: Mapping[str, str] = {
    "viridis": "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
}
_SIGNED = "managua_r"  # Matplotlib's: blue below zero, orange above, dark at zero


@dataclass(frozen=True, slots=True)
class Medium:
    """Where heat is looked at: what differs between a screen and a page.

    Args:
        rgb: (…, 3), 0 to 1, of places on a map, whether it is signed, and its name.
        veil: the part of the opacity that a weight of zero gets, so that the rest stands out.
    """

    rgb: Callable[[Numbers, bool, Colours], Numbers]
    veil: float


def _on_a_screen(u: Numbers, signed: bool, colours: Colours) -> Numbers:
    """As the viewer draws them, in its single precision."""
    return _even(np.abs(u), u < 0, signed, colours).astype(np.float32)


def _even(size: Numbers, below: NDArray[np.bool_], signed: bool, colours: Colours) -> Numbers:
    """Maps that rise evenly in lightness, by the size of a place and whether it is below zero."""
    if signed:
        return _rgb(0.2 + 0.6 * size, 0.01 + 0.13 * size, np.where(below, 245.0, 62.0))
    if colours in _STOPS:
        return _between(_STOPS[colours].split(), size)
    if colours == "grey":
        return _rgb(0.15 + 0.83 * size, 0 * size, 0 * size)
    return _rgb(0.2 + 0.76 * size, 0.08 + 0.13 * np.sin(np.pi * size**0.8), 290 + 170 * size)


def _in_print(u: Numbers, signed: bool, colours: Colours) -> Numbers:
    """Matplotlib's own maps, which readers of papers know; dusk, which it lacks, as on a screen."""
    import matplotlib  # only figures need it

    if not signed and colours == "dusk":
        return _on_a_screen(u, signed, colours)
    name = _SIGNED if signed else "gray" if colours == "grey" else colours
    found: Numbers = matplotlib.colormaps[name]((u + 1) / 2 if signed else u)[..., :3]
    return found


SCREEN = Medium(_on_a_screen, veil=0.4)
PRINT = Medium(_in_print, veil=0.35)


def coloured(
    places: Numbers,
    signed: bool,
    opacity: float,
    colours: Colours = "dusk",
    medium: Medium = SCREEN,
) -> NDArray[np.float64]:
    """(…, 4) red, green, blue and opacity, 0 to 1, of places on a colour map.

    Args:
        places: 0 to 1, or −1 to 1 where signed, as ``HeatScale.places`` gives them.
        signed: blue below zero and orange above, whatever the name.
        opacity: of the heaviest weight; it rises from a dark veil at zero.
        colours: the map of weights from 0 up; each rises evenly in lightness.
        medium: where it is looked at.
    """
    u = np.clip(places, -1 if signed else 0, 1)
    alpha = opacity * (medium.veil + (1 - medium.veil) * np.abs(u) ** 0.7)
    return np.concatenate([medium.rgb(u, signed, colours), alpha[..., None]], axis=-1)


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
