"""Windows along an axis: where each step of a convolution, pool or resize lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.hooks.places.coordinates import Coordinates, Kind

_FAR = 4  # times its size: neighbours that lie further apart have nothing between them
_TOUCH = 1e-2  # of a step: nearer than this is the same


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along one axis.

    Args:
        span: how many steps there are from the first to the last of a window.
        stride: how many from one window to the next.
        padding: what is put before and behind the axis by the operation itself.
        count: how many windows there are.
    """

    span: int
    stride: int
    padding: tuple[int, int]
    count: int


def through(places: Coordinates, core: Tensor, axis: int, windows: Windows) -> Tensor:
    """A core seen through windows along an axis.

    A window lies at its middle. Where windows overlap and what was put around the axis is put
    there for them, a window has ``stride`` steps of its own and the overlap lies before and behind
    these as the padding does; it lies at the middle of its own. With as much padding on both sides
    that is the middle of the window; with all of it in front, as in a causal convolution, step t
    stays step t. It makes no difference whether the padding is zeros, or copies of the edge, fewer
    than a window reaches over; more of them are the module's own, as frames that are repeated.

    A window is padding where none of what it has of its own is real. One at the edge that is
    partly real lies where the steps before it are carried on.
    """
    n, span, stride = core.shape[axis], windows.span, windows.stride
    if n == 1:
        return core
    start, end = _real(places, core, axis, span - sum(windows.padding))
    before, after = windows.padding[0] + start, windows.padding[1] + n - end
    overlap, around = span - stride, before + after
    middle = (span - 1) / 2
    if 0 < overlap <= around < span:
        middle = (stride - 1) / 2 + overlap * before / around
    core = core.narrow(axis, start, end - start)
    at = torch.arange(windows.count, dtype=torch.float32) * stride - before + middle
    made = resampled(places, core, axis, at, float(stride))
    return _partly_real(places, made, core, axis, at, min(span, stride))


def resampled(places: Coordinates, core: Tensor, axis: int, at: Tensor, scale: float) -> Tensor:
    """A core read at fractional positions along an axis.

    Args:
        places: the places.
        core: with all its places along the axis.
        axis: which.
        at: (new length,) positions; outside the axis its step is carried on as padding.
        scale: how many steps a place reaches over then; less than 1 of one that is cut.
    """
    n = core.shape[axis]
    shape = [-1 if i == axis else 1 for i in range(core.ndim)]
    inside = ((at > -0.5 - _TOUCH) & (at < n - 0.5 + _TOUCH)).reshape(shape)
    near = at.round().long().clamp(0, n - 1)
    there = at == near
    if scale == 1 and bool(there.all()):
        whole = len(near) == n and bool((near == torch.arange(n)).all())
        return core if whole else core.index_select(axis, near)
    if n == 1:
        return _carried_on(places, core, axis, at.reshape(shape), scale)
    if scale == 1 and bool(there.any()) and bool((at == at.round()).all()):
        return _put_around(places, core, axis, at, there)
    low = at.floor().long().clamp(0, n - 2)
    part = (at - low).reshape(shape)
    exact = inside & ((part == 0) | (part == 1))
    one, other, nearest = (core.index_select(axis, i) for i in (low, low + 1, near))
    a, b, size = places.centre(one), places.centre(other), places.size(nearest)
    step = (b - a).abs_()
    together = (step <= _FAR * size).all(-1)
    if not bool(together.all()):
        together |= _is_even(places, core, axis)
    sure = ~(a[..., -1].isnan() | b[..., -1].isnan())
    firm = sure & (together | exact)
    firm |= exact & ~size[..., -1].isnan()
    kind = torch.where(inside, places.kind(nearest), torch.tensor(Kind.PADDING.value)).float()
    # Steps that are 0 grow by nothing, but are not cut either.
    more = size.add(step, alpha=scale - 1)
    grown = torch.where(step > 0, size * scale, size) if scale < 1 else more
    centre = torch.lerp(a, b, part[..., None])
    if bool((sure & firm).all()):
        return places.cells(centre, grown, kind)
    grown = torch.where(step.isnan(), size, grown)
    centre = torch.where(part[..., None] == 0, a, centre)
    centre = torch.where(part[..., None] == 1, b, centre)
    made = torch.where(exact | (one == other), nearest, places.mixture)
    made = torch.where(inside, made, places.padding)
    made[firm] = places.cells(centre[firm], grown[firm], kind[firm])
    return made


def _put_around(places: Coordinates, core: Tensor, axis: int, at: Tensor, there: Tensor) -> Tensor:
    """A core read at whole steps, of which those that are ``there`` stay as they are."""
    inner, outer = there.nonzero()[:, 0], (~there).nonzero()[:, 0]
    kept = core.index_select(axis, at[inner].long())
    around = resampled(places, core, axis, at[outer], 1.0)
    made = kept.new_empty([len(at) if i == axis else n for i, n in enumerate(core.shape)])
    return made.index_copy_(axis, inner, kept).index_copy_(axis, outer, around)


def _carried_on(places: Coordinates, core: Tensor, axis: int, at: Tensor, scale: float) -> Tensor:
    """One step along an axis, one frame say, read at other positions: its size is the step."""
    inside = at.abs() < 0.5 + _TOUCH
    made = torch.where(inside, core, places.padding)
    which = _runs_over(places, core, axis)
    firm = (places.firm(core) & (which > 0)).expand(made.shape)
    if bool(firm.any()):
        step = torch.eye(4)[which] * places.size(core)
        centre = places.centre(core) + at[..., None] * step
        size = (places.size(core) + (scale - 1) * step).expand(centre.shape)
        kind = torch.where(inside, places.kind(core), torch.tensor(Kind.PADDING.value))
        made[firm] = places.cells(centre[firm], size[firm], kind[firm].float())
    return made


