"""The summary of a batch as a figure: a panel a measure, a dot with its error for each mean."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from nlviz.batches.summary import Mean, Summary
from nlviz.batches.table import COSINE, MEASURES
from nlviz.errors import BatchError
from nlviz.figures.figure import STYLE, Figure
from nlviz.heat.colormap import PALETTE

_MOST = 12  # panels on a page
_WIDTH, _HEIGHT = 6.0, 5.0  # cm of a panel
_COLUMNS = 3
_CM = 1 / 2.54
_SIZE = 7.0  # points


def summary_figure(found: Summary) -> Figure:
    """The means over clips of every measure, with their standard errors.

    Blocks lie along the axis from input to output, networks side by side in colours; a hollow dot
    is the cosine of the block's input.

    Raises:
        BatchError: no means, or more measures than fit on a page.
    """
    kinds = dict.fromkeys((each.kind, each.group) for each in found.means)
    measures = [m for m in MEASURES if m not in COSINE and any(e.measure == m for e in found.means)]
    panels = [
        (measure, kind, group)
        for measure in measures
        for kind, group in kinds
        if any((e.measure, e.kind, e.group) == (measure, kind, group) for e in found.means)
    ]
    if not panels:
        raise BatchError("The summary has no means to draw.")
    if len(panels) > _MOST:
        raise BatchError(
            f"{len(panels)} panels do not fit on a page; choose up to {_MOST} with --measures."
        )
    rows = -(-len(panels) // _COLUMNS)
    cols = min(len(panels), _COLUMNS)
    settings = {**STYLE, "font.size": _SIZE, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        size = (cols * _WIDTH * _CM, (rows * _HEIGHT + 1) * _CM)
        drawing = Drawing(figsize=size, layout="constrained")
        for number, panel in enumerate(panels, start=1):
            _draw(drawing.add_subplot(rows, cols, number), found, *panel)
        handles, labels = drawing.axes[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return Figure(drawing)


def _draw(axes: Axes, found: Summary, measure: str, kind: str, group: str | None) -> None:
    of = [e for e in found.means if (e.kind, e.group, e.head) == (kind, group, None)]
    blocks = list(dict.fromkeys(each.block for each in of))
    networks = list(dict.fromkeys(each.network for each in found.means))
    for number, network in enumerate(networks):
        shift = (number - (len(networks) - 1) / 2) * 0.6 / len(networks)
        colour = PALETTE[number % len(PALETTE)]
        own = [each for each in of if each.network == network]
        for name, face in ((measure, colour), (f"cosine_{measure}", "white")):
            means = [each for each in own if each.measure == name]
            if not means:
                continue
            axes.errorbar(
                [blocks.index(each.block) + shift for each in means],
                [each.mean for each in means],
                yerr=[each.error or 0 for each in means],
                fmt="o",
                markersize=3.5,
                capsize=2,
                color=colour,
                markerfacecolor=face,
                label=network if name == measure else None,
            )
    axes.set_xticks(range(len(blocks)), blocks)
    axes.set_xlim(-0.6, len(blocks) - 0.4)
    clips = _clips([each for each in of if each.measure == measure])
    named = f"{kind}, {group}" if group else kind
    axes.set_title(f"{measure} ({named}; {clips})", fontsize=_SIZE)


def _clips(means: list[Mean]) -> str:
    counts = sorted({each.clips for each in means})
    low, high = counts[0], counts[-1]
    many = f"{low}" if low == high else f"{low} to {high}"
    return f"{many} clip{'s' * (high != 1)}"
