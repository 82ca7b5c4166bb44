"""From one call of attention to an affinity on a grid, checked against what the call put out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.geometry import Cell, Grid
from nlviz.groups import reached_from
from nlviz.hooks.attention.calls import Attended
from nlviz.hooks.attention.masks import reach_of
from nlviz.hooks.attention.placing import placed
from nlviz.hooks.attention.sinks import with_sink
from nlviz.hooks.batch import Sample
from nlviz.hooks.fidelity import checked_queries, even_weights, is_right, relative_error
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.layout import SlotLayout

Array = NDArray[np.float32]

_MOST_BYTES = 512 << 20  # for θ and φ of one block, widened by a bias by position
_AT_ONCE = 1 << 19  # bytes of slots that are turned into columns while they are in the cache


def affinity_of(call: Attended | str, places: Places, sample: Sample) -> tuple[Affinity, float]:
    """The affinity of the sample's part of a call, and its relative error.

    Args:
        call: what was computed, or why it could not be seen.
        places: what the pass has shown of places.
        sample: what of each batch to keep.

    Raises:
        CaptureError: places that are not known or make no grid, a mask or a bias
            over too many keys, or an output that the affinity does not reproduce.
    """
    if isinstance(call, str):
        raise CaptureError(call)
    return _checked(*sample_of(call, places, sample))


def sample_of(
    call: Attended, places: Places, sample: Sample
) -> tuple[Attended, SlotLayout, SlotLayout]:
    """The sample's part of a call, and in which columns its queries and keys lie.

    Raises:
        CaptureError: places that are not known or make no grid.
    """
    if 0 in (*call.query.shape, *call.key.shape):
        raise CaptureError("has no queries or no keys")
    mine, queries, keys = placed(call, places, sample)
    if not _alike(mine.key, keys) or not _alike(mine.value, keys):
        mine, queries, keys = placed(call, places, sample, apart=True)
        if not _alike(mine.key, keys) or not _alike(mine.value, keys):
            raise CaptureError("has different keys for one place in several sequences")
    if _has_repeats(queries):
        raise CaptureError("asks from one place in several sequences")
    return mine, queries, keys


def columns_of(tensor: Tensor, layout: SlotLayout) -> Array:
    """(S, H, length, width) of a sample as (H, width, columns), as θ and φ lie; 0 where none is."""
    return _columns(tensor, layout)


def _checked(call: Attended, queries: SlotLayout, keys: SlotLayout) -> tuple[Affinity, float]:
    scale = float(call.terms.scale[0]) or 1.0
    each = (call.terms.scale / scale).to(call.query.device)[:, None, None]
    theta = call.query if bool((each == 1).all()) else call.query.detach().float() * each
    theta_too, phi_too = _bias_as_product(call, scale)
    affinity = Affinity(
        "embedded_gaussian",
        _columns(theta, queries, theta_too).reshape(-1, queries.width),
        _columns(call.key, keys, phi_too).reshape(-1, keys.width),
        queries.grid,
        keys.grid,
        scale,
        heads=theta.shape[1],
        reach=reach_of(call.terms, queries, keys),
        tokens=queries.tokens,
    )
    if call.terms.sink is not None:
        affinity = with_sink(affinity, call.terms.sink)
    error = _error(affinity, call, queries, keys)
    if not is_right(error, call.output.dtype):
        raise CaptureError(
            f"puts out something other than its weights give: relative error {error:.2g}"
        )
    return affinity, error


def _columns(tensor: Tensor, layout: SlotLayout, too: Tensor | None = None) -> Array:
    """(S, H, length, width) as (H, width, columns), each slot where it lies; 0 where none does.

    ``too``, (H, length, more), is more of the width, the same in every sequence.
    """
    _, heads, length, width = tensor.shape
    slots = tensor.detach().float().cpu().transpose(1, 2).reshape(-1, heads, width)
    slot = _slots_at(layout)
    at = torch.from_numpy(np.maximum(slot, 0))
    more = 0 if too is None else too.shape[2]
    laid = torch.empty(heads, width + more, layout.width, dtype=torch.float32)
    step = max(_AT_ONCE // (4 * heads * (width + more)), 1)
    for start in range(0, layout.width, step):
        some = slice(start, start + step)
        laid[:, :width, some] = slots.index_select(0, at[some]).permute(1, 2, 0)
    columns: Array = laid.numpy()
    if too is not None:
        among = (at % length).numpy()
        for given, into in zip(too.mT.contiguous().numpy(), columns[:, width:], strict=True):
            np.take(given, among, axis=1, out=into, mode="clip")  # "raise" would write a copy first
    if slot.min(initial=0) < 0:
        columns[:, :, slot < 0] = 0
    return columns


def _slots_at(layout: SlotLayout) -> NDArray[np.intp]:
    """(columns,) the slot, counted over all sequences, that lies in each column; −1 where none."""
    slots = np.full(layout.width, -1)
    slots[layout.columns.ravel()] = np.arange(layout.columns.size)
    return slots


def _has_repeats(layout: SlotLayout) -> bool:
    """Whether slots of several sequences lie in one column."""
    return bool((np.bincount(layout.columns.ravel(), minlength=1) > 1).any())


def _alike(tensor: Tensor, layout: SlotLayout) -> bool:
    """Whether slots of one column are the same (S, H, length, width) in every sequence."""
    if not _has_repeats(layout):
        return True
    columns = _columns(tensor, layout)
    given = tensor.detach().float().permute(1, 3, 0, 2).cpu().numpy()
    off = np.abs(columns[:, :, layout.columns] - given)
    return float(off.max()) <= 1e-4 * max(float(np.abs(given).max()), 1e-30)


def _bias_as_product(call: Attended, scale: float) -> tuple[Tensor | None, Tensor | None]:
    """A bias by position as more channels of θ and φ, (H, N, M) and (H, M, M).

    θ takes the query's row of it, φ says which slot the key is.
    """
    if call.terms.bias is None:
        return None, None
    sequences, heads, n, width = call.query.shape
    m = call.key.shape[2]
    if 4 * sequences * heads * (n + m) * (width + m) > _MOST_BYTES:
        raise CaptureError(
            f"has a bias by position over {m} keys, which would take more than "
            f"{_MOST_BYTES >> 20} MiB; take fewer frames or a smaller input"
        )
    bias = call.terms.bias.cpu().expand(heads, n, m) / scale
    return bias, torch.eye(m, dtype=torch.float32).expand(heads, m, m)


def _error(affinity: Affinity, call: Attended, queries: SlotLayout, keys: SlotLayout) -> float:
    """The relative error of the outputs of all heads, recomputed for some queries."""
    slots = _slots_at(queries)
    there = slots >= 0
    grid = affinity.query_grid
    tokens = [affinity.tokens[i] for i in np.flatnonzero(there[grid.size :])]
    asked = checked_queries(grid, np.flatnonzero(there[: grid.size]), tokens)
    wanted = slots[[affinity.index(query) for query in asked]]
    affinity, kept = _reached_alone(affinity, asked)
    values = _some_columns(call.value, keys, kept[kept < keys.width])  # (H, M, Dv)
    weighed, even = (
        np.concatenate([*(weights[..., : values.shape[1]] @ values)], axis=1)
        for weights in (affinity.head_weights(asked), even_weights(affinity, asked))
    )
    output = call.output.detach()
    s, i = (torch.from_numpy(at) for at in np.divmod(wanted, queries.columns.shape[1]))
    y = output[s, i] if call.project is not None else output[s, :, i].flatten(1)
    if call.project is not None:
        weight, bias = call.project[0].float().cpu(), call.project[1]
        bias = None if bias is None else bias.float().cpu()
        weighed, even = (
            F.linear(torch.from_numpy(each), weight, bias).numpy() for each in (weighed, even)
        )
    return relative_error(weighed, even, y.float().cpu().numpy(), output.dtype)


def _reached_alone(
    affinity: Affinity, asked: Sequence[Cell | str]
) -> tuple[Affinity, NDArray[np.intp]]:
    """The affinity with those keys alone that some queries can reach, and which they are."""
    index = np.array([affinity.index(query) for query in asked], dtype=np.intp)
    reached = reached_from(affinity.reach, index)
    if reached is None:
        return affinity, np.arange(affinity.phi.shape[1])
    cells = affinity.key_grid.size
    there = np.flatnonzero(reached[:, :cells].any(axis=0))
    if there.size == cells:
        return affinity, np.arange(affinity.phi.shape[1])
    there = there if there.size else np.zeros(1, np.intp)
    kept = np.concatenate([there, np.arange(cells, affinity.phi.shape[1])])
    less = replace(
        affinity,
        phi=np.take(affinity.phi, kept, axis=1),
        key_grid=Grid(1, 1, len(there)),
        reach=tuple(each.of(slice(None), kept) for each in affinity.reach),
    )
    return less, kept


def _some_columns(tensor: Tensor, layout: SlotLayout, columns: NDArray[np.intp]) -> Array:
    """(H, columns, width) of (S, H, length, width): the slots of some columns."""
    sequences, heads, length, width = tensor.shape
    at = torch.from_numpy(np.maximum(_slots_at(layout)[columns], 0))
    slots = tensor.detach().transpose(1, 2).reshape(sequences * length, heads, width)
    some: Array = slots[at].float().cpu().transpose(0, 1).numpy()
    return some
