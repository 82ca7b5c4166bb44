"""A clip of any length in windows: the network sees one at a time, what is behind lies on disk."""

from nlviz.windows.components import LongComponents, components_film_windows, pca_windows
from nlviz.windows.estimate import Estimate, estimate
from nlviz.windows.film import play_windows
from nlviz.windows.long_analysis import LongAnalysis, open_long
from nlviz.windows.objects import WindowOfObjects, track_objects_windows
from nlviz.windows.plan import TimeWindow, WindowPlan
from nlviz.windows.points import track_points_windows
from nlviz.windows.tracking import TrackedWindow, track_windows

__all__ = [
    "Estimate",
    "LongAnalysis",
    "LongComponents",
    "TimeWindow",
    "TrackedWindow",
    "WindowOfObjects",
    "WindowPlan",
    "components_film_windows",
    "estimate",
    "open_long",
    "pca_windows",
    "play_windows",
    "track_objects_windows",
    "track_points_windows",
    "track_windows",
]
