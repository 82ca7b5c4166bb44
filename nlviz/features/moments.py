"""Moments: what the components of vectors need that come a window at a time, added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.features.basis import COUNT, Basis, check_spread, scaled, told_where_not_finite
from nlviz.features.foreground import Cut
from nlviz.features.leading import leading_of_products

Array = NDArray[np.float32]

MOST_CHANNELS = 4096
"""Channels whose products with each other are held: 128 MiB, and some copies of it at the end."""

SAMPLED_BYTES = 64 << 20
"""Of vectors that are kept to find the colours' scale: all, or every second, fourth … of them."""


class Moments:
    """The number, sum and products of vectors (C, n), and some of the vectors themselves.

    It holds C² numbers and at most ``SAMPLED_BYTES`` of vectors, however many are added.

    Args:
        of, network: whose vectors they are, as for ``Basis``.
        cut: what divides off the foreground, whose vectors alone are then counted; or None.
    """

    def __init__(self, of: str, network: str, cut: Cut | None = None) -> None:
        self.of, self.network, self.cut = of, network, cut
        self.count = 0
        self._origin: Array = np.zeros(0, np.float32)  # near the mean, so that sums stay small
        self._sums: NDArray[np.float64] = np.zeros(0)
        self._products: NDArray[np.float64] = np.zeros((0, 0))
        self._kept: list[Array] = []
        self._every = 1

    def add(self, vectors: Array) -> None:
        """Take some more vectors, (C, n).

        Raises:
            QueryError: another number of channels than before, or too many, or vectors that are
                not finite.
        """
        if self.cut is not None:
            vectors = np.ascontiguousarray(vectors[:, self.cut.kept(vectors)])
        channels, n = vectors.shape
        if not n:
            return
        if channels > MOST_CHANNELS:
            raise QueryError(
                f"The {self.of} has {channels} channels, and over windows at most {MOST_CHANNELS} "
                "are compared; choose another layer."
            )
        with np.errstate(invalid="ignore"):  # of what is not finite
            mean = vectors.mean(axis=1, dtype=np.float64)
        if not np.isfinite(mean).all():
            raise QueryError(told_where_not_finite(vectors, self.of, self.network))
        if not self.count:
            self._origin = mean.astype(np.float32)
            self._sums, self._products = np.zeros(channels), np.zeros((channels, channels))
        if channels != len(self._origin):
            raise QueryError(
                f"The {self.of} has {channels} channels in one window and {len(self._origin)} in "
                "another, so its windows have no components in common; choose another layer."
            )
        with np.errstate(over="ignore", invalid="ignore"):  # ``basis`` tells of what is too large
            off = vectors - self._origin[:, None]
            self._sums += off.sum(axis=1, dtype=np.float64)
            self._products += off @ off.T
        first = -self.count % self._every
        self._kept.append(np.ascontiguousarray(vectors[:, first :: self._every]))
        self.count += n
        self._thin(channels)

    def _thin(self, channels: int) -> None:
        most = max(2, SAMPLED_BYTES // (4 * channels))
        while sum(each.shape[1] for each in self._kept) > most:
            self._kept = [np.ascontiguousarray(np.concatenate(self._kept, axis=1)[:, ::2])]
            self._every *= 2

    def basis(self) -> Basis:
        """The basis of all vectors that were added, as ``basis_of`` makes it of them at once.

        Raises:
            QueryError: fewer than two vectors, or vectors that are all alike.
        """
        off = self._sums / max(self.count, 1)
        with np.errstate(invalid="ignore"):
            products = self._products - self.count * np.outer(off, off)
        mean = self._origin + off
        total = float(np.trace(products))
        check_spread(self.of, self.network, mean, total, self.count)
        sums, directions = leading_of_products(products, total, COUNT)
        near = mean.astype(np.float32)
        some = np.concatenate(self._kept, axis=1)
        along = directions @ some - (directions @ near)[:, None]
        return scaled(
            Basis(near, directions, sums / self.count, total / self.count, near[:0], near[:0],
                  self.of, self.network, self.cut),
            along,
        )  # fmt: skip
