"""Both clips as one, the second behind the first, for viewer, pages, films and sessions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.affinity import Affinity, Array
from nlviz.analysis import Analysis
from nlviz.ask.places import Side
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.geometry import Grid, Point, View
from nlviz.groups import NO_KEY, NO_QUERY, Groups
from nlviz.matching.pairing import UNWEIGHED, Pairing

MATCHED = f"two clips matched by nlviz: {UNWEIGHED}"
"""What stands behind the name of the network, wherever that is written or drawn."""

_GREY = 96  # of what a frame of the second clip leaves free


@dataclass(frozen=True, slots=True)
class Behind:
    """Where the frames of the second clip lie in the whole.

    Args:
        frame: what its frame 0 is called there.
        scale: pixels of the whole for one of its own.
        left, top: where its first pixel lies.
        source: (width, height) of its own frames.
    """

    frame: int
    scale: float
    left: float
    top: float
    source: tuple[int, int]

    @classmethod
    def of(cls, here: Analysis, there: Analysis) -> Behind:
        """As large as fits into a frame of the first clip, in its middle."""
        (width, height), own = here.view.source, there.view.source
        scale = min(width / own[0], height / own[1])
        left, top = (width - own[0] * scale) / 2, (height - own[1] * scale) / 2
        return cls(max(here.clip.total, here.view.frames[-1] + 1), scale, left, top, own)

    def point(self, point: Point) -> Point:
        """The place of the second clip that a place of the whole is, clipped into its frame."""
        x, y = (
            min(max((at - start) / self.scale, 0.0), math.nextafter(size, 0.0))
            for at, start, size in zip(
                (point.x, point.y), (self.left, self.top), self.source, strict=True
            )
        )
        return Point(point.frame - self.frame, x, y)


def as_one_clip(pairings: Sequence[Pairing]) -> Analysis:
    """Pairings of the same two clips as one analysis, a block each: ask in the first clip's frames.

    The second clip's frames follow the first's, drawn to fit and numbered on; ``Behind`` leads
    back. Queries lie on the first clip alone and keys on the second, so that whatever draws an
    analysis draws this one. No fidelity is measured and there are no class scores, as no network
    made it; its notes and the kind of each block say so.

    Args:
        pairings: at least one; all of the same two analyses.

    Raises:
        QueryError: pairings of different analyses, or none.
    """
    if not pairings:
        raise QueryError("There is nothing to draw; give a pairing.")
    first = pairings[0]
    here, there = first.here, first.there
    if any((each.here, each.there) != (here, there) for each in pairings):
        raise QueryError("Pairings of several clips make no one clip; give those of the same two.")
    behind = Behind.of(here, there)
    clip = _clip(here.clip, there.clip, behind, first)
    affinities = {each.name: _affinity(each, behind) for each in pairings}
    return Analysis(
        clip=clip,
        view=View(here.view.source, here.view.input, clip.indices),
        network=f"{here.network} ({MATCHED})",
        affinities=MappingProxyType(affinities),
        fidelity=MappingProxyType(dict.fromkeys(affinities)),
        kinds=MappingProxyType({each.name: each.kind for each in pairings}),
        weights=here.weights,
    )


def _clip(here: Clip, there: Clip, behind: Behind, pairing: Pairing) -> Clip:
    """The frames of both; no command and no one pass gives this again, so it has no path."""
    fitted = np.stack([_fitted(frame, here, behind) for frame in there.frames])
    start = here.timestamps[-1] + _step(here)
    last = behind.frame + there.indices[-1]
    note = (
        f"Frames {behind.frame + there.indices[0]} to {last} are frames {there.indices[0]} to "
        f"{there.indices[-1]} of '{there.name}'; ask in those before. Both clips went through "
        f"{pairing.here.network} by themselves; {UNWEIGHED}."
    )
    return Clip(
        frames=np.concatenate([here.frames, fitted]),
        indices=(*here.indices, *(behind.frame + index for index in there.indices)),
        timestamps=(
            *here.timestamps,
            *(start + seconds - there.timestamps[0] for seconds in there.timestamps),
        ),
        name=f"{here.name} → {there.name}",
        total=behind.frame + max(there.total, there.indices[-1] + 1),
        notes=(note,),
    )


def _step(clip: Clip) -> float:
    """Seconds between two frames."""
    count = len(clip.frames)
    return (clip.timestamps[-1] - clip.timestamps[0]) / (count - 1) if count > 1 else 1.0


def _fitted(frame: NDArray[np.uint8], here: Clip, behind: Behind) -> NDArray[np.uint8]:
    if frame.shape[:2] == (here.height, here.width):
        return frame
    width, height = (max(1, round(size * behind.scale)) for size in behind.source)
    left, top = round(behind.left), round(behind.top)
    how = cv2.INTER_AREA if behind.scale < 1 else cv2.INTER_LINEAR
    whole = np.full((here.height, here.width, 3), _GREY, np.uint8)
    part = whole[top : top + height, left : left + width]
    part[:] = cv2.resize(frame, (width, height), interpolation=how)[
        : part.shape[0], : part.shape[1]
    ]
    return whole


def _affinity(pairing: Pairing, behind: Behind) -> Affinity:
    """The same weights on grids over the whole, without queries behind and keys before."""
    here, there, affinity = pairing.here, pairing.there, pairing.affinity
    frames = len(here.view.frames), len(there.view.frames)
    query_grid, more = _with_steps_after(here.view, affinity.query_grid, frames)
    key_grid, before = _with_steps_before(pairing, behind, frames)
    queries = Side(affinity).present
    keys = Side(affinity, reverse=True).present
    n, m = affinity.query_grid.size, affinity.key_grid.size
    reach = Groups(
        np.where(_spread(queries, n, 0, more), 0, NO_QUERY),
        np.where(_spread(keys, m, before, 0), 0, NO_KEY),
    )
    return replace(
        affinity,
        theta=_widened(affinity.theta, n, 0, more),
        phi=_widened(affinity.phi, m, before, 0),
        query_grid=query_grid,
        key_grid=key_grid,
        reach=(reach,),
    )


def _with_steps_after(view: View, grid: Grid, frames: tuple[int, int]) -> tuple[Grid, int]:
    """The query grid with steps over the second clip's frames, and how many cells these are."""
    stride, first = _axes(view, grid, 0)
    step, start = stride[0], first[0]
    if start + step * (grid.t - 0.5) > frames[0]:  # it would reach over the first clip's end
        step = frames[0] / grid.t
        start = step / 2
    more = max(0, math.ceil((sum(frames) - start - step * (grid.t - 0.5)) / step - 1e-9))
    wider = Grid(grid.t + more, grid.rows, grid.cols, (step, *stride[1:]), (start, *first[1:]))
    return wider, more * grid.rows * grid.cols


