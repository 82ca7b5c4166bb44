"""Label propagation: masks of one frame carried to all others by a block's own affinity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import BudgetError, QueryError
from nlviz.geometry import Grid, Point, Region, View
from nlviz.progress import Progress, part_of, silent
from nlviz.tracking.carrying import Carrier, FirstFrame
from nlviz.tracking.cells import Numbers, Soft, decided, enlarged, on_cells, on_object
from nlviz.tracking.protocol import Protocol

Masks = NDArray[np.bool_]

_MOST = 256 << 20  # bytes of all objects' labels on one frame


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """An object carried through the clip.

    Args:
        block: whose affinity carried it.
        frame: the source frame that the mask was given for.
        masks: (T, H, W) float32, how much of each pixel of each sampled frame is on the object, 0
            to 1, at the source's size; read-only. The given frame's mask too is what its cells
            make of it.
        labels: (T', rows, cols) float32, the same on the block's query grid.
        protocol: how it was carried.
    """

    block: str
    frame: int
    masks: Soft
    labels: Soft
    protocol: Protocol

    @property
    def objects(self) -> Masks:
        """(T, H, W): the pixels on the object, by the protocol's decision.

        Labels thin out as they are carried, so the usual one holds each frame's against its
        highest, as in the usual evaluation on DAVIS.
        """
        decision = self.protocol.decision
        return np.stack([decided(mask[None], decision) == 1 for mask in self.masks])


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTracks:
    """Several objects carried through the clip, held on the block's grid and drawn frame by frame.

    Args:
        block: whose affinity carried them.
        frame: the source frame that the masks were given for.
        names: of the objects.
        labels: (T', rows, cols, K) float32, how much of each cell is on each object; read-only.
        protocol: how they were carried.
        view: how source pixels and the grid correspond.
        grid: the block's query grid.
    """

    block: str
    frame: int
    names: tuple[str, ...]
    labels: Soft
    protocol: Protocol
    view: View
    grid: Grid

    def soft(self, position: int) -> Soft:
        """(K, H, W), how much of each pixel of a sampled frame is on each object, 0 to 1."""
        labels = self.labels[self.view.step(position, self.grid)]
        several = np.moveaxis(labels, -1, 0)
        return np.stack([enlarged(np.ascontiguousarray(e), self.view, self.grid) for e in several])

    def numbers(self, position: int) -> Numbers:
        """(H, W) of a sampled frame: 0 on the background, k on the object ``names[k - 1]``."""
        return decided(self.soft(position), self.protocol.decision)

    @property
    def objects(self) -> Numbers:
        """(T, H, W): the same of all sampled frames."""
        return np.stack([self.numbers(position) for position in range(len(self.view.frames))])


def mask_of(analysis: Analysis, block: str, place: Point | Region) -> Masks:
    """(H, W): the inside of a region, or the footprint of a point's cell, as a mask to start from.

    QueryError for a place outside the clip or on a frame that was not sampled, or a region without
    a pixel.
    """
    analysis.view.check(place)
    point = place if isinstance(place, Point) else None
    if isinstance(place, Point):
        grid = analysis.affinity(block).query_grid
        cell = analysis.view.footprint(analysis.view.cell(place, grid), grid)
        place = Region.box(place.frame, cell.x0, cell.y0, cell.x1, cell.y1)
    # Pixel i covers [i, i + 1): whether its centre lies inside decides, as in Region.holds.
    width, height = analysis.clip.width, analysis.clip.height
    x, y = (np.arange(size, dtype=np.float64) + 0.5 for size in (width, height))
    inside = place.inside(x, y)
    if point is not None:  # its cell may be less than a pixel
        inside[int(point.y), int(point.x)] = True
    if not inside.any():
        raise QueryError("The region holds the centre of no pixel; draw it larger.")
    return inside


def track(
    analysis: Analysis,
    block: str,
    mask: Masks,
    *,
    frame: int | None = None,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> Track:
    """Carry a mask of one frame to all sampled frames by a block's affinity; see ``Protocol``.

    Args:
        analysis: the analysis.
        block: whose affinity.
        mask: (H, W) of the clip's size, True on the object.
        frame: the source frame it belongs to; the first sampled one if None.
        protocol: context, radius, number of keys and temperature; the usual ones if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Raises:
        QueryError: an unknown block, a clip of one time step, a mask of another size or without an
            object, a frame that was not sampled, or a block that never looks at other frames or
            has queries or keys on a part of its cells only.
    """
    found = track_objects(
        analysis, block, mask[None], frame=frame, protocol=protocol, progress=progress
    )
    positions = range(len(analysis.clip.indices))
    steps = [found.view.step(position, found.grid) for position in positions]
    drawn = {step: found.soft(steps.index(step))[0] for step in set(steps)}
    masks, labels = np.stack([drawn[step] for step in steps]), found.labels[..., 0]
    masks.flags.writeable = False
    return Track(block, found.frame, masks, labels, found.protocol)


def track_objects(
    analysis: Analysis,
    block: str,
    masks: Masks,
    *,
    names: Sequence[str] | None = None,
    frame: int | None = None,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> ObjectTracks:
    """Carry the masks of several objects on one frame to all sampled frames, in one pass.

    Args:
        analysis, block, frame, protocol, progress: as for ``track``.
        masks: (K, H, W) of the clip's size, True on each object.
        names: of the objects; "1", "2" and so on if None.

    Raises:
        QueryError: what ``track`` raises, or masks of which one is empty.
        BudgetError: more objects than are carried together.
    """
    frame = analysis.clip.indices[0] if frame is None else frame
    names = tuple(names or (str(number) for number in range(1, len(masks) + 1)))
    start = analysis.view.cell(Point(frame, 0, 0), analysis.affinity(block).query_grid).t
    masks = check_masks((analysis.clip.width, analysis.clip.height), masks, names)
    known = {start: labels_of(analysis, block, masks)}
    return carried_on(
        analysis, block, known, names, frame=frame, protocol=protocol, progress=progress
    )


def labels_of(analysis: Analysis, block: str, masks: Masks) -> Soft:
    """(rows, cols, K): how much of each cell of the block's query grid is on each of K masks."""
    grid = analysis.affinity(block).query_grid
    return np.stack([on_cells(mask, analysis.view, grid) for mask in masks], axis=-1)


def carried_on(
    analysis: Analysis,
    block: str,
    known: Mapping[int, Soft],
    names: tuple[str, ...],
    *,
    frame: int,
    protocol: Protocol | None = None,
    first: FirstFrame | None = None,
    progress: Progress | None = None,
) -> ObjectTracks:
    """Labels of some time steps carried to all others.

    Args:
        analysis, block, names, frame, protocol, progress: as for ``track_objects``.
        known: time step → (rows, cols, K): one step; with ``first`` neighbouring ones at one end.
        first: a frame with masks in another window of a long clip, which is in every context.

    Raises:
        QueryError: what ``track_objects`` raises of a block.
    """
    protocol = protocol or Protocol()
    carrier = Carrier(analysis, block, protocol, first)
    affinity, start = carrier.affinity, min(known)
    count = next(iter(known.values())).shape[-1]
    labels = np.zeros((*affinity.query_grid.shape, count), np.float32)
    per_step = affinity.key_grid.rows * affinity.key_grid.cols
    keys = np.zeros((affinity.key_grid.t, per_step, count), np.float32)
    for t, each in known.items():
        labels[t], keys[t] = each, carrier.pool(each)
    carrier.prepare(part_of(progress or silent, 0.0, 0.2))
    report = part_of(progress or silent, 0.2, 1.0)
    steps = carrier.steps(start) if first is None else carrier.steps_after(known)
    for number, (t, context) in enumerate(steps):
        report(number / len(steps), f"carrying the mask with {block}")
        own = start if first is None else None
        labels[t] = carrier.step(t, context, keys[list(context)], own)
        keys[t] = carrier.pool(labels[t])
    report(1.0, "done")
    labels.flags.writeable = False
    return ObjectTracks(block, frame, names, labels, protocol, analysis.view, affinity.query_grid)


def fit_together(size: tuple[int, int], count: int) -> bool:
    """Whether so many objects of a (width, height) frame can be carried in one pass."""
    return count <= 1 or 4 * count * size[0] * size[1] <= _MOST


def check_count(size: tuple[int, int], count: int) -> None:
    """BudgetError for more objects than ``fit_together``."""
    if not fit_together(size, count):
        raise BudgetError(
            f"{count} objects of {size[0]}×{size[1]} pixels are too many to carry together: at "
            f"most {max(1, _MOST // (4 * size[0] * size[1]))} fit; choose fewer, or one."
        )


def check_masks(size: tuple[int, int], masks: Masks, names: Sequence[str]) -> Masks:
    """The masks as True and False.

    QueryError for masks of another size than (width, height), an empty one, one of several labels,
    or other names; BudgetError for more than are carried together.
    """
    if masks.shape[1:] != size[::-1]:
        raise QueryError(
            f"The mask is {masks.shape[2]}×{masks.shape[1]} pixels, the clip {size[0]}×{size[1]}; "
            "give a mask of the clip's size."
        )
    check_count(size, len(masks))
    if len(names) != len(masks):
        raise QueryError(f"{len(masks)} masks need as many names; got {len(names)}.")
    masks = np.stack([on_object(mask) for mask in masks])
    for mask, name in zip(masks, names, strict=True):
        if not mask.any():
            of = f" of object {name!r}" if len(masks) > 1 else ""
            raise QueryError(f"The mask{of} has nothing on the object: all of it is background.")
    return masks
