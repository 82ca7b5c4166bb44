"""From one call of attention to an affinity on a grid, checked against what the call put out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.groups import Groups
from nlviz.hooks.attention.calls import Attended
from nlviz.hooks.attention.token_layout import TokenLayout
from nlviz.hooks.fidelity import checked_queries, even_weights, is_right, relative_error

Array = NDArray[np.float32]

_MOST_BYTES = 512 << 20  # for θ and φ of one block, widened by a bias by position


def affinity_of(call: Attended, queries: TokenLayout, keys: TokenLayout) -> tuple[Affinity, float]:
    """The affinity of a call whose sequences all belong to the sample, and its relative error.

    Args:
        call: what was computed.
        queries: where the slots of the queries lie.
        keys: where those of the keys lie.

    Raises:
        CaptureError: masks that do not form groups, a bias over too many keys, queries and keys
            with different tokens, or an output that the affinity does not reproduce.
    """
    if queries.tokens != keys.tokens:
        raise CaptureError("has queries and keys with different tokens")
    scale = float(call.terms.scale[0]) or 1.0
    each = (call.terms.scale / scale).to(call.query.device)[:, None, None]
    theta = call.query.detach().float() * each
    phi = call.key.detach().float()
    if call.terms.bias is not None:
        theta, phi = _with_bias(theta, phi, call.terms.bias / scale)
    affinity = Affinity(
        "embedded_gaussian",
        _columns(theta, queries).reshape(-1, queries.columns.size),
        _columns(phi, keys).reshape(-1, keys.columns.size),
        queries.grid,
        keys.grid,
        scale,
        heads=theta.shape[1],
        reach=_reach(call.terms.allowed, queries, keys),
        tokens=queries.tokens,
    )
    error = _error(affinity, call, queries, keys)
    if not is_right(error, call.output.dtype):
        raise CaptureError(
            f"puts out something other than its weights give: relative error {error:.2g}"
        )
    return affinity, error


def _columns(tensor: Tensor, layout: TokenLayout) -> Array:
    """(S, H, length, width) as (H, width, columns), each slot where it lies."""
    heads, width = tensor.shape[1], tensor.shape[3]
    columns = np.empty((heads, width, layout.columns.size), np.float32)
    columns[:, :, layout.columns] = tensor.permute(1, 3, 0, 2).cpu().numpy()
    return columns


def _with_bias(theta: Tensor, phi: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """θᵀφ + bias as one product: θ takes the query's row of it, φ says which slot the key is."""
    sequences, heads, n, width = theta.shape
    m = phi.shape[2]
    if 4 * sequences * heads * (n + m) * (width + m) > _MOST_BYTES:
        raise CaptureError(
            f"has a bias by position over {m} keys, which would take more than "
            f"{_MOST_BYTES >> 20} MiB; take fewer frames or a smaller input"
        )
    rows = bias.to(theta.device).expand(sequences, heads, n, m)
    slots = torch.eye(m, device=phi.device).expand(sequences, heads, m, m)
    return torch.cat([theta, rows], dim=-1), torch.cat([phi, slots], dim=-1)


def _reach(allowed: Tensor | None, queries: TokenLayout, keys: TokenLayout) -> tuple[Groups, ...]:
    """Sequences are groups by themselves; a mask splits them further."""
    sequences, n = queries.columns.shape
    m = keys.columns.shape[1]
    if allowed is None and sequences == 1:
        return ()
    of_query, of_key = np.zeros((sequences, n), int), np.zeros((sequences, m), int)
    for s, of_sequence in enumerate(() if allowed is None else allowed.numpy()):
        of_query[s], of_key[s] = _split(of_sequence)
    start = np.arange(sequences)[:, None] * (m + 2)
    query, key = (np.empty(layout.columns.size, int) for layout in (queries, keys))
    query[queries.columns] = of_query + start
    key[keys.columns] = of_key + start
    return (Groups(query, key),)


def _split(allowed: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The group of each query and key of a mask (N, M); CaptureError if it has none."""
    m = allowed.shape[1]
    query = np.where(allowed.any(1), allowed.argmax(1), m)
    key = np.where(allowed.any(0), np.where(allowed, query[:, None], -1).max(0), m + 1)
    if not np.array_equal(allowed, query[:, None] == key):
        raise CaptureError("has a mask that does not split queries and keys into groups")
    return query, key


def _error(affinity: Affinity, call: Attended, queries: TokenLayout, keys: TokenLayout) -> float:
    """The relative error of the outputs of all heads, recomputed for some queries."""
    asked = checked_queries(affinity)
    slots = np.empty(queries.columns.size, int)
    slots[queries.columns.ravel()] = np.arange(queries.columns.size)
    wanted = slots[[affinity.index(query) for query in asked]]
    values = _columns(call.value.detach().float(), keys).transpose(0, 2, 1)  # (H, M, Dv)
    alone = [affinity.head(h) for h in range(affinity.heads)]
    weighed, even = (
        np.concatenate([w @ v for w, v in zip(weights, values, strict=True)], axis=1)
        for weights in (
            [head.weights(asked) for head in alone],
            [even_weights(affinity, asked)] * affinity.heads,
        )
    )
    output = call.output.detach().float().cpu()
    if call.project is not None:
        weight, bias = call.project[0].float().cpu(), call.project[1]
        bias = None if bias is None else bias.float().cpu()
        y = output.flatten(0, 1).numpy()[wanted]
        weighed, even = (
            F.linear(torch.from_numpy(each), weight, bias).numpy() for each in (weighed, even)
        )
    else:
        y = output.transpose(1, 2).flatten(0, 1).flatten(1).numpy()[wanted]
    return relative_error(weighed, even, y, call.output.dtype)
