"""Tracking: an object carried through the clip by a block's own affinity, and how well."""

from nlviz.tracking.precision import SameObject, same_object
from nlviz.tracking.propagation import PROTOCOL, Protocol, Track, mask_of, track
from nlviz.tracking.scores import contour_accuracy, mean_after, region_similarity

__all__ = [
    "PROTOCOL",
    "Protocol",
    "SameObject",
    "Track",
    "contour_accuracy",
    "mask_of",
    "mean_after",
    "region_similarity",
    "same_object",
    "track",
]
