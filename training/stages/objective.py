"""What a row of f/C should be: the true places of the query's scene point in other frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IGNORED = 255  # a layer number: covered up after rendering, neither query nor target


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Layer and place of each cell of a grid: (T·H·W,) and (T·H·W, 2), and the frame of each."""

    layer: Tensor
    place: Tensor
    frame: Tensor


def truth_at(layers: np.ndarray, places: np.ndarray, *, stride: int, pooled: bool = False) -> Truth:
    """The renderer's truth at the centres of a stride's cells, or of those cells pooled by two."""
    start, step = (stride, 2 * stride) if pooled else (stride // 2, stride)
    rows = np.arange(start, layers.shape[1], step)
    cols = np.arange(start, layers.shape[2], step)
    if pooled:  # the pooling drops an odd last cell
        rows = rows[: -(-layers.shape[1] // stride) // 2]
        cols = cols[: -(-layers.shape[2] // stride) // 2]
    layer = layers[:, rows][:, :, cols]
    frame = np.broadcast_to(np.arange(len(layers))[:, None, None], layer.shape)
    return Truth(
        torch.tensor(layer.reshape(-1).astype(np.int64)),
        torch.tensor(places[:, rows][:, :, cols].reshape(-1, 2)),
        torch.tensor(frame.reshape(-1).copy()),
    )


def choose_queries(truth: Truth, count: int, rng: np.random.Generator) -> Tensor:
    """Indices of queries, half of them on objects where there are enough."""
    layer = truth.layer.numpy()
    objects = np.nonzero((layer > 0) & (layer != IGNORED))[0]
    background = np.nonzero(layer == 0)[0]
    objects = rng.permutation(objects)[: count // 2]
    background = rng.permutation(background)[: count - len(objects)]
    return torch.tensor(np.concatenate([objects, background]))


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """For n queries and M keys: where the rows should be, and which keys count.

    ``places`` (n, M): each row sums to 1, or to 0 where the place shows in no other frame.
    ``layer`` (n, M) bool: keys on the query's own layer; ``counted`` (n, M) bool: keys of other
    frames. A query whose place shows nowhere else is asked for nothing.
    """

    places: Tensor
    layer: Tensor
    counted: Tensor

    def to(self, device: torch.device) -> Aim:
        """The same on a device."""
        return Aim(self.places.to(device), self.layer.to(device), self.counted.to(device))


def aim_at(queries: Truth, keys: Truth, chosen: Tensor, *, near: float) -> Aim:
    """The aim of the chosen queries: a Gaussian of ``near`` pixels around each true place."""
    others = queries.frame[chosen][:, None] != keys.frame[None]
    alike = (queries.layer[chosen][:, None] == keys.layer[None]) & (keys.layer != IGNORED)[None]
    alike &= others
    distance = torch.cdist(queries.place[chosen], keys.place)
    exact = torch.exp(-0.5 * (distance / near) ** 2) * (alike & (distance < 2.5 * near))
    return Aim(_rows(exact * (exact.sum(1, keepdim=True) > 1e-3)), alike, others)


def affinity_loss(logits: Tensor, aim: Aim, *, layer: float) -> Tensor:
    """How far rows, the softmax of (n, M) logits over the keys of other frames, are from the aim.

    The cross-entropy with the aim's places, and ``layer`` times minus the log of a row's share on
    the query's own layer: that asks for the whole thing without asking for a flat row.
    """
    rows = logits.masked_fill(~aim.counted, -1e4).log_softmax(1)
    asked = aim.places.sum(1) > 0
    places = -(aim.places * rows).sum(1)
    share = -rows.masked_fill(~aim.layer, -1e4).logsumexp(1)
    total = (places + layer * share)[asked]
    return total.sum() / max(len(total), 1)


def _rows(weights: Tensor) -> Tensor:
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
