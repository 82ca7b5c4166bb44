"""Heat: a row of weights over the frames, in the colours of the viewer."""

from __future__ import annotations

import cv2
import numpy as np

from nlviz.ask.rows import Row
from nlviz.film.sheet import Picture, Sheet
from nlviz.geometry import View
from nlviz.heat.colormap import coloured
from nlviz.heat.overlay import Shade
from nlviz.heat.scale import HeatScale


def paint(
    picture: Picture, sheet: Sheet, view: View, row: Row, scale: HeatScale, shade: Shade
) -> None:
    """Lay a row's heat over the frames it falls on; what the query leaves out stays clear."""
    if scale.most <= 0 or shade.opacity <= 0:
        return
    places = scale.places(row.ranked)
    tiles = coloured(places, scale.signed, shade.opacity, shade.colours).astype(np.float32)
    tiles[~row.allowed, 3] = 0
    tiles[..., :3] *= tiles[..., 3:]
    _, dy, dx = view.steps(row.grid)
    x0, y0 = view.origin(row.grid)
    size = sheet.scale
    # From columns and rows of cells to pixels of the frame, both counted at their centres.
    place = np.array([[dx * size, 0, x0 * size - 0.5], [0, dy * size, y0 * size - 0.5]])
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
