"""A module and what its own record says of its input, as a ``UserNetwork`` that tells both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from torch import nn

from nlviz.errors import NetworkError
from nlviz.inference.by_name.spec import Spec
from nlviz.inference.by_name.trial import Axes, freedom, leave_as_it_was, takes
from nlviz.inference.by_name.wanted import Wanted
from nlviz.inference.user_network import AxisOrder, Input, UserNetwork
from nlviz.media.filters import Interpolation


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a model's own record says of its input.

    Args:
        source: where it stands, in words.
        size: (width, height) that pictures are made.
        only_size: (width, height) that it takes where it takes no other; None for ``size``.
        mean, deviation: of pixels from 0 to 1.
        interpolation: how pictures are resized.
        channel_order: "RGB" or "BGR".
        layouts: the axes of the input, the likeliest first.
        frames: of a clip; None for a module of pictures.
        frames_step: what another number of frames would be a multiple of.
        multiples: what the sides of another size may be multiples of, the likeliest first.
        classes: names, in the order of the scores.
        channels: 3 or 1.
    """

    source: str
    size: tuple[int, int]
    only_size: tuple[int, int] | None = None
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: Interpolation | None
    channel_order: Literal["RGB", "BGR"] = "RGB"
    layouts: Sequence[AxisOrder] = ("TCHW",)
    frames: int | None = None
    frames_step: int = 1
    multiples: Sequence[int] = (32,)
    classes: tuple[str, ...] = ()
    channels: int = 3


def network_of(
    spec: Spec, module: nn.Module, record: Record, wanted: Wanted, *, what: str, weights: str | None
) -> UserNetwork:
    """The network; what somebody wants goes before what the record says.

    Args:
        what: what the module is and which library made it.
        weights: checksum of its weights' file; None for random ones, and where there is no file.

    Raises:
        NetworkError: a size or a number of frames that the module does not take.
    """
    module.eval()
    said = wanted.said
    count = record.frames or 1
    given = said.get("layout")
    layouts: Sequence[AxisOrder] = record.layouts if given is None else (given,)
    layout = _layout(module, layouts, record, count)
    axes = Axes(layout, record.channels)
    own = record.only_size or record.size
    multiple, step = freedom(module, axes, own, record.frames, record.frames_step, record.multiples)
    leave_as_it_was(module)
    own = own if multiple is None else record.size
    size, by = _size(spec, said.get("size"), own, multiple)
    if said.get("frames", count) != count and step is None:
        raise NetworkError(
            f"{spec.called} takes {count} frame{'s' if count > 1 else ''} and no other number; "
            "leave out frames of its input."
        )
    found: dict[str, Any] = {
        "size": size,
        "multiple": by,
        "mean": record.mean,
        "deviation": record.deviation,
        "frames": record.frames,
        "frames_step": step,
        "layout": layout,
        "classes": () if wanted.random else record.classes,
        "channels": record.channels,
        "channel_order": record.channel_order,
        "interpolation": record.interpolation,
    }
    said = {name: value for name, value in said.items() if name != "size"}
    made = Input(**{**found, **said})
    random = " (random weights)" if wanted.random else ""
    of = "random weights" if wanted.random else f"weights {weights or 'as its code sets them'}"
    by_hand = f"; by hand: {', '.join(wanted.said)}" if wanted.said else ""
    return UserNetwork(
        module,
        made,
        f"{spec.called}{random}",
        weights=None if wanted.random else weights,
        summary=f"{what}; {in_words(made)}; from {record.source}{by_hand}; {of}",
    )


def in_words(made: Input) -> str:
    """An input's record on one line."""
    size = (
        f"longer side {made.size} px, aspect kept, multiples of {made.multiple}"
        if isinstance(made.size, int)
        else f"{made.size[0]}×{made.size[1]} px"
    )
    frames = "frame by frame" if made.layout == "TCHW" else "any number of frames"
    if made.frames is not None:
        frames = f"{made.frames} frames"
        if made.frames_step is not None:
            another = f"multiple of {made.frames_step}" if made.frames_step > 1 else "number"
            frames += f" or another {another}"
    numbers = ", ".join(
        f"{name} {' '.join(f'{value:.4g}' for value in dict.fromkeys(values))}"
        for name, values in (("mean", made.mean), ("deviation", made.deviation))
    )
    order = ", blue first" if made.channel_order == "BGR" else ""
    classes = f"; {len(made.classes)} classes" if made.classes else ""
    return f"input {size}, {made.interpolation or 'area'}, {numbers}{order}; {frames}{classes}"


def _layout(
    module: nn.Module, layouts: Sequence[AxisOrder], record: Record, count: int
) -> AxisOrder:
    """The first of the axes' orders that the module takes; the first where that cannot be told."""
    if len(layouts) == 1:
        return layouts[0]
    return next(
        (
            each
            for each in layouts
            if takes(module, Axes(each, record.channels), record.size, count)
        ),
        layouts[0],
    )


def _size(
    spec: Spec, asked: Any, own: tuple[int, int], multiple: int | None
) -> tuple[int | tuple[int, int], int]:
    """The size of the input, and what its sides are a multiple of."""
    if multiple is None:
        if asked is not None and asked not in (own, max(own)):
            raise NetworkError(
                f"{spec.called} takes {own[0]}×{own[1]} px and no other size; leave the size out."
            )
        return own, 1
    if asked is None:
        return max(own), multiple
    if isinstance(asked, tuple) and any(side % multiple for side in asked):
        raise NetworkError(
            f"{spec.called} takes sides that are multiples of {multiple} px; {asked[0]}×{asked[1]} "
            "is none."
        )
    return cast("int | tuple[int, int]", asked), multiple
