"""One layer's pairwise weights over a mixed sequence: θ of the slots that are asked, φ of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import QueryError
from nlviz.groups import Links

Array = NDArray[np.float32]

_NEVER = np.float32(-1e30)  # the logit of a link that the mask forbids


@dataclass(frozen=True, slots=True, eq=False)
class LayerWeights:
    """f/C of some queries over all M slots: softmax(scale · θᵀφ) of what the mask lets through.

    Heads of queries share heads of keys in order: H / K of them each.

    Args:
        theta: (H, n, D) the queries that are held, after their rotation.
        phi: (K, M, D) all keys, after theirs.
        scale: factor on the logits.
        links: which of the (n, M) links exist, as a rule where there is one.
    """

    theta: Array
    phi: Array
    scale: float
    links: Links

    @property
    def heads(self) -> int:
        """H, how many heads of queries there are."""
        return len(self.theta)

    @property
    def nbytes(self) -> int:
        """What it holds, in bytes."""
        return (
            self.theta.nbytes + self.phi.nbytes + sum(a.nbytes for a in self.links.arrays.values())
        )

    def head_rows(self, which: NDArray[np.intp], head: int) -> Array:
        """(len(which), M): the rows of some held queries in one head; each sums to 1."""
        key = self.phi[head * len(self.phi) // self.heads]
        logits: Array = np.float32(self.scale) * (self.theta[head, which] @ key.T)
        reached = self.links.rows(which)
        logits[~reached] = _NEVER
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits[~reached] = 0
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def rows(self, which: NDArray[np.intp], head: int | None = None) -> Array:
        """The same in one head, or the mean over all; QueryError for a head there is not."""
        if head is not None:
            if not 0 <= head < self.heads:
                raise QueryError(
                    f"Head {head} does not exist; choose 0 to {self.heads - 1}, or none for their "
                    "mean."
                )
            return self.head_rows(which, head)
        total = self.head_rows(which, 0)
        for each in range(1, self.heads):
            total += self.head_rows(which, each)
        total /= np.float32(self.heads)
        return total
