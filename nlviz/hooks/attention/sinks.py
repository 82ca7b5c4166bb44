"""Attention sinks: one more logit in each row, that takes weight and gives nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.groups import NO_KEY, NO_QUERY, Groups, LinkBits, Links
from nlviz.hooks.attention.logits import LogitTerms, terms_of

SINK = "sink"
"""The token that a sink is: a key without a query."""

_ROWS = 32  # that are looked at
_NEVER = -1e4  # no logit is that low: masks are the lowest float or -inf


def terms_beside_a_sink(logits: Tensor, query: Tensor, key: Tensor) -> LogitTerms:
    """The ``LogitTerms`` of logits (b, H, N, M + 1) whose last column is a sink.

    A softmax knows its logits but for a constant of each row, so that they are told beside the
    sink's: what all logits of a head have in common is the sink, turned round.

    Raises:
        CaptureError: the logits depend on more than query, key and position.
    """
    beside = logits[..., :-1].detach().float() - logits[..., -1:].detach().float()
    common = _common(beside, query.detach().float(), key.detach().float())
    terms = terms_of(beside - common[:, None, None], query, key)
    return replace(terms, sink=-common.cpu())


def _common(logits: Tensor, query: Tensor, key: Tensor) -> Tensor:
    """(H,) what all logits of a head have beside a multiple of query · key, by least squares."""
    rows = torch.linspace(0, logits.shape[2] - 1, min(logits.shape[2], _ROWS)).round().long()
    y, x = logits[:, :, rows], query[:, :, rows] @ key.mT
    there = (y > _NEVER).float()
    over, count = (0, 2, 3), there.sum((0, 2, 3)).clamp(min=1)
    y = torch.where(there > 0, y, 0)
    mean_y, mean_x = ((each * there).sum(over) / count for each in (y, x))
    off_y, off_x = (
        (each - mean[:, None, None]) * there for each, mean in ((y, mean_y), (x, mean_x))
    )
    slope = (off_x * off_y).sum(over) / (off_x * off_x).sum(over).clamp(min=1e-30)
    common: Tensor = mean_y - slope * mean_x
    return common


def with_sink(affinity: Affinity, sink: Tensor) -> Affinity:
    """The affinity with one more key, the token ``SINK``, whose logit (H,) is the same for all."""
    heads = affinity.heads
    n, m = affinity.theta.shape[1], affinity.phi.shape[1]
    theta, phi = (
        np.pad(each.reshape(heads, -1, each.shape[1]), ((0, 0), (0, 1), (0, 1)))
        for each in (affinity.theta, affinity.phi)
    )
    theta[:, -1, :n] = 1
    phi[:, -1, m] = sink.numpy() / affinity.scale
    asks = np.any([links.has_query for links in affinity.reach], axis=0) if affinity.reach else True
    query = np.append(np.where(asks, 0, np.full(n, NO_QUERY)), NO_QUERY).astype(np.int32)
    if affinity.reach:
        only = np.full(m + 1, NO_KEY, np.int32)
        only[m] = 0
        reach = (*map(_wider, affinity.reach), Groups(query, only))
    else:
        reach = (Groups(query, np.zeros(m + 1, np.int32)),)
    return replace(
        affinity,
        theta=theta.reshape(-1, n + 1),
        phi=phi.reshape(-1, m + 1),
        reach=reach,
        tokens=(*affinity.tokens, SINK),
    )


def _wider(links: Links) -> Links:
    """The links with one query and one key more, which they leave out."""
    if isinstance(links, LinkBits):
        bits = np.zeros((len(links.bits) + 1, -(-(links.keys + 1) // 8)), np.uint8)
        bits[:-1, : links.bits.shape[1]] = links.bits
        return LinkBits(bits, links.keys + 1)
    until = None if links.until is None else _appended(links.until, NO_QUERY)
    return Groups(_appended(links.query, NO_QUERY), _appended(links.key, NO_KEY), until)


def _appended(numbers: NDArray[np.int32], last: int) -> NDArray[np.int32]:
    return np.append(numbers, np.int32(last)).astype(np.int32)
