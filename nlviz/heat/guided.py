"""The guided filter: values on coarse cells drawn along the edges of the picture, for display only.

He, Sun and Tang, "Guided Image Filtering", ECCV 2010, with a colour picture as the guide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError

Values = NDArray[np.float32]

SHARPENED = "sharpened along the picture's edges, for display only"
"""What every legend says of values that were drawn so."""

_LARGEST = 640 * 360  # pixels in which edges are looked for

EPSILON = 1e-3
"""How little colours must vary, as a variance of 0 to 1, to count as even."""


@dataclass(frozen=True, slots=True, eq=False)
class Guide:
    """A picture as a guide: what the filter needs of it, worked out once for many values.

    In each window of (2r + 1)² pixels the result is q = aᵀI + b, with a = (Σ + εU)⁻¹ cov(I, p) and
    b = p̄ − aᵀμ, Eqs. (19) to (21); each pixel takes the mean of a and b over its windows.

    Args:
        picture: (H, W, 3), red, green and blue from 0 to 1.
        radius: r, in pixels.
        mean: (H, W, 3), μ of each window, cut off at the picture's edges.
        inverse: (H, W, 3, 3), (Σ + εU)⁻¹ of each window.
        counts: (H, W), how many pixels a window has.
    """

    picture: Values
    radius: int
    mean: Values
    inverse: Values
    counts: Values

    @classmethod
    def of(cls, picture: NDArray[np.uint8], radius: int, epsilon: float = EPSILON) -> Guide:
        """Of an RGB picture, (H, W, 3); QueryError for a radius below 1 or an ε not above 0."""
        if radius < 1 or epsilon <= 0:
            raise QueryError(
                f"A guided filter takes a radius of at least 1 pixel and an ε above 0; got "
                f"{radius} and {epsilon:g}."
            )
        image: Values = picture.astype(np.float32) / np.float32(255)
        counts = _sums(np.ones(image.shape[:2], np.float32), radius)
        mean = _sums(image, radius) / counts[..., None]
        # Σ + εU has six numbers: rr, rg, rb, gg, gb, bb.
        r, g, b = (image[..., i] for i in range(3))
        products = _sums_of_many((r * r, r * g, r * b, g * g, g * b, b * b), radius) / counts
        mr, mg, mb = (mean[..., i] for i in range(3))
        products -= np.stack((mr * mr, mr * mg, mr * mb, mg * mg, mg * mb, mb * mb))
        products[[0, 3, 5]] += np.float32(epsilon)
        return cls(image, radius, mean, _inverse(products), counts)

    def filtered(self, values: Values) -> Values:
        """(H, W) values drawn along the picture's edges, none beyond the least and the greatest."""
        if values.shape != self.counts.shape:
            raise QueryError(
                f"Values of {values.shape[1]}×{values.shape[0]} do not fit a guide of "
                f"{self.counts.shape[1]}×{self.counts.shape[0]} pixels."
            )
        p = np.asarray(values, np.float32)
        mean = _sums(p, self.radius) / self.counts
        together = _sums(self.picture * p[..., None], self.radius) / self.counts[..., None]
        covariance = together - self.mean * mean[..., None]
        a = np.einsum("hwij,hwj->hwi", self.inverse, covariance)
        b = mean - (a * self.mean).sum(axis=-1)
        a = _sums(a, self.radius) / self.counts[..., None]
        b = _sums(b, self.radius) / self.counts
        q: Values = (a * self.picture).sum(axis=-1) + b
        return np.clip(q, p.min(), p.max())


@dataclass(frozen=True, slots=True, eq=False)
class Sharpener:
    """Draws values of coarse cells along a frame's edges, whatever the frame's size.

    Args:
        guide: of the frame, brought down to at most ``_LARGEST`` pixels.
        size: (width, height) of the frame.
    """

    guide: Guide
    size: tuple[int, int]

    @classmethod
    def of(cls, frame: NDArray[np.uint8], across: float, down: float) -> Sharpener:
        """For an RGB frame, (H, W, 3), and cells of so many of its pixels."""
        height, width = frame.shape[:2]
        shrink = min(1.0, math.sqrt(_LARGEST / (width * height)))
        size = max(1, round(width * shrink)), max(1, round(height * shrink))
        small = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
        return cls(Guide.of(small, radius_of(across * shrink, down * shrink)), (width, height))

    def drawn(self, values: Values) -> Values:
        """(H, W) values, smooth between the cells' centres, along the frame's edges."""
        height, width = self.guide.counts.shape
        small = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA)
        filtered = self.guide.filtered(np.asarray(small, np.float32))
        return np.asarray(cv2.resize(filtered, self.size, interpolation=cv2.INTER_LINEAR))


def radius_of(across: float, down: float) -> int:
    """The radius for cells of so many pixels: their larger side, at least 1."""
    return max(1, round(max(across, down)))


def _sums(values: Values, radius: int) -> Values:
    """The sum over each window, which ends where the picture does."""
    side = 2 * radius + 1
    kept = cv2.BORDER_CONSTANT  # nothing lies outside
    return np.asarray(
        cv2.boxFilter(values, cv2.CV_32F, (side, side), normalize=False, borderType=kept),
        np.float32,
    )


def _sums_of_many(values: Sequence[Values], radius: int) -> Values:
    """The same of several channels, (channels, H, W)."""
    return np.stack([_sums(each, radius) for each in values])


def _inverse(six: Values) -> Values:
    """(H, W, 3, 3) of symmetric matrices, (6, H, W): rr, rg, rb, gg, gb, bb."""
    rr, rg, rb, gg, gb, bb = six.astype(np.float64)
    c00, c01, c02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    c11, c12, c22 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c00 + rg * c01 + rb * c02
    cofactors = np.stack([c00, c01, c02, c01, c11, c12, c02, c12, c22], axis=-1)
    inverse = cofactors / determinant[..., None]
    made: Values = inverse.reshape(*determinant.shape, 3, 3).astype(np.float32)
    return made
