"""Where the picture's slots lie, proven: cells of the clip are coloured, and their slots answer.

Each cell has a number, and each bit of the numbers is one set of frames in which the cells with
that bit have another colour. The vision tower runs on each with its attention switched off, so
that nothing moves from place to place, and what is put into the decoder at each slot then spells
the number of the cell that lies there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nlviz.clip import Clip
from nlviz.errors import CaptureError
from nlviz.geometry import Cell, Grid, View
from nlviz.language.listening import Decoder, Stopped
from nlviz.language.vision_language import VisionLanguage

_PLAIN, _OTHER = (90, 90, 90), (230, 30, 170)
_LEAST = 1e-3  # of the size of a slot: what another colour must change
_NEARER = 0.7  # times the distance to the other colour: how near a slot must be to one of both


class _Still(TorchFunctionMode):
    """Attention outside the decoder puts out nothing."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        still = getattr(func, "__name__", "") == "scaled_dot_product_attention"
        return torch.zeros_like(out) if still else out


def proven_grid(
    network: VisionLanguage,
    clip: Clip,
    prompt: str,
    inputs: dict[str, Tensor],
    step: Callable[[float], None],
) -> tuple[Grid, NDArray[np.intp]]:
    """The grid of the cells, in source pixels and sampled frames, and the slot of each.

    Args:
        network: the model.
        clip: what it is given.
        prompt: the words beside it.
        inputs: what the processor makes of both.
        step: told which share is done.

    Raises:
        CaptureError: no slot of a picture, or slots that do not answer from where they should lie.
    """
    ids = inputs["input_ids"][0].cpu().numpy()
    slots = np.flatnonzero(np.isin(ids, network.picture_ids))
    if not len(slots):
        raise CaptureError("The model's input has no slot of a picture, so nothing can be seen.")
    view = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    wrong = "they make no grid"
    grids = list(_grids(network, clip, inputs, len(slots)))
    for number, grid in enumerate(grids):
        reading = _Reading(network, clip, prompt, slots)
        told = lambda share, number=number: step((number + share) / len(grids))  # noqa: E731
        wrong = reading.mismatch(grid, view, told)
        if not wrong:
            step(1.0)
            return grid, slots
    raise CaptureError(
        f"Where the {len(slots)} picture slots of {network.name} lie could not be proven: {wrong}."
    )


def _grids(
    network: VisionLanguage, clip: Clip, inputs: dict[str, Tensor], slots: int
) -> Iterator[Grid]:
    """The grids that so many slots may make: over the whole frames, or over a square in them."""
    frames, per = len(clip.frames), 1
    sizes = inputs.get("video_grid_thw")
    if sizes is not None:
        merge = int(getattr(network.model.config.vision_config, "spatial_merge_size", 1))
        t, rows, cols = (int(n) for n in sizes[0])
        shape, per = (t, rows // merge, cols // merge), network.steps
    else:
        side = math.isqrt(slots // frames)
        shape = (frames, side, side)
    if math.prod(shape) != slots:
        return
    video = network.processor.video_processor
    size, crop = (getattr(video, name, None) or {} for name in ("size", "crop_size"))
    least = min(clip.width, clip.height)
    boxes = [(float(clip.width), float(clip.height))]
    edge, height = size.get("shortest_edge"), crop.get("height")
    if edge and height and getattr(video, "do_center_crop", False):
        boxes.insert(0, (least * crop.get("width", height) / edge, least * height / edge))
    for width, height in dict.fromkeys(boxes):
        dx, dy = width / shape[2], height / shape[1]
        left, top = (clip.width - width) / 2, (clip.height - height) / 2
        first = (per / 2, top + dy / 2, left + dx / 2)
        yield Grid(*shape, stride=(float(per), dy, dx), first=first)


class _Reading:
    """What the decoder is given at the slots of the picture, frames by frames."""

    def __init__(
        self, network: VisionLanguage, clip: Clip, prompt: str, slots: NDArray[np.intp]
    ) -> None:
        self.network, self.clip, self.prompt = network, clip, prompt
        self.slots = torch.from_numpy(slots)

    def mismatch(self, grid: Grid, view: View, step: Callable[[float], None]) -> str:
        """Why slots in order are not the cells of a grid in order; "" where they are."""
        bits = max(1, (grid.size - 1).bit_length())
        number = np.arange(grid.size)
        off, on = (self._read(grid, view, np.full(grid.size, on)) for on in (False, True))
        apart = (on - off).norm(dim=-1)
        step(2 / (bits + 2))
        if bool((apart < _LEAST * off.norm(dim=-1)).any()):
            return "some of them do not change with the clip"
        read = np.zeros(grid.size, np.intp)
        for bit in range(bits):
            there = self._read(grid, view, (number >> bit & 1) == 1)
            to_off, to_on = ((there - each).norm(dim=-1) for each in (off, on))
            unsure = torch.minimum(to_off, to_on) > _NEARER * torch.maximum(to_off, to_on)
            if bool(unsure.any()):
                return "some of them answer from several places"
            read |= (to_on < to_off).cpu().numpy().astype(np.intp) << bit
            step((bit + 3) / (bits + 2))
        wrong = np.flatnonzero(read != number)
        return f"{len(wrong)} of them answer from elsewhere" if len(wrong) else ""

    def _read(self, grid: Grid, view: View, coloured: NDArray[np.bool_]) -> Tensor:
        """(cells, C) what stands at the slots where some cells have the other colour."""
        frames = np.empty(self.clip.frames.shape, np.uint8)
        frames[:] = _PLAIN
        position = {frame: at for at, frame in enumerate(self.clip.indices)}
        for index in np.flatnonzero(coloured):
            cell: Cell = grid.cell(int(index))
            box = view.footprint(cell, grid)
            rows, cols = _inside(box.y0, box.y1), _inside(box.x0, box.x1)
            for frame in box.frames:
                frames[position[frame], rows, cols] = _OTHER
        given = self.network.inputs(self.prompt, frames, self.clip)
        decoder = Decoder(self.network.model)
        with decoder.followed(stop=True), _Still(), suppress(Stopped):
            self.network.model(**given, use_cache=False)
        if decoder.embedded is None:
            raise CaptureError(
                f"{type(self.network.model).__name__} gives its decoder no embedded sequence, so "
                "the places of its picture slots cannot be proven."
            )
        return decoder.embedded[0].float()[self.slots.to(decoder.embedded.device)]


def _inside(start: float, end: float) -> slice:
    """The pixels of an edge without an eighth of it at both ends: resizing mixes what is there."""
    room = (end - start) / 8
    first = round(start + room)
    return slice(first, max(round(end - room), first + 1))
