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


def targets(
    queries: Truth, keys: Truth, chosen: Tensor, *, near: float, same_object: float
) -> Tensor:
    """What the rows of f/C should be: (n, M), each row summing to 1, or to 0 where nothing shows.

    A Gaussian of ``near`` pixels around the true place in each other frame; on objects a share
    ``same_object`` of the weight is spread over the whole object.
    """
    alike = (queries.layer[chosen][:, None] == keys.layer[None]) & (keys.layer != IGNORED)[None]
    alike &= queries.frame[chosen][:, None] != keys.frame[None]
    distance = torch.cdist(queries.place[chosen], keys.place)
    exact = torch.exp(-0.5 * (distance / near) ** 2) * (alike & (distance < 2.5 * near))
    share = torch.where(queries.layer[chosen] > 0, same_object, 0.0)[:, None]
    mixed = (1 - share) * _rows(exact) + share * _rows(alike.float())
    return _rows(mixed * (exact.sum(1, keepdim=True) > 1e-3))


def affinity_loss(logits: Tensor, aim: Tensor, own: Tensor, frames: Tensor) -> Tensor:
    """Cross-entropy of the softmax of (n, M) logits over the keys of other frames."""
    logits = logits.masked_fill(own[:, None] == frames[None], -1e4)
    loss = -(aim * logits.log_softmax(1)).sum(1)
    return loss.sum() / (aim.sum(1) > 0).sum().clamp(min=1)


def _rows(weights: Tensor) -> Tensor:
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-6)
