"""The chart of how a row's weight spreads over the frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from nlviz.analysis import Analysis
from nlviz.geometry import Point
from nlviz.ui.pins import Pin


def shares(analysis: Analysis, block: str, point: Point) -> list[float]:
    """Share of |row| on each sampled frame, summing to 1 (0 for an empty row).

    A time step that covers several frames spreads its weight evenly over them.
    """
    affinity, view = analysis.affinity(block), analysis.view
    row = affinity.row(view.cell(point, affinity.query_grid))
    steps = np.abs(row).sum(axis=(1, 2), dtype=np.float64)
    total = float(steps.sum()) or 1.0
    frames = [0.0] * len(view.frames)
    for t, weight in enumerate(steps):
        covered = view.positions(t, affinity.key_grid)
        for position in covered:
            frames[position] += float(weight) / total / len(covered)
    return frames


def weight_by_frame(analysis: Analysis, block: str, pins: Sequence[Pin]) -> go.Figure:
    """One line a pin in its colour; the diamond is the pin's own frame."""
    figure = go.Figure()
    frames = list(analysis.view.frames)
    for number, pin in enumerate(pins, start=1):
        own = [frame == pin.point.frame for frame in frames]
        figure.add_scatter(
            x=frames,
            y=shares(analysis, block, pin.point),
            name=f"pin {number}",
            mode="lines+markers",
            line={"color": pin.color, "width": 2.5},
            marker={
                "size": [13 if mine else 8 for mine in own],
                "symbol": ["diamond" if mine else "circle" for mine in own],
                "line": {"color": "#4A5463", "width": 1},
            },
            hovertemplate="frame %{x}: %{y:.1%}<extra>" + f"pin {number}</extra>",
        )
    figure.update_layout(
        height=300,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=len(pins) > 1,
        legend={"orientation": "h", "y": 1.12},
        xaxis={"title": "source frame", "tickvals": frames},
        yaxis={"title": "share of the row", "tickformat": ".0%", "rangemode": "tozero"},
    )
    return figure
