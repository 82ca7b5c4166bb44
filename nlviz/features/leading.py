"""The leading principal directions of many vectors, by a block Krylov method or exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Numbers = NDArray[np.float64]

_EXACT = 96  # channels or positions up to which the whole covariance is decomposed
_BESIDE = 5  # directions that are carried along beside those that are wanted
_STEPS = 12
_MANY = 8192  # positions of which every so many are looked at before all are
_EVERY = 16
_CLOSE = 1e-2  # of a direction's own variance, that its residual may be
_SPENT = 1e-7  # of a product, that is new in it: below this it is rounding
_NONE = 1e-9  # of all variance: below this there is no direction, only rounding


def leading(
    vectors: Array, mean: Array, total: float, count: int, *, seed: int = 0
) -> tuple[Numbers, Array]:
    """The ``count`` directions of greatest variance, and the sum of squares along each.

    Where there are few channels or positions the covariance is decomposed whole. Else a random
    block of directions is multiplied with it, again and again, and the best directions within all
    products are taken (Musco and Musco 2015), until what is left over is small. Where there are
    many positions the block is what a sixteenth of them give.

    Args:
        vectors: (C, n).
        mean: (C,) of the vectors, which is taken from each.
        total: the sum of squares of what is left.
        count: how many directions.
        seed: of the first block.

    Returns:
        (count,) sums of squares, greatest first, and (count, C) directions of length 1, the entry
        of greatest size positive; 0 where there is no further direction.
    """
    channels, n = vectors.shape
    if min(channels, n) <= max(_EXACT, count + _BESIDE):
        values, directions = _whole(vectors, mean, count)
    else:
        values, directions = _krylov(vectors, mean, count, seed)
    return _signed(values, directions, total, count)


def leading_of_products(products: Numbers, total: float, count: int) -> tuple[Numbers, Array]:
    """The same from the products of vectors less their mean with themselves, (C, C)."""
    values, directions = np.linalg.eigh(products)
    values, directions = np.maximum(values[::-1][:count], 0), directions[:, ::-1][:, :count]
    return _signed(values, directions, total, count)


def _signed(
    values: Numbers, directions: Numbers, total: float, count: int
) -> tuple[Numbers, Array]:
    """``count`` of them, 0 where there is none, each the way round that is promised."""
    found = np.zeros((count, len(directions)), np.float32)
    sums = np.zeros(count)
    for i in range(min(count, len(values))):
        if values[i] > _NONE * total:
            sums[i], found[i] = values[i], _turned(directions[:, i])
    return sums, found


def _turned(direction: Numbers) -> Numbers:
    """The direction or its opposite: so that the entry of greatest size is positive."""
    turned: Numbers = direction * np.sign(direction[np.argmax(np.abs(direction))])
    return turned


def _whole(vectors: Array, mean: Array, count: int) -> tuple[Numbers, Numbers]:
    """From the smaller of the two products of the vectors with themselves."""
    x = vectors.astype(np.float64) - mean[:, None]
    wide = x.shape[0] > x.shape[1]
    values, found = np.linalg.eigh(x.T @ x if wide else x @ x.T)
    values, found = np.maximum(values[::-1][:count], 0), found[:, ::-1][:, :count]
    if wide:
        found = x @ found
        found /= np.maximum(np.linalg.norm(found, axis=0), np.finfo(np.float64).tiny)
    return values, found


def _krylov(vectors: Array, mean: Array, count: int, seed: int) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng(seed)
    shape = len(vectors), count + _BESIDE
    block = _orthonormal(random.standard_normal(shape, dtype=np.float32))
    if vectors.shape[1] >= _MANY:  # a few of them already point nearly the same way
        few = np.ascontiguousarray(vectors[:, ::_EVERY])
        _, near = _from_block(few, mean, count, block)
        block = near.astype(np.float32)
    return _from_block(vectors, mean, count, block)


def _from_block(vectors: Array, mean: Array, count: int, block: Array) -> tuple[Numbers, Numbers]:
    """The best within all products of a block; of as many directions as it has, ``count`` close."""
    channels, width = block.shape
    basis: Numbers = np.empty((channels, 0))
    images: Numbers = np.empty((channels, 0))
    # At right angles in double precision: what is left of directions that were found already lies
    # among them, and would count again.
    new: Numbers = _orthonormal(block.astype(np.float64))
    while True:
        block = new.astype(np.float32)
        # The mean is taken away from the products: the vectors themselves stay uncopied.
        along = block.T @ vectors - (mean @ block)[:, None]
        image = vectors @ along.T - np.outer(mean, along.sum(axis=1))
        basis, images = np.hstack([basis, new]), np.hstack([images, image])
        within = basis.T @ images
        values, inside = np.linalg.eigh((within + within.T) / 2)
        values, inside = values[::-1][:width], inside[:, ::-1][:, :width]
        directions = basis @ inside
        off = np.linalg.norm(images @ inside - directions * values, axis=0)[:count]
        enough = bool((off <= _CLOSE * values[:count]).all())
        if enough or basis.shape[1] + width > min(channels, width * _STEPS):
            return values, directions
        found = image.astype(np.float64)
        new = found - basis @ (basis.T @ found)
        if np.linalg.norm(new) <= _SPENT * np.linalg.norm(found):
            return values, directions
        for _ in range(2):  # once leaves what rounding has put back
            new = _orthonormal(new)
            new -= basis @ (basis.T @ new)
        new = _orthonormal(new)


def _orthonormal(vectors: NDArray[Any]) -> NDArray[Any]:
    """Directions that span the same, at right angles to each other."""
    q: NDArray[Any] = np.linalg.qr(vectors)[0]
    return q
