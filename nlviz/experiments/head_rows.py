"""The rows of a block, head after head and some queries at a time, as quickly as torch makes them.

``Affinity`` answers one query after the other; here all of a layer's rows are wanted once. What
takes the time is the exponential, which is quickest to the base 2 and in a buffer that stays in the
processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.groups import reached_from

_NEVER = -1e30  # the logit of a link that cannot exist; finite, so that none is NaN


class HeadRows:
    """f/C of each head for some queries of one affinity.

    Args:
        affinity: of any function.
    """

    def __init__(self, affinity: Affinity) -> None:
        self._affinity = affinity
        if affinity.rows_sum_to_one:
            shape = affinity.heads, affinity.width // affinity.heads, -1
            theta, phi = (_tensor(side).reshape(shape) for side in (affinity.theta, affinity.phi))
            # exp(x) is 2 to the power of x log2(e), which takes less time.
            self._theta = (theta.mT * (affinity.scale * math.log2(math.e))).contiguous()
            self._phi = phi

    def __call__(self, index: NDArray[np.intp]) -> Iterator[Tensor]:
        """(n, M) of each head for the queries in n columns of θ; 0 where no link can exist.

        The next head's rows are written over them, so whoever takes them may change them.
        """
        affinity = self._affinity
        if not affinity.rows_sum_to_one:
            yield from torch.from_numpy(affinity.head_weights_at(index))
            return
        reached, queries = reached_from(affinity.reach, index), torch.from_numpy(index)
        never = None if reached is None else torch.from_numpy(~reached)
        rows = self._phi.new_empty(len(index), affinity.phi.shape[1])
        for theta, phi in zip(self._theta, self._phi, strict=True):
            torch.mm(theta[queries], phi, out=rows)
            if never is not None:
                rows.masked_fill_(never, _NEVER)
            rows.sub_(rows.amax(-1, keepdim=True))
            torch.exp2(rows, out=rows)
            rows.mul_(rows.sum(-1, keepdim=True).reciprocal_())
            if never is not None:
                rows.masked_fill_(never, 0)
            yield rows


def _tensor(array: NDArray[np.float32]) -> Tensor:
    """A copy, for torch takes no array that is read-only without a warning."""
    return torch.from_numpy(array.copy())
