"""Where the positions of a non-local block lie: those of its feature map, followed from the input.

A block that works on windows, on a crop or on a mirrored map takes them for a whole picture in
order; its affinity is put back to where they come from.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.groups import NO_KEY, NO_QUERY, Group, Groups
from nlviz.hooks.batch import Sample
from nlviz.hooks.nonlocal_blocks.parts import Pass
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.layout import SlotLayout
from nlviz.hooks.places.notes import Note, cores_of

Array = NDArray[np.float32]


def lying(affinity: Affinity, a_pass: Pass, places: Places, sample: Sample) -> Affinity | None:
    """The affinity with its grids where its positions come from; None if that is not known.

    Raises:
        CaptureError: positions that make no grid of the input.
    """
    if not places.clips.frames or places.is_sequence:
        return None
    notes = a_pass.notes
    queries = _positions(places, sample, notes.get("theta") or notes.get("phi"))
    keys = _positions(places, sample, notes.get("phi") or notes.get("theta"))
    if len(queries) != affinity.query_grid.size:
        return None
    pooled = len(keys) != affinity.key_grid.size  # by a call that is no module of the block
    each = queries[None], queries[None] if pooled else keys[None]
    own, other = places.laid_out(*each, alone=sample.number is not None)
    if pooled:
        if not _is_in_order(own):
            raise CaptureError("pools its keys in an order that is not that of the picture")
        grid = own.grid.pooled(affinity.key_grid.shape)
        other = SlotLayout(grid, np.arange(grid.size)[None])
    if own.tokens or other.tokens:
        raise CaptureError("has padding among its positions, or others that are no places")
    if _is_in_order(own) and _is_in_order(other):
        return replace(affinity, query_grid=own.grid, key_grid=other.grid)
    return _moved(affinity, own, other)


def _positions(places: Places, sample: Sample, note: Note | None) -> Tensor:
    """(N,) the places of a feature map (elements, channels, …), of the sample's elements.

    Raises:
        CaptureError: they were lost on the way, or the elements are another sample's.
    """
    shape, cores = cores_of(note, "positions")
    core = places.coordinates.mixed(cores[0], [1])[:, 0]
    core = core.expand(shape[0], *shape[2:])
    mine = core[sample.elements(len(core))].flatten()
    element = places.coordinates.centre(mine)[:, 0]
    other = element[~element.isnan()] != (sample.number or 0)
    if sample.number is not None and len(core) >= sample.batch and bool(other.any()):
        raise CaptureError("runs on a batch in another order than that of the input")
    return mine


def _is_in_order(layout: SlotLayout) -> bool:
    return np.array_equal(layout.columns.ravel(), np.arange(layout.width))


def _moved(affinity: Affinity, queries: SlotLayout, keys: SlotLayout) -> Affinity:
    """Every column where its position lies; the others are of no query and no key."""
    own, other = queries.columns.ravel(), keys.columns.ravel()
    if len(np.unique(own)) != len(own) or len(np.unique(other)) != len(other):
        raise CaptureError("has several positions for one place")

    def columns(tensor: Array, at: NDArray[np.intp], width: int) -> Array:
        made = np.zeros((len(tensor), width), np.float32)
        made[:, at] = tensor
        return made

    def group(groups: Group, at: NDArray[np.intp], width: int, none: int) -> Group:
        made = np.full(width, none, np.int32)
        made[at] = groups
        return made

    everywhere = Groups(np.zeros(len(own), np.int32), np.zeros(len(other), np.int32))
    reach = tuple(
        Groups(
            group(each.query, own, queries.width, NO_QUERY),
            group(each.key, other, keys.width, NO_KEY),
        )
        for each in affinity.reach or (everywhere,)
        if isinstance(each, Groups)
    )
    whole = len(own) == queries.width and len(other) == keys.width
    return replace(
        affinity,
        theta=columns(affinity.theta, own, queries.width),
        phi=columns(affinity.phi, other, keys.width),
        query_grid=queries.grid,
        key_grid=keys.grid,
        reach=affinity.reach if whole and not affinity.reach else reach,
    )
