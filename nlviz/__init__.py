"""nlviz: which places in space and time a network weighs most for the pixel you point at.

The names below are the library; each loads on first use, so that ``import nlviz`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nlviz.version import __version__ as __version__

if TYPE_CHECKING:
    from nlviz.ablation import Effect, ablated, effects, with_sizes
    from nlviz.about import About
    from nlviz.affinity import Affinity
    from nlviz.analysis import Analysis, Prediction, analyse
    from nlviz.baselines import baseline
    from nlviz.building import load_user_network
    from nlviz.clip import Clip
    from nlviz.errors import (
        BudgetError,
        CaptureError,
        ExportError,
        FigureError,
        MediaError,
        NetworkError,
        NlvizError,
        QueryError,
    )
    from nlviz.field import ReceptiveField, receptive_field
    from nlviz.figures import Figure, Heat, Panel, Style, film_strip, film_strips
    from nlviz.foreign import Input, UserNetwork
    from nlviz.geometry import Cell, Footprint, Grid, Point, Region, View
    from nlviz.hooks import Capture, capture
    from nlviz.links import Link, Query, top_links
    from nlviz.masking import Faithfulness, faithfulness
    from nlviz.media import MediaInfo, probe, read, read_mask, read_masks
    from nlviz.paths import best_path
    from nlviz.reach import Groups
    from nlviz.rows import Row, row_of
    from nlviz.scale import HeatScale, heat_scale
    from nlviz.statistics import BlockStatistics, Profile, block_statistics, profile
    from nlviz.tracking import (
        Protocol,
        Track,
        contour_accuracy,
        mask_of,
        region_similarity,
        track,
    )

_HOMES = {
    "ablation": ("Effect", "ablated", "effects", "with_sizes"),
    "about": ("About",),
    "affinity": ("Affinity",),
    "analysis": ("Analysis", "Prediction", "analyse"),
    "baselines": ("baseline",),
    "building": ("load_user_network",),
    "clip": ("Clip",),
    "errors": (
        "BudgetError",
        "CaptureError",
        "ExportError",
        "FigureError",
        "MediaError",
        "NetworkError",
        "NlvizError",
        "QueryError",
    ),
    "field": ("ReceptiveField", "receptive_field"),
    "figures": ("Figure", "Heat", "Panel", "Style", "film_strip", "film_strips"),
    "foreign": ("Input", "UserNetwork"),
    "geometry": ("Cell", "Footprint", "Grid", "Point", "Region", "View"),
    "hooks": ("Capture", "capture"),
    "links": ("Link", "Query", "top_links"),
    "masking": ("Faithfulness", "faithfulness"),
    "media": ("MediaInfo", "probe", "read", "read_mask", "read_masks"),
    "paths": ("best_path",),
    "reach": ("Groups",),
    "rows": ("Row", "row_of"),
    "scale": ("HeatScale", "heat_scale"),
    "statistics": ("BlockStatistics", "Profile", "block_statistics", "profile"),
    "tracking": (
        "Protocol",
        "Track",
        "contour_accuracy",
        "mask_of",
        "region_similarity",
        "track",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "About",
    "Affinity",
    "Analysis",
    "BlockStatistics",
    "BudgetError",
    "Capture",
    "CaptureError",
    "Cell",
    "Clip",
    "Effect",
    "ExportError",
    "Faithfulness",
    "Figure",
    "FigureError",
    "Footprint",
    "Grid",
    "Groups",
    "Heat",
    "HeatScale",
    "Input",
    "Link",
    "MediaError",
    "MediaInfo",
    "NetworkError",
    "NlvizError",
    "Panel",
    "Point",
    "Prediction",
    "Profile",
    "Protocol",
    "Query",
    "QueryError",
    "ReceptiveField",
    "Region",
    "Row",
    "Style",
    "Track",
    "UserNetwork",
    "View",
    "ablated",
    "analyse",
    "baseline",
    "best_path",
    "block_statistics",
    "capture",
    "contour_accuracy",
    "effects",
    "faithfulness",
    "film_strip",
    "film_strips",
    "heat_scale",
    "load_user_network",
    "mask_of",
    "probe",
    "profile",
    "read",
    "read_mask",
    "read_masks",
    "receptive_field",
    "region_similarity",
    "row_of",
    "top_links",
    "track",
    "with_sizes",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nlviz' has no attribute {name!r}")
    return getattr(import_module(f"nlviz.{_HOME_OF[name]}"), name)
