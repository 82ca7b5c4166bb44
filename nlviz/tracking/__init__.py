"""Tracking: an object carried through the clip by a block's own affinity, and how well."""

from nlviz.tracking.propagation import PROTOCOL, Protocol, Track, mask_of, track
from nlviz.tracking.scores import contour_accuracy, region_similarity

__all__ = [
    "PROTOCOL",
    "Protocol",
    "Track",
    "contour_accuracy",
    "mask_of",
    "region_similarity",
    "track",
]
