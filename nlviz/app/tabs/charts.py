"""The charts: how queries' weight is spread, and how a score falls as keys are masked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from nlviz.statistics import BlockStatistics, Profile

if TYPE_CHECKING:
    from nlviz.experiments.masking import Faithfulness

GREY = "#8A93A0"
_SIZE = {"l": 8, "r": 8, "t": 8, "b": 8}


@dataclass(frozen=True, slots=True, eq=False)
class ProfileLine:
    """A profile to draw: its name and its colour."""

    name: str
    color: str
    profile: Profile


def by_frame(lines: Sequence[ProfileLine]) -> go.Figure:
    """One line a pin; the diamond is the pin's own frame."""
    figure = go.Figure()
    for line in lines:
        frames = list(line.profile.frames)
        own = [frame == _own_frame(line.profile) for frame in frames]
        shape = {
            "size": [13 if mine else 8 for mine in own],
            "symbol": ["diamond" if mine else "circle" for mine in own],
            "line": {"color": "#4A5463", "width": 1},
        }
        _line(figure, line, frames, line.profile.by_frame, "frame %{x}", shape)
    frames = sorted({frame for line in lines for frame in line.profile.frames})
    few = frames if len(frames) <= 16 else frames[:: -(-len(frames) // 16)]
    return _laid_out(figure, "source frame", {"tickvals": few})


def by_distance(lines: Sequence[ProfileLine], average: BlockStatistics | None = None) -> go.Figure:
    """Share by distance in space, whatever the frame; dashed the mean over all queries."""
    figure = go.Figure()
    for line in lines:
        share = line.profile.by_distance
        if share is not None:
            edges = line.profile.edges
            middles = (edges[:-1] + edges[1:]) / 2
            _line(figure, line, middles, share, "%{x:.0%} of the diagonal away")
    if average is not None:
        figure.add_scatter(
            x=(average.edges[:-1] + average.edges[1:]) / 2,
            y=average.by_distance,
            name="all queries",
            mode="lines",
            line={"color": GREY, "width": 2, "dash": "dash"},
            hovertemplate="%{x:.0%} of the diagonal away: %{y:.1%}<extra>all queries</extra>",
        )
    return _laid_out(figure, "distance in space, of the diagonal", {"tickformat": ".0%"})


def by_second(lines: Sequence[ProfileLine]) -> go.Figure:
    """Share by distance in time from the query's own time step, before and after."""
    figure = go.Figure()
    for line in lines:
        seconds, share = line.profile.seconds, line.profile.by_second
        if seconds is not None and share is not None:
            _line(figure, line, seconds, share, "%{x:+.2f} s")
    return _laid_out(figure, "seconds after the pin's frame", {"tickformat": "+.1f"})


def _own_frame(profile: Profile) -> int | None:
    return getattr(profile.query.point, "frame", None)


def _line(
    figure: go.Figure,
    line: ProfileLine,
    x: Iterable[float],
    y: Iterable[float],
    where: str,
    marker: dict[str, Any] | None = None,
) -> None:
    figure.add_scatter(
        x=list(x),
        y=list(y),
        name=line.name,
        mode="lines+markers",
        line={"color": line.color, "width": 2.5},
        marker=marker or {"size": 5},
        hovertemplate=where + ": %{y:.1%}<extra>" + line.name + "</extra>",
    )


def _laid_out(figure: go.Figure, title: str, axis: dict[str, Any]) -> go.Figure:
    figure.update_layout(
        height=270,
        margin=_SIZE,
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "y": 1.16},
        xaxis={"title": title, **axis},
        yaxis={"title": "share of the row", "tickformat": ".0%", "rangemode": "tozero"},
    )
    return figure


def masking(found: Faithfulness) -> go.Figure:
    """The first class's score by the share of keys masked: by affinity, and each random order."""
    shares = [0.0, *found.fractions]
    figure = go.Figure()
    for number, line in enumerate(found.by_random):
        figure.add_scatter(
            x=shares,
            y=[found.before, *line],
            name="at random",
            legendgroup="random",
            showlegend=number == 0,
            mode="lines+markers",
            line={"color": GREY, "width": 1.5, "dash": "dash"},
            marker={"size": 4},
            hovertemplate="%{x:.0%} masked: %{y:.2%}<extra>at random</extra>",
        )
    figure.add_scatter(
        x=shares,
        y=[found.before, *found.by_affinity],
        name="by affinity",
        mode="lines+markers",
        line={"color": "#D55E00", "width": 2.5},
        marker={"size": 7},
        hovertemplate="%{x:.0%} masked: %{y:.2%}<extra>by affinity</extra>",
    )
    _laid_out(figure, "share of the keys masked", {"tickformat": ".0%"})
    return figure.update_layout(
        yaxis={"title": "score of the first class", "tickformat": ".1%"}, showlegend=True
    )
