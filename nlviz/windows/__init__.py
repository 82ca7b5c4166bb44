"""A clip of any length in windows: the network sees one at a time, what is behind lies on disk."""

from nlviz.windows.estimate import Estimate, estimate
from nlviz.windows.film import play_windows
from nlviz.windows.long_analysis import LongAnalysis, open_long
from nlviz.windows.plan import TimeWindow, WindowPlan
from nlviz.windows.tracking import TrackedWindow, track_windows

__all__ = [
    "Estimate",
    "LongAnalysis",
    "TimeWindow",
    "TrackedWindow",
    "WindowPlan",
    "estimate",
    "open_long",
    "play_windows",
    "track_windows",
]
