"""The viewer in a Jupyter notebook, for those who have anywidget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nlviz import hosts
from nlviz.analysis import Analysis
from nlviz.errors import ExportError
from nlviz.query import Query

if TYPE_CHECKING:
    from nlviz.notebook.widget import Widget

_MISSING = (
    "A notebook draws the viewer with anywidget, which is not installed; run "
    '`python -m pip install anywidget`, or `python -m pip install "nlviz[notebook]"` where '
    "nlviz itself is installed, and start the kernel anew."
)


def show(
    analysis: Analysis,
    queries: Sequence[Query] = (),
    settings: Mapping[str, Any] | None = None,
    layer: hosts.Layer | None = None,
) -> Widget:
    """The viewer as a widget; what ``Analysis.show`` calls."""
    try:
        from nlviz.notebook.widget import Widget
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith(("nlviz", "models")):
            raise
        raise ExportError(_MISSING) from None
    return Widget(analysis, queries, settings, layer=layer)


__all__ = ["show"]
