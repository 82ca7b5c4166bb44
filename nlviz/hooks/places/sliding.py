"""Operations that look through windows: padding, convolutions, pools and resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.hooks.places import windows
from nlviz.hooks.places.calls import Call, Rule
from nlviz.hooks.places.coordinates import Coordinates
from nlviz.hooks.places.elementwise import by_weights
from nlviz.hooks.places.notes import Note
from nlviz.hooks.places.windows import Windows

UPSAMPLES = (
    *(f"upsample_nearest{n}d" for n in (1, 2, 3)),
    *(f"_upsample_nearest_exact{n}d" for n in (1, 2, 3)),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)


def pad(call: Call) -> list[Note | None]:
    """What is put around is padding, whether zeros, or copies of the edge or its mirror image.

    An axis that goes round, as a panorama's, has cells there; so has a single step that is
    repeated: it is the same one.
    """
    pads, mode = list(call.argument(1, "pad")), call.argument(2, "mode", default="constant")
    shape = call.shape

    def padded(core: Tensor) -> Tensor:
        for i in range(len(pads) // 2):
            before, after = pads[2 * i : 2 * i + 2]
            axis = len(shape) - 1 - i
            n = shape[axis]
            if not (before or after) or (core.shape[axis] == 1 and n > 1):
                continue
            if n == 1 and mode != "constant":
                continue
            if n == 1:
                parts = [core.new_full(core.shape, Coordinates.padding)] * before
                parts += [core, *[core.new_full(core.shape, Coordinates.padding)] * after]
                core = torch.cat(parts, axis)
                continue
            at = torch.arange(-before, n + after, dtype=torch.float32)
            if mode == "circular":
                at = at % n
            core = windows.resampled(call.coordinates, core, axis, at, 1.0)
        return core

    return [call.note(call.outs[0], padded)]


def convolve(call: Call) -> list[Note | None]:
    """Convolutions, transposed ones as well."""
    weight = call.argument(1, "weight")
    if call.of(call.first) is None:
        return by_weights(call)
    n = weight.ndim - 2
    back = call.name.startswith("conv_transpose")
    stride = _for_each_axis(call.argument(3, "stride", default=1), n)
    padding = call.argument(4, "padding", default=0)
    dilation = _for_each_axis(call.argument(7 if back else 5, "dilation", default=1), n)
    kernel = tuple(weight.shape[2:])
    if isinstance(padding, str):
        spread = [d * (k - 1) * (padding == "same") for d, k in zip(dilation, kernel, strict=True)]
        around = [(s // 2, s - s // 2) for s in spread]
    else:
        around = [(p, p) for p in _for_each_axis(padding, n)]
    return _slide(call, kernel, stride, around, dilation, adds=True, back=back)


def pool(call: Call) -> list[Note | None]:
    """Pools with windows of one size."""
    n = int(call.name.removesuffix("_with_indices")[-2])
    powers = call.name.startswith("lp")  # it has the power before the kernel, and no padding
    kernel = _for_each_axis(call.argument(2 if powers else 1, "kernel_size"), n)
    stride = _for_each_axis(call.argument(3 if powers else 2, "stride") or kernel, n)
    padding = 0 if powers else call.argument(3, "padding", default=0)
    dilation = (1,) * n
    if call.name.startswith("max"):
        dilation = _for_each_axis(call.argument(4, "dilation", default=1), n)
    return _slide(call, kernel, stride, [(p, p) for p in _for_each_axis(padding, n)], dilation)


def _slide(
    call: Call,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    *,
    adds: bool = False,
    back: bool = False,
) -> list[Note | None]:
    """Windows of a convolution or pool; ``back`` for a transposed one."""
    places, out, n = call.coordinates, call.outs[0], len(kernel)
    base = out.ndim - n
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    every = [
        Windows(*each) for each in zip(spans, stride, padding, tuple(out.shape[base:]), strict=True)
    ]

    def windowed(core: Tensor) -> Tensor:
        core = places.mixed(core, [base - 1]) if adds else core
        for axis, each in enumerate(every, base):
            if not back:
                core = windows.through(places, core, axis, each)
            elif core.shape[axis] > 1:
                step = torch.arange(each.count, dtype=torch.float32)
                at = (step + each.padding[0] - (each.span - 1) / 2) / each.stride
                core = windows.resampled(places, core, axis, at, 1 / each.stride)
        return core

    return [call.note(out, windowed)]


def resize(call: Call) -> list[Note | None]:
    """Adaptive pools and pixel (un)shuffling: an axis is read at another rate."""
    out, shape = call.outs[0], call.shape
    shuffles = call.name.startswith("pixel")
    n = 2 if shuffles else int(call.name.removesuffix("_with_indices")[-2])
    places, channels = call.coordinates, out.ndim - 3
    axes = [(axis, shape[axis], out.shape[axis]) for axis in range(out.ndim - n, out.ndim)]

    def resized(core: Tensor) -> Tensor:
        core = places.mixed(core, [channels]) if shuffles else core
        for axis, old, new in axes:
            if core.shape[axis] > 1 and old != new:
                at = (torch.arange(new, dtype=torch.float32) + 0.5) * (old / new) - 0.5
                core = windows.resampled(places, core, axis, at, old / new)
        return core

    return [call.note(out, resized)]


def interpolate(call: Call) -> list[Note | None]:
    """Interpolation; the nearest is the step that torch itself reads."""
    out, shape, places = call.outs[0], call.shape, call.coordinates
    n = out.ndim - 2
    if call.name.lstrip("_").startswith("upsample_"):
        mode, corners, scales = _told_by_name(call, n)
    else:
        mode = call.argument(3, "mode", default="nearest")
        corners = bool(call.argument(4, "align_corners"))
        scales = _for_each_axis(call.argument(2, "scale_factor"), n)
        if mode == "area" or call.argument(5, "recompute_scale_factor"):
            scales = (None,) * n
    double = out.dtype == torch.double
    axes = list(zip(range(2, out.ndim), shape[2:], out.shape[2:], scales, strict=True))

    def read(core: Tensor) -> Tensor:
        for axis, old, new, scale in axes:
            step = 1 / scale if scale else old / new
            if core.shape[axis] == 1 or (old, step) == (new, 1):
                continue
            if "nearest" in mode and step >= 1:
                line = torch.arange(old, dtype=torch.double if double else torch.float32)
                size = {"scale_factor": scale} if scale else {"size": new}
                at, step = F.interpolate(line[None, None], **size, mode=mode)[0, 0], 1.0
            elif corners and new > 1:
                at = torch.arange(new, dtype=torch.float32) * ((old - 1) / (new - 1))
            else:
                at = (torch.arange(new, dtype=torch.float32) + 0.5) * step - 0.5
            core = windows.resampled(places, core, axis, at.float(), step)
        return core

    return [call.note(out, read)]


def _told_by_name(call: Call, n: int) -> tuple[str, bool, tuple[float | None, ...]]:
    """Mode, whether corners are aligned, and scales, of ``upsample_nearest2d`` and its like."""
    exact = "-exact" if "exact" in call.name else ""
    mode = f"nearest{exact}" if "nearest" in call.name else "linear"
    more = list(call.args[2:])
    corners = False
    if mode == "linear":
        corners = bool(more.pop(0) if more else call.kwargs.get("align_corners"))
    names = ("scale_factors", "scales", "scales_d", "scales_h", "scales_w")
    more += [call.kwargs[name] for name in names if call.kwargs.get(name) is not None]
    scales = more[0] if more and isinstance(more[0], (tuple, list)) else more
    return mode, corners, tuple(scales or (None,) * n)


def image_patches(call: Call) -> list[Note | None]:
    """``F.unfold``: every window's pixels as channels."""
    out = call.outs[0]
    kernel = call.argument(1, "kernel_size")
    dilation = call.argument(2, "dilation", default=1)
    padding = _for_each_axis(call.argument(3, "padding", default=0), 2)
    stride = call.argument(4, "stride", default=1)
    _, channels, *space = call.shape

    def unfolded(core: Tensor) -> Tensor:
        core = core.expand(core.shape[0], core.shape[1], *space)
        for axis, more in zip((2, 3), padding, strict=True):
            at = torch.arange(-more, core.shape[axis] + more, dtype=torch.float32)
            core = windows.resampled(call.coordinates, core, axis, at, 1.0)
        # Which place each tap of each window reads: they are moved once, for all channels.
        steps = torch.meshgrid(*(torch.arange(float(n)) for n in core.shape[2:]), indexing="ij")
        down, across = (
            F.unfold(step[None, None], kernel, dilation, 0, stride)[0].long() for step in steps
        )
        taps = down * core.shape[3] + across
        made = core.flatten(2)[..., taps]  # (b, channels or 1, taps, windows)
        return made.expand(-1, channels, -1, -1).flatten(1, 2)

    return [call.note(out, unfolded)]


def _for_each_axis(value: Any, n: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,) * n
    return values * n if len(values) == 1 < n else values


RULES: dict[str, Rule] = {
    "pad": pad,
    **{f"conv{n}d": convolve for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": convolve for n in (1, 2, 3)},
    **{f"{kind}_pool{n}d": pool for kind in ("max", "avg", "lp") for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": pool for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d_with_indices": resize for n in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{n}d": resize for kind in ("max", "avg") for n in (1, 2, 3)},
    **dict.fromkeys(("pixel_shuffle", "pixel_unshuffle"), resize),
    **dict.fromkeys(("interpolate", "upsample", *UPSAMPLES), interpolate),
}
