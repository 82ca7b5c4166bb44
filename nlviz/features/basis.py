"""Basis: the directions that features are coloured by, to be kept and used for other clips."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy as safetensors
from numpy.typing import NDArray
from safetensors import SafetensorError

from nlviz.display import printable
from nlviz.errors import ExportError, QueryError
from nlviz.features.foreground import Cut, Foreground
from nlviz.features.leading import leading
from nlviz.query import SIDES
from nlviz.writing import check, write

Array = NDArray[np.float32]

ENDINGS = (".safetensors",)
COUNT = 3
"""Components: one for each of red, green and blue."""

_TEXT = "nlviz basis"
_LONGEST = 300  # signs of a name
_MOST_BYTES = 64 << 20
_MOST_CHANNELS = 1 << 20
_OUTER = 2.0  # percent of the positions on each side that have the last colour


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """The first three principal components of some vectors of C channels, ordered and signed.

    The order is that of the variance. The sign is such that the channel that counts most counts
    positively, so that two runs agree.

    Args:
        mean: (C,) what is taken from each vector.
        directions: (3, C) of length 1; 0 where the vectors have no further direction.
        variance: (3,) along each, over the positions that the basis is of.
        total: the variance of all channels together, over the same positions.
        low, high: (3,) the components that have the first and the last shade of red, green and
            blue: all but 2 % of the positions lie above, or below.
        of: what it is a basis of, in a few words: "output of layer3".
        network: the network's name.
        cut: what divides off the foreground, if the basis is of a foreground alone.
    """

    mean: Array
    directions: Array
    variance: NDArray[np.float64]
    total: float
    low: Array
    high: Array
    of: str
    network: str
    cut: Cut | None = None

    @property
    def channels(self) -> int:
        """C."""
        return len(self.mean)

    @property
    def explained(self) -> tuple[float, float, float]:
        """The share of the variance along each component, over what the basis is of."""
        first, second, third = (float(each / self.total) for each in self.variance)
        return first, second, third

    def apply(self, vectors: Array) -> Array:
        """(3, n) the components of n vectors (C, n).

        Raises:
            QueryError: vectors of another length.
        """
        if len(vectors) != self.channels:
            raise QueryError(
                f"The basis is of {self.channels} channels ({self.of} of {self.network}), and "
                f"these features have {len(vectors)}; use the layer it was made of, or make a new "
                "one."
            )
        along: Array = self.directions @ vectors
        along -= (self.directions @ self.mean)[:, None]
        return along

    def save(self, path: str | os.PathLike[str], *, force: bool = True) -> None:
        """Write it as a .safetensors file.

        Raises:
            ExportError: another ending, a missing folder, or a file that cannot be written.
        """
        check(path, ENDINGS, force=force)
        write(path, self.content())

    def content(self) -> bytes:
        """The bytes of such a file."""
        arrays = {
            "mean": self.mean,
            "directions": self.directions,
            "variance": self.variance,
            "low": self.low,
            "high": self.high,
        }
        told: dict[str, Any] = {"of": self.of, "network": self.network, "total": self.total}
        if self.cut is not None:
            arrays |= {"cut/mean": self.cut.mean, "cut/direction": self.cut.direction}
            told["cut"] = {"at": self.cut.at, "side": self.cut.side}
        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return safetensors.save(plain, metadata={_TEXT: json.dumps(told)})


def basis_of(
    vectors: Array, *, of: str, network: str, foreground: Foreground | None = None
) -> Basis:
    """The basis of some vectors (C, n).

    Args:
        vectors: one for each position.
        of, network: as for ``Basis``.
        foreground: whose positions alone it is of; all if None.

    Raises:
        QueryError: fewer than two positions, features that are all alike or not finite, or a
            foreground that leaves fewer than two.
    """
    whole = _fitted(vectors, of, network, None)
    if foreground is None:
        return whole
    cut = foreground.cut(whole.mean, whole.directions[0], whole.variance[0])
    kept = cut.kept(vectors)
    foreground.check(int(kept.sum()), kept.size)
    return _fitted(np.ascontiguousarray(vectors[:, kept]), of, network, cut)


def _fitted(vectors: Array, of: str, network: str, cut: Cut | None) -> Basis:
    channels, n = vectors.shape
    if n < 2:
        check_spread(of, network, np.zeros(channels), 0.0, n)
    with np.errstate(invalid="ignore"):  # of what is not finite
        mean = vectors.mean(axis=1, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise QueryError(told_where_not_finite(vectors, of, network))
    near = mean.astype(np.float32)
    with np.errstate(over="ignore"):
        squares = sum(_squares(row, middle) for row, middle in zip(vectors, near, strict=True))
    check_spread(of, network, mean, squares, n)
    sums, directions = leading(vectors, near, squares, COUNT)
    along = directions @ vectors - (directions @ near)[:, None]
    low = high = np.zeros(COUNT, np.float32)
    made = Basis(near, directions, sums / n, squares / n, low, high, of, network, cut)
    return scaled(made, along)


def told_where_not_finite(vectors: Array, of: str, network: str) -> str:
    """The sentence for vectors some of which are not finite."""
    bad = int((~np.isfinite(vectors)).any(axis=0).sum())
    return (
        f"The {of} of {network} is not a finite number at {bad} of {vectors.shape[1]} positions, "
        "so it has no components; try float32, or another layer."
    )


def check_spread(
    of: str, network: str, mean: NDArray[np.float64], squares: float, count: int
) -> None:
    """QueryError for one position, or vectors that are too large or all alike but for rounding.

    ``squares`` is the sum of squares of ``count`` vectors less their ``mean``, (C,).
    """
    what = f"The {of} of {network}"
    if count < 2:
        raise QueryError(f"{what} has one position, and components compare several; take more.")
    if not np.isfinite(squares):
        raise QueryError(
            f"{what} has numbers so large that their squares are none in single precision, so it "
            "has no components; choose another layer."
        )
    size = float(np.abs(mean).max(initial=0.0))
    if squares <= count * len(mean) * (4 * np.finfo(np.float32).eps * size) ** 2:
        raise QueryError(
            f"{what} is the same at all {count} positions, so it has no components; choose another "
            "layer."
        )


def scaled(basis: Basis, along: Array) -> Basis:
    """With the colours' scale of what lies along its directions, (3, n)."""
    low, high = np.percentile(along, (_OUTER, 100 - _OUTER), axis=1).astype(np.float32)
    flat = high - low <= 1e-6 * np.abs(along).max(axis=1, initial=0.0)
    low, high = np.where(flat, np.float32(-1), low), np.where(flat, np.float32(1), high)
    return replace(basis, low=low, high=high)