def _runs_over(places: Coordinates, core: Tensor, axis: int) -> int:
    """Which of time, y and x (1 to 3) an axis of one step runs over; 0 if that is not known."""
    centre = places.centre(core).reshape(-1, 4).nan_to_num(0)
    still = [i for i in (1, 2, 3) if bool((centre[:, i] == centre[0, i]).all())]
    usual = max(1, 4 - (core.ndim - axis))  # the last axes are rows and columns
    return usual if usual in still else next(iter(still), 0)


def along(places: Coordinates, core: Tensor, axis: int) -> int | None:
    """Which of time, y and x (1 to 3) changes along an axis; None if not one alone."""
    centre = places.centre(core)
    n = core.shape[axis]
    step = (centre.narrow(axis, 1, n - 1) - centre.narrow(axis, 0, n - 1)).nan_to_num(0)
    changes = (step != 0).reshape(-1, step.shape[-1]).any(0).nonzero()[:, 0].tolist()
    return changes[0] if len(changes) == 1 and changes[0] > 0 else None


def _is_even(places: Coordinates, core: Tensor, axis: int) -> Tensor:
    """Whether all steps along an axis are the same, as those of every eighth frame are."""
    centre = places.centre(core)
    n = core.shape[axis]
    step = centre.narrow(axis, 1, n - 1) - centre.narrow(axis, 0, n - 1)
    most, least = step.amax(axis, keepdim=True), step.amin(axis, keepdim=True)
    return (most - least <= 1e-3).all(-1)


def _partly_real(
    places: Coordinates, made: Tensor, core: Tensor, axis: int, at: Tensor, own: int
) -> Tensor:
    """What was taken for padding, but where some of its own steps are real, as cells."""
    padding = places.kind(made) == Kind.PADDING
    if not bool(padding.any()):
        return made
    padding &= places.firm(made)
    n = core.shape[axis]
    real = (places.kind(core) == Kind.CELL).long().cumsum(axis)
    real = torch.cat([torch.zeros_like(real.narrow(axis, 0, 1)), real], axis)
    reach = (own + 1) / 2 - _TOUCH
    low = (at - reach).ceil().long().clamp(0, n)
    high = ((at + reach).floor().long() + 1).clamp(0, n)
    partly = padding & (real.index_select(axis, high) > real.index_select(axis, low))
    if bool(partly.any()):
        made = made.clone()
        made[partly] = places.cells(places.centre(made[partly]), places.size(made[partly]))
    return made


def _real(places: Coordinates, core: Tensor, axis: int, span: int) -> tuple[int, int]:
    """Where an axis begins and ends without what was put around it: padding, or copies of it.

    Copies are put around it for windows that reach over ``span``: on each side fewer, and fewer of
    the edges in all, else a window would see nothing but one place.
    """
    n = core.shape[axis]
    line = core
    for other in range(core.ndim):
        if other != axis:
            line = line.narrow(other, line.shape[other] // 2, 1)
    line = line.reshape(n)
    kind = places.kind(line)
    full = ((kind != Kind.PADDING) & (kind != Kind.NOTHING)).nonzero()[:, 0]
    if not len(full):
        return 0, n
    start, end = int(full[0]), int(full[-1]) + 1
    if (start, end) != (0, n):
        ends = [core.narrow(axis, 0, start), core.narrow(axis, end, n - end)]
        if any(bool((places.kind(each) > Kind.PADDING).any()) for each in ends):
            return 0, n  # of some lines alone, as in the windows at a picture's edge
        return start, end
    start, end = _run(places, line)
    others = [*range(start), *range(end, n)]
    where = _copied(places, line, start, end) if max(start, n - end) < span else []
    most = span if where == [start] * start + [end - 1] * (n - end) else n
    if not 0 < len(others) == len(where) < most:
        return 0, n
    here, there = (
        places.centre(core.index_select(axis, torch.tensor(at))) for at in (others, where)
    )
    return (start, end) if torch.allclose(here, there, atol=_TOUCH, equal_nan=True) else (0, n)


def _run(places: Coordinates, line: Tensor) -> tuple[int, int]:
    """The longest part of a line that goes on in one way."""
    centre = places.centre(line)
    steps = (centre[1:] - centre[:-1]).nan_to_num(0)
    most = int(steps.abs().amax(0).argmax())
    ways = torch.sign(steps[:, most]).tolist()
    if ways.count(ways[0]) == len(ways):
        return 0, len(line)
    start = end = begin = 0
    for i, way in enumerate(ways):
        if way != ways[begin]:
            begin = i
        if way != 0 and i + 2 - begin > end - start:
            start, end = begin, i + 2
    return start, end


def _copied(places: Coordinates, line: Tensor, start: int, end: int) -> list[int]:
    """Of what each step before and behind a part of a line is the copy, if all are of its edges.

    They are the edge again and again, its mirror image, or what is at the other end.
    """
    centre, n = places.centre(line), end - start
    found: list[int] = []
    for at, copies in ((start, start), (end, len(line) - end)):
        front = at == start
        first = [0] * copies, range(copies, 0, -1), range(copies - 1, -1, -1), range(n - copies, n)
        ways = [list(way) if front else [n - 1 - i for i in way][::-1] for way in first]
        own = centre[:start] if front else centre[end:]
        for i, way in enumerate(ways):
            if i and copies >= n:
                continue
            if bool(((own - centre[[start + k for k in way]]).abs() < _TOUCH).all()):
                found += [start + k for k in way]
                break
    return found
