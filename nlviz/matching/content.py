"""θ and φ by their content alone: without what a block adds by position within one clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity, Array
from nlviz.ask.places import Side

_SINK = "sink"  # the last channel of each head is its logit, see ``hooks.attention.sinks``


def by_content(affinity: Affinity) -> tuple[Array, Array, bool]:
    """θ (heads · C', N) and φ (heads · C', M) without a bias by position; and if there was one.

    A bias by position is held as the last channels of each head, where φ says which slot a key is:
    a single 1 among zeros.
    """
    slots = _slots(affinity)
    if slots is None:
        return affinity.theta, affinity.phi, False
    theta, phi = (
        np.delete(side.reshape(affinity.heads, -1, side.shape[1]), slots, axis=1)
        for side in (affinity.theta, affinity.phi)
    )
    return theta.reshape(-1, theta.shape[2]), phi.reshape(-1, phi.shape[2]), True


def _slots(affinity: Affinity) -> NDArray[np.intp] | None:
    """The channels of a head that say which slot a key is; None where there are none."""
    width = affinity.width // affinity.heads
    keys = Side(affinity, reverse=True).present
    last = width
    if affinity.tokens[-1:] == (_SINK,):
        keys, last = keys & (np.arange(len(keys)) < len(keys) - 1), width - 1
    if keys.sum() < 2:
        return None
    ones = np.zeros(keys.sum(), np.float32)
    for channel in range(last - 1, -1, -1):
        row = affinity.phi[channel, keys]
        if not ((row == 0) | (row == 1)).all():
            return None
        ones += row
        if ones.max() > 1:
            return None
        if ones.min() == 1:
            found = np.arange(channel, last)
            return found if len(found) > 1 else None
    return None
