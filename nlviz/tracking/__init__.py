"""Tracking: objects and points carried through the clip by a block's affinity, and how well."""

from nlviz.tracking.point_scores import THRESHOLDS, PointScores, point_scores
from nlviz.tracking.points import FollowedPoints, track_points
from nlviz.tracking.precision import SameObject, same_object
from nlviz.tracking.propagation import ObjectTracks, Track, mask_of, track, track_objects
from nlviz.tracking.protocol import PRESETS, PROTOCOL, Preset, Protocol, preset
from nlviz.tracking.scores import contour_accuracy, mean_after, region_similarity

__all__ = [
    "PRESETS",
    "PROTOCOL",
    "THRESHOLDS",
    "FollowedPoints",
    "ObjectTracks",
    "PointScores",
    "Preset",
    "Protocol",
    "SameObject",
    "Track",
    "contour_accuracy",
    "mask_of",
    "mean_after",
    "point_scores",
    "preset",
    "region_similarity",
    "same_object",
    "track",
    "track_objects",
    "track_points",
]