def _with_steps_before(
    pairing: Pairing, behind: Behind, frames: tuple[int, int]
) -> tuple[Grid, int]:
    """The key grid where the second clip lies, with steps over the first one's frames before."""
    grid, view, whole = pairing.affinity.key_grid, pairing.there.view, pairing.here.view
    stride, first = _axes(view, grid, frames[0])
    step, start = stride[0], first[0]
    if start - step / 2 < frames[0]:  # it would reach over the first clip's end
        step = frames[1] / grid.t
        start = frames[0] + step / 2
    before = math.ceil((start - step / 2) / step - 1e-9)
    # In pixels of the second clip, then of the whole, then of the first network's input.
    down, right = (
        (
            stride[axis] * own / given * behind.scale * into / size,
            (first[axis] * own / given * behind.scale + shift) * into / size,
        )
        for axis, own, given, shift, into, size in (
            (1, view.source[1], view.input[1], behind.top, whole.input[1], whole.source[1]),
            (2, view.source[0], view.input[0], behind.left, whole.input[0], whole.source[0]),
        )
    )
    wider = Grid(
        grid.t + before,
        grid.rows,
        grid.cols,
        (step, down[0], right[0]),
        (start - before * step, down[1], right[1]),
    )
    return wider, before * grid.rows * grid.cols


def _axes(
    view: View, grid: Grid, frames: int
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Stride and first of a grid in its own view, its frames moved on by so many."""
    if grid.stride is not None and grid.first is not None:
        stride, first = grid.stride, grid.first
    else:
        extent = (len(view.frames), view.input[1], view.input[0])
        t, down, right = (whole / cells for whole, cells in zip(extent, grid.shape, strict=True))
        stride, first = (t, down, right), (t / 2, down / 2, right / 2)
    return stride, (first[0] + frames, *first[1:])


def _widened(columns: Array, cells: int, before: int, after: int) -> Array:
    """(width, before + cells + after + tokens), 0 where nothing is."""
    width, count = columns.shape
    wider = np.zeros((width, before + count + after), np.float32)
    wider[:, before : before + cells] = columns[:, :cells]
    wider[:, before + cells + after :] = columns[:, cells:]
    return wider


def _spread(present: NDArray[np.bool_], cells: int, before: int, after: int) -> NDArray[np.bool_]:
    wider = np.zeros(before + len(present) + after, np.bool_)
    wider[before : before + cells] = present[:cells]
    wider[before + cells + after :] = present[cells:]
    return wider