def _squares(row: Array, middle: np.float32) -> float:
    """The sum of squares of one channel less its mean, while it is in the cache."""
    off = row - middle
    return float(off @ off)


def open_basis(path: str | os.PathLike[str]) -> Basis:
    """A basis that ``Basis.save`` wrote.

    Raises:
        ExportError: a file that is missing, or no basis.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
        return basis_from(file.read_bytes())
    except OSError as error:
        raise ExportError(
            f"The basis '{file}' cannot be read ({error.strerror}); give a file that "
            "--save-basis wrote."
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        why = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise ExportError(
            f"'{file}' is no basis of nlviz ({why[0]:.120}); give a file that --save-basis wrote."
        ) from None


def basis_from(content: bytes) -> Basis:
    """A basis from its bytes; ValueError, KeyError, TypeError or SafetensorError for others."""
    arrays = safetensors.load(content)
    told = json.loads(_metadata(content)[_TEXT])
    directions = _checked(arrays, "directions", 2)
    count, channels = directions.shape
    if count != COUNT or not 1 <= channels <= _MOST_CHANNELS:
        raise ValueError(f"directions are {COUNT} × C")
    cut = None
    if told.get("cut") is not None:
        side, at = told["cut"]["side"], told["cut"]["at"]
        if side not in SIDES:
            raise ValueError("the foreground has no side")
        mean, direction = (
            _checked(arrays, f"cut/{name}", 1, channels) for name in ("mean", "direction")
        )
        cut = Cut(mean, direction, _number(at), side)
    total = _number(told["total"])
    if total <= 0:
        raise ValueError("there is no variance")
    of, network = (printable(str(told[name]), _LONGEST) for name in ("of", "network"))
    return Basis(
        _checked(arrays, "mean", 1, channels),
        directions,
        _checked(arrays, "variance", 1, COUNT, np.float64),
        total,
        _checked(arrays, "low", 1, COUNT),
        _checked(arrays, "high", 1, COUNT),
        of,
        network,
        cut,
    )


def _metadata(content: bytes) -> dict[str, str]:
    """The texts of a safetensors file, whose header has been checked by reading its arrays."""
    length = int.from_bytes(content[:8], "little")
    found = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    if not isinstance(found, dict) or _TEXT not in found:
        raise ValueError("it does not say that it is one")
    return found


def _checked(
    arrays: dict[str, NDArray[Any]],
    name: str,
    axes: int,
    length: int | None = None,
    kind: type = np.float32,
) -> NDArray[Any]:
    array = arrays[name]
    wrong = array.dtype != kind or array.ndim != axes or not np.isfinite(array).all()
    if wrong or (length is not None and len(array) != length):
        raise ValueError(f"{name} is not what it should be")
    return array


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise TypeError(f"expected a number, got {value!r:.40}")
    return float(value)
