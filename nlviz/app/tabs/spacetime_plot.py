"""The clip as a solid: frames as planes along time, links as lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import plotly.graph_objects as go

from nlviz.analysis import Analysis
from nlviz.ask.links import best_path
from nlviz.geometry import Point
from nlviz.query import Link, Query

_ACROSS = 128  # vertices of a plane
_WIDTHS = (1.5, 3.0, 5.0, 8.0)  # of lines, by weight beside the heaviest
_FLAT = {"ambient": 1, "diffuse": 0, "specular": 0, "fresnel": 0}
_LOWER = ((0.0, "rgb(20,24,30)"), (1.0, "rgb(245,247,250)"))


@dataclass(frozen=True, slots=True, eq=False)
class PinnedQuery:
    """A query to draw: its name, its colour, its links, heaviest first."""

    name: str
    color: str
    query: Query
    links: tuple[Link, ...]


def spacetime(analysis: Analysis, queries: Sequence[PinnedQuery]) -> go.Figure:
    """The frames in grey, each query's links in its colour, and its best place on each frame."""
    figure = go.Figure([_plane(analysis, position) for position in _shown(analysis)])
    heaviest = max((abs(link.drawn) for one in queries for link in one.links), default=1.0) or 1.0
    for one in queries:
        for width in _WIDTHS:
            _lines(figure, analysis, one, heaviest, width)
        _ends(figure, analysis, one)
        _path(
            figure, analysis, one, named=len(queries) < 3
        )  # a legend of many names hides the clip
    width, height = analysis.view.source
    count = len(analysis.view.frames)
    shown = _shown(analysis)
    hidden = {"visible": False, "showspikes": False}
    figure.update_layout(
        height=560,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "y": 1.0, "itemsizing": "constant"},
        scene={
            "xaxis": {**hidden, "range": [0, width]},
            "yaxis": {**hidden, "range": [0, height]},
            "zaxis": {
                "title": "frame",
                "tickvals": shown,
                "ticktext": [str(analysis.view.frames[i]) for i in shown],
                "showbackground": False,
                "showgrid": False,
                "showspikes": False,
                "range": [-0.3, count - 0.7],
            },
            "aspectmode": "manual",
            "aspectratio": {"x": 1.0, "y": height / width, "z": min(2.4, 0.5 + 0.2 * count)},
            # Images have their y downwards; time runs away from the eye.
            "camera": {
                "up": {"x": 0, "y": -1, "z": 0},
                "eye": {"x": -1.95, "y": -0.95, "z": -1.95},
                "projection": {"type": "perspective"},
            },
            "dragmode": "orbit",
        },
        uirevision="kept",  # a new pin does not turn the picture back
    )
    return figure


def _shown(analysis: Analysis) -> list[int]:
    """Positions of at most sixteen frames: more planes hide each other."""
    count = len(analysis.view.frames)
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, 16))})


def _plane(analysis: Analysis, position: int) -> go.Surface:
    width, height = analysis.view.source
    size = _ACROSS, max(2, round(_ACROSS * height / width))
    frame = cv2.resize(analysis.clip.frames[position], size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8)
    return go.Surface(
        x=np.linspace(0, width, size[0], dtype=np.float32),
        y=np.linspace(0, height, size[1], dtype=np.float32),
        z=np.full(grey.shape, position, np.uint8),
        surfacecolor=grey,
        cmin=0,
        cmax=255,
        colorscale=_LOWER,
        showscale=False,
        opacity=0.85,
        lighting=_FLAT,
        hoverinfo="skip",
        contours={axis: {"highlight": False} for axis in "xyz"},
    )


def _at(analysis: Analysis, point: Point) -> tuple[float, float, float]:
    return point.x, point.y, float(analysis.view.frames.index(point.frame))


def _lines(
    figure: go.Figure, analysis: Analysis, one: PinnedQuery, heaviest: float, width: float
) -> None:
    """The links of one width as one trace: hundreds of traces would turn slowly."""
    places: list[tuple[float | None, ...]] = []
    for link in one.links:
        if link.source is not None and _width(link, heaviest) == width:
            places += [_at(analysis, link.source), _at(analysis, link.target), (None,) * 3]
    if places:
        x, y, z = zip(*places, strict=True)
        figure.add_scatter3d(
            **{"x": x, "y": y, "z": z, "mode": "lines", "legendgroup": one.name},
            **{"showlegend": False, "hoverinfo": "skip", "opacity": 0.9},
            line={"color": one.color, "width": width},
        )


def _width(link: Link, heaviest: float) -> float:
    step = int(abs(link.drawn) / heaviest * len(_WIDTHS))
    return _WIDTHS[min(step, len(_WIDTHS) - 1)]


def _ends(figure: go.Figure, analysis: Analysis, one: PinnedQuery) -> None:
    """Where the links end, to be hovered, and where they begin."""
    ends = [_at(analysis, link.target) for link in one.links]
    if not ends:
        return
    x, y, z = zip(*ends, strict=True)
    words = [f"{link.rank}: {link.weight:.3g}, {link.share:.1%} of the row" for link in one.links]
    _dots(figure, one, (x, y, z), {"size": 4}, words, showlegend=True)
    source = one.links[0].source
    if source is not None:
        mark = {"size": 8, "symbol": "diamond", "line": {"color": "#14181E", "width": 2}}
        at = tuple((value,) for value in _at(analysis, source))
        _dots(figure, one, at, mark, [one.name], showlegend=False)


def _dots(
    figure: go.Figure,
    one: PinnedQuery,
    places: tuple[Any, ...],
    mark: dict[str, Any],
    words: list[str],
    *,
    showlegend: bool,
) -> None:
    figure.add_scatter3d(
        **dict(zip("xyz", places, strict=True)),
        mode="markers",
        name=one.name,
        legendgroup=one.name,
        showlegend=showlegend,
        marker={"color": one.color, **mark},
        text=words,
        hovertemplate="%{text}<extra>" + one.name + "</extra>",
    )


def _path(figure: go.Figure, analysis: Analysis, one: PinnedQuery, *, named: bool) -> None:
    best = best_path(analysis, one.query)
    if len(best) < 2:
        return
    x, y, z = zip(*(_at(analysis, link.target) for link in best), strict=True)
    figure.add_scatter3d(
        **{"x": x, "y": y, "z": z, "mode": "lines", "name": f"{one.name}: best of each frame"},
        line={"color": one.color, "width": 4, "dash": "dash"},
        legendgroup=one.name,
        showlegend=named,
        hoverinfo="skip",
    )
