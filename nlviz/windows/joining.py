"""Joining: neighbouring windows as one analysis, whose rows nlviz normalises anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import JOINED, Analysis
from nlviz.clip import Clip
from nlviz.display import listed
from nlviz.errors import QueryError
from nlviz.geometry import Grid, View

NAMED = "windows joined"
"""What stands behind the name of the network, wherever that is written or drawn."""

_NOTE = (
    "These are {count} windows of {network}, joined: each row goes over the keys of all of them "
    "and is normalised anew by nlviz. The network never weighed keys of one window against those "
    "of another."
)


class _Piece(NamedTuple):
    """The time steps of a window's grid that go into the joined one: from, up to."""

    analysis: Analysis
    start: int
    stop: int


def joined(windows: Mapping[int, Analysis], own: int) -> Analysis:
    """Windows that follow each other as one analysis over all of their frames.

    f(x_i, x_j) of a query in one window and a key in another is worked out from their θ and φ, and
    C(x) goes over the keys of all, Eq. (1). Where windows overlap, places of the own window are
    taken from it, and of two others those of the earlier one.

    Only blocks are joined that look from everywhere to everywhere, and so could reach the keys of
    a neighbour; what is refused says why for each of the others. No fidelity is measured, and
    there are no class scores: no network made this.

    Args:
        windows: number of the window → its analysis, in order, at least one.
        own: the number of the window that the query lies in.

    Returns:
        the analysis; that of the own window itself where there is no other.

    Raises:
        QueryError: no block can be joined.
    """
    mine = windows[own]
    if len(windows) == 1:
        return mine
    clip = _clip([windows[number] for number in windows])
    affinities: dict[str, Affinity] = {}
    refused: dict[str, str] = {}
    for block in mine.blocks:
        try:
            affinities[block] = _affinity(block, windows, own, clip)
        except QueryError as why:
            refused[block] = str(why)
    if not affinities:
        raise QueryError(
            f"No block can be asked over several windows: {' '.join(refused.values())}"
        )
    note = _NOTE.format(count=len(windows), network=mine.network)
    sizes = {
        block: _joined_sizes(block, windows, own, clip)
        for block in affinities
        if all(block in each.sizes for each in windows.values())
    }
    return Analysis(
        clip=replace(clip, notes=(*clip.notes, note)),
        view=View(mine.view.source, mine.view.input, clip.indices),
        network=f"{mine.network} ({NAMED})",
        affinities=MappingProxyType(affinities),
        fidelity=MappingProxyType(dict.fromkeys(affinities)),
        refused=MappingProxyType({**mine.refused, **refused}),
        kinds=MappingProxyType(
            {block: f"{mine.kinds.get(block, 'non-local block')} {JOINED}" for block in affinities}
        ),
        places=mine.places,
        sizes=MappingProxyType(sizes),
        weights=mine.weights,
    )


def _clip(analyses: list[Analysis]) -> Clip:
    """The frames of all, each once; no command and no one pass gives this again, so no path."""
    first = analyses[0].clip
    frames: dict[int, tuple[float, NDArray[np.uint8]]] = {}
    for analysis in analyses:
        clip = analysis.clip
        for index, seconds, frame in zip(clip.indices, clip.timestamps, clip.frames, strict=True):
            frames.setdefault(index, (seconds, frame))
    order = sorted(frames)
    return replace(
        first,
        frames=np.stack([frames[index][1] for index in order]),
        indices=tuple(order),
        timestamps=tuple(frames[index][0] for index in order),
        path=None,
    )


def _affinity(block: str, windows: Mapping[int, Analysis], own: int, clip: Clip) -> Affinity:
    mine = windows[own].affinity(block)
    if mine.reach or mine.tokens or not mine.joins_frames:
        what = (
            f"weighs tokens too ({listed(mine.tokens)}), and a window has its own"
            if mine.tokens
            else "looks within a part of its window only"
        )
        raise QueryError(f"Block {block!r} {what}, so it reaches no key of a neighbour.")
    others = [each.affinities.get(block) for each in windows.values()]
    if any(
        each is None or each.query_grid.shape[1:] != mine.query_grid.shape[1:] for each in others
    ):
        raise QueryError(f"Block {block!r} is not the same in the neighbouring windows.")
    query_grid, thetas = _grid(block, windows, own, clip, keys=False)
    key_grid, phis = _grid(block, windows, own, clip, keys=True)
    theta = np.concatenate(thetas, axis=1)
    tied = all(each is not None and np.shares_memory(each.theta, each.phi) for each in others)
    phi = theta if tied else np.concatenate(phis, axis=1)
    return replace(mine, theta=theta, phi=phi, query_grid=query_grid, key_grid=key_grid)


def _grid(
    block: str, windows: Mapping[int, Analysis], own: int, clip: Clip, *, keys: bool
) -> tuple[Grid, list[NDArray[np.float32]]]:
    """One side of a block over all windows: the grid, and the columns of each piece of it."""
    pieces = _pieces(block, windows, own, clip, keys=keys)
    grid = _side(windows[own], block, keys=keys)
    columns = []
    for piece in pieces:
        affinity = piece.analysis.affinity(block)
        array = affinity.phi if keys else affinity.theta
        cells = grid.rows * grid.cols
        columns.append(array[:, piece.start * cells : piece.stop * cells])
    return replace(grid, t=sum(piece.stop - piece.start for piece in pieces)), columns


def _pieces(
    block: str, windows: Mapping[int, Analysis], own: int, clip: Clip, *, keys: bool
) -> list[_Piece]:
    """Which time steps come from which window; QueryError where they do not follow each other."""
    grid = _side(windows[own], block, keys=keys)
    step = len(windows[own].clip.frames) / grid.t if grid.stride is None else grid.stride[0]
    first = step / 2 if grid.first is None else grid.first[0]
    taken: dict[int, tuple[int, int]] = {}  # step of the joined grid → window, its own step
    for number in sorted(windows, key=lambda number: (number != own, number)):
        analysis = windows[number]
        shift = clip.indices.index(analysis.clip.indices[0]) / step
        if shift != round(shift):
            raise QueryError(
                f"Block {block!r} has a time step for every {step:g} frames, and its windows begin "
                "between two of them; choose an overlap that is a multiple of it."
            )
        for t in range(_side(analysis, block, keys=keys).t):
            taken.setdefault(round(shift) + t, (number, t))
    order = sorted(taken)
    if order != list(range(len(order))) or first + step * (len(order) - 1) >= len(clip.frames):
        raise QueryError(f"Block {block!r} has gaps in time between its windows.")
    pieces: list[_Piece] = []
    for number, t in (taken[each] for each in order):
        analysis = windows[number]
        if pieces and pieces[-1].analysis is analysis and pieces[-1].stop == t:
            pieces[-1] = pieces[-1]._replace(stop=t + 1)
        else:
            pieces.append(_Piece(analysis, t, t + 1))
    return pieces


def _side(analysis: Analysis, block: str, *, keys: bool) -> Grid:
    affinity = analysis.affinity(block)
    return affinity.key_grid if keys else affinity.query_grid


def _joined_sizes(
    block: str, windows: Mapping[int, Analysis], own: int, clip: Clip
) -> NDArray[np.float32]:
    """‖W_z g_j‖ of the joined keys: each window's as it was measured there."""
    grid = _side(windows[own], block, keys=True)
    cells = grid.rows * grid.cols
    return np.concatenate(
        [
            piece.analysis.sizes[block][piece.start * cells : piece.stop * cells]
            for piece in _pieces(block, windows, own, clip, keys=True)
        ]
    )
