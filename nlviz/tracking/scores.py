"""How well masks agree: J and F of the DAVIS benchmark (Perazzi et al., CVPR 2016)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.tracking.cells import on_object

Mask = NDArray[np.bool_]

_NEAR = 0.008  # of the diagonal: how far a contour may be off


def region_similarity(found: Mask, truth: Mask) -> float:
    """J = |found ∩ truth| / |found ∪ truth| of two (H, W) masks, 0 to 1; 1 if both are empty.

    QueryError for masks of different sizes, or of several labels.
    """
    found, truth = _both(found, truth)
    union = int((found | truth).sum())
    return int((found & truth).sum()) / union if union else 1.0


def contour_accuracy(found: Mask, truth: Mask) -> float:
    """F = 2PR / (P + R) of the contours of two (H, W) masks, 0 to 1.

    P is the share of found's contour that lies within 0.8 % of the diagonal, rounded up to whole
    pixels, of truth's; R the share of truth's that lies so near to found's. A missing contour has
    P = 1 or R = 1 of its own. QueryError for masks of different sizes, or of several labels.
    """
    found, truth = _both(found, truth)
    ours, theirs = _contour(found), _contour(truth)
    radius = math.ceil(_NEAR * math.hypot(*found.shape))
    precision, recall = _near(ours, theirs, radius), _near(theirs, ours, radius)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def mean_after(found: Mask, truth: Mask) -> tuple[float, float]:
    """Mean J and mean F of (T, H, W) masks over the frames after the first, as on DAVIS.

    QueryError for masks of different sizes, or of one frame.
    """
    j, f = each_after(found, truth).mean(axis=0)
    return float(j), float(f)


def each_after(found: Mask, truth: Mask) -> NDArray[np.float64]:
    """(T − 1, 2): J and F of each frame after the first; QueryError as ``mean_after``."""
    if len(found) < 2 or len(found) != len(truth):
        raise QueryError(
            f"Masks of {len(found)} and {len(truth)} frames cannot be compared; give as many of "
            "both, at least 2."
        )
    pairs = zip(found[1:], truth[1:], strict=True)
    return np.array([(region_similarity(*pair), contour_accuracy(*pair)) for pair in pairs])


def _both(found: Mask, truth: Mask) -> tuple[Mask, Mask]:
    if found.shape != truth.shape:
        raise QueryError(
            f"Masks of {found.shape[1]}×{found.shape[0]} and {truth.shape[1]}×{truth.shape[0]} "
            "pixels cannot be compared; bring them to one size."
        )
    return on_object(found), on_object(truth)


def _contour(mask: Mask) -> Mask:
    """Pixels that differ from the one to the right, below, or both; one pixel wide."""
    edge = np.zeros_like(mask)
    edge[:, :-1] |= mask[:, :-1] != mask[:, 1:]
    edge[:-1] |= mask[:-1] != mask[1:]
    edge[:-1, :-1] |= mask[:-1, :-1] != mask[1:, 1:]
    return edge


def _near(contour: Mask, other: Mask, radius: int) -> float:
    """Share of a contour within ``radius`` pixels of another; 1 if there is none to share."""
    if not contour.any():
        return 1.0
    down, right = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (down**2 + right**2 <= radius**2).astype(np.uint8)
    reach = cv2.dilate(other.astype(np.uint8), disc).astype(bool)
    return float((contour & reach).sum() / contour.sum())
