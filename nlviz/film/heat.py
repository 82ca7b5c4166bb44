"""Heat: a row of weights over the frames, in the colours of the viewer (viewer/colour.js)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.film.sheet import Picture, Sheet
from nlviz.geometry import View
from nlviz.rows import Row

Array = NDArray[np.floating[Any]]

_VEIL = 0.4  # of the opacity where a weight is zero, so that the rest stands out


def paint(
    picture: Picture, sheet: Sheet, view: View, row: Row, signed: bool, opacity: float
) -> None:
    """Lay a row's heat over the frames it falls on; what the query leaves out stays clear."""
    allowed = row.weights[row.allowed]
    most = float(np.abs(allowed).max()) if allowed.size else 0.0
    if most <= 0 or opacity <= 0:
        return
    tiles = coloured(row.weights / most, signed, opacity)
    tiles[~row.allowed, 3] = 0
    tiles[..., :3] *= tiles[..., 3:]
    _, dy, dx = view.steps(row.grid)
    x0, y0 = view.origin(row.grid)
    scale = sheet.scale
    # From columns and rows of cells to pixels of the frame, both counted at their centres.
    place = np.array([[dx * scale, 0, x0 * scale - 0.5], [0, dy * scale, y0 * scale - 0.5]])
    width, height = sheet.frame
    for t in range(row.grid.t):
        shown = [at for at in view.positions(t, row.grid) if at in sheet.positions]
        if not shown or not tiles[t, ..., 3].any():
            continue
        layer = cv2.warpAffine(tiles[t], place, (width, height), borderMode=cv2.BORDER_REPLICATE)
        for position in shown:
            x, y = sheet.corner(position)
            under = picture[y : y + height, x : x + width]
            mixed = under * (1 - layer[..., 3:]) + 255 * layer[..., :3]
            under[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def coloured(levels: Array, signed: bool, opacity: float) -> Array:
    """(…, 4) RGB and opacity, 0 to 1, of weights from 0 to 1, or from −1 to 1 where signed."""
    u = np.clip(levels, -1 if signed else 0, 1)
    size = np.abs(u)
    if signed:
        colour = _rgb(0.2 + 0.6 * size, 0.01 + 0.13 * size, np.where(u < 0, 245.0, 62.0))
    else:
        chroma = 0.08 + 0.13 * np.sin(np.pi * size**0.8)
        colour = _rgb(0.2 + 0.76 * size, chroma, 290 + 170 * size)
    alpha = opacity * (_VEIL + (1 - _VEIL) * size**0.7)
    return np.concatenate([colour, alpha[..., None]], axis=-1).astype(np.float32)


def _rgb(lightness: Array, chroma: Array, hue: Array) -> Array:
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
    moved: Array = np.moveaxis(curved, 0, -1)
    return moved
