"""Operations that move elements: shapes, parts, order, and what stands behind each other."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from nlviz.hooks.places import moves, sums, windows
from nlviz.hooks.places.calls import Call, Rule, held, is_whole
from nlviz.hooks.places.notes import Known, Note, Placed, Unknown
from nlviz.hooks.places.sums import Cores

RESHAPES = frozenset(
    (
        *("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "squeeze"),
        *("unsqueeze", "ravel"),
    )
)
TURNS = frozenset(
    (
        *("permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "t", "adjoint"),
        *("roll", "flip", "fliplr", "flipud", "rot90", "reversed", "fft_fftshift"),
        *("fft_ifftshift",),
    )
)
PARTS = {  # where the axis stands among the arguments, and its default
    **{"select": (1, None), "narrow": (1, None), "index_select": (1, None), "unbind": (1, 0)},
    **{"chunk": (2, 0), "split": (2, 0), "tensor_split": (2, 0), "split_with_sizes": (2, 0)},
    **{"repeat_interleave": (2, None), "unfold": (1, None)},
    **{"unsafe_chunk": (2, 0), "unsafe_split": (2, 0), "unsafe_split_with_sizes": (2, 0)},
}
SPLITS = {"hsplit": 1, "vsplit": 0, "dsplit": 2}  # the axis, as their names say
STACKS = {"hstack": 1, "vstack": 0, "row_stack": 0, "dstack": 2, "column_stack": 1}  # the axis


SORTS = {"sort": (1, "dim"), "topk": (2, "dim")}


def reshape(call: Call) -> list[Note | None]:
    """Axes that are split or joined."""
    old, new = call.shape, tuple(call.outs[0].shape)
    if call.outs[0].dtype != call.first.dtype:
        return [Note("view as another type", new, None)]
    places, joined = call.coordinates, moves.joined_pairs(old, new)

    def reshaped(core: Tensor) -> Tensor:
        made = moves.reshaped(core, old, new)
        # Channels that become rows and columns: small cells inside each. One axis alone may as
        # well be heads, or copies.
        grown = [(i, axis) for i, axis in joined if core.shape[i] > 1 == core.shape[i + 1]]
        along = [windows.along(places, core, i) for i, _ in grown]
        if len(along) < 2 or None in along or len(set(along)) < len(along):
            return made
        for i, axis in grown:
            n, times = old[i : i + 2]
            at = (torch.arange(n * times, dtype=torch.float32) + 0.5) / times - 0.5
            made = made.index_select(axis, torch.arange(n) * times)
            made = windows.resampled(places, made, axis, at, 1 / times)
        return made

    return [call.note(call.outs[0], reshaped)]


def turn(call: Call) -> list[Note | None]:
    """Axes in another order, or turned round."""
    if call.name == "roll" and call.argument(2, "dims") in (None, ()):
        return [Note("roll without axes", tuple(call.outs[0].shape), None)]
    return [call.note(call.outs[0], call.again())]


def expand(call: Call) -> list[Note | None]:
    """One along an axis becomes many."""
    ndim = call.outs[0].ndim
    return [call.note(call.outs[0], lambda core: moves.broadcast(core, ndim))]


def pairwise(call: Call) -> list[Note | None]:
    """Each tensor by itself: ``broadcast_tensors``, ``atleast_2d``."""
    given = [tensor for tensor in call.given if not is_whole(tensor)]

    def moved(given: Tensor, out: Tensor) -> Note | None:
        old, new = tuple(given.shape), tuple(out.shape)
        if call.name == "broadcast_tensors":
            return call.note(out, lambda core: moves.broadcast(core, len(new)), of=call.of(given))
        return call.note(out, lambda core: moves.reshaped(core, old, new), of=call.of(given))

    pairs = zip(given, call.outs, strict=True)
    return [moved(one, out) if call.of(one) is not None else None for one, out in pairs]


def repeat(call: Call) -> list[Note | None]:
    """Copies side by side."""
    old, new = call.shape, tuple(call.outs[0].shape)
    return [call.note(call.outs[0], lambda core: moves.repeated(core, old, new))]


def part(call: Call) -> list[Note | None]:
    """A part of a tensor, or several, taken along one axis."""
    at, default = PARTS.get(call.name, (0, None))
    if call.name == "unfold":
        names: tuple[str, ...] = ("dimension",)
    else:
        names = ("dim", "axis")
    if call.name in SPLITS:
        dim = min(SPLITS[call.name], len(call.shape) - 1)
    else:
        dim = call.argument(at, *names, default=default)
    if dim is None:
        return [Note(call.name, tuple(out.shape), None) for out in call.outs]
    dim %= len(call.shape)
    full = call.shape[dim]
    less, more = call.name in ("select", "unbind"), call.name == "unfold"
    again = call.again()

    def taken(core: Tensor, i: int) -> Tensor:
        """One of the parts."""
        if core.shape[dim] == 1:
            return core.squeeze(dim) if less else core.unsqueeze(-1) if more else core
        part = again(core.expand([full if k == dim else n for k, n in enumerate(core.shape)]))
        return part if isinstance(part, Tensor) else part[i]

    return [call.note(out, partial(taken, i=i)) for i, out in enumerate(call.outs)]


def diagonal(call: Call) -> list[Note | None]:
    """The diagonal of two axes."""
    shape, again, ndim = call.shape, call.again(), call.outs[0].ndim

    def taken(core: Tensor) -> Tensor:
        made: Tensor = again(core.expand(shape))
        for axis in range(ndim):
            made = moves.narrowed(made, axis)
        return made

    return [call.note(call.outs[0], taken)]


def sort(call: Call) -> list[Note | None]:
    """Sorted by what they are: each lies where its index says."""
    at, key = SORTS[call.name]
    dim = call.argument(at, key, default=-1)
    dim, shape = (-1 if isinstance(dim, bool) else dim) % len(call.shape), call.shape
    index = held(call.whole[0])
    return [call.note(call.outs[0], lambda core: moves.gathered(core, shape, dim, index))]


def shuffle(call: Call) -> list[Note | None]:
    """``channel_shuffle``: channels of several groups by turns."""
    groups = call.argument(1, "groups")

    def shuffled(core: Tensor) -> Tensor:
        if core.shape[1] == 1:
            return core
        n, channels, *space = core.shape
        cut = core.reshape(n, groups, channels // groups, *space)
        return cut.transpose(1, 2).reshape(core.shape)

    return [call.note(call.outs[0], shuffled)]


def gather(call: Call) -> list[Note | None]:
    """Each element by an index of its own."""
    dim, index = call.argument(1, "dim"), call.argument(2, "index")
    if call.name == "take_along_dim":
        index, dim = call.argument(1, "indices"), call.argument(2, "dim")
    if dim is None:
        return [Note(call.name, tuple(call.outs[0].shape), None)]
    shape, dim, index = call.shape, dim % len(call.shape), held(index)
    return [call.note(call.outs[0], lambda core: moves.gathered(core, shape, dim, index))]


def index(call: Call) -> list[Note | None]:
    """``tensor[key]``."""
    key, shape = held(call.args[1]), call.shape
    return [call.note(call.outs[0], lambda core: moves.indexed(core, shape, key))]


def masked_select(call: Call) -> list[Note | None]:
    """What a mask leaves, in one row."""
    mask, shape = held(call.argument(1, "mask")), call.shape
    return [call.note(call.outs[0], lambda core: core.expand(shape).masked_select(mask))]


def embed(call: Call) -> list[Note | None]:
    """``embedding``: rows of a table."""
    index, given = held(call.argument(0, "input")), call.of(call.argument(1, "weight"))
    if given is None:
        return [None]
    return [call.note(call.outs[0], lambda core: core[index], of=given)]


def join(call: Call) -> list[Note | None]:
    """Tensors behind each other along an axis, a new one for ``stack``."""
    parts = list(call.argument(0, "tensors"))
    out = call.outs[0]
    dim = STACKS.get(call.name)
    if dim is None:
        dim = call.argument(1, "dim", "axis", default=0)
    dim = min(dim, out.ndim - 1) if dim >= 0 else dim % out.ndim
    new = call.name == "stack"
    shapes = [tuple(part.shape) for part in parts]
    wide = [_stacked(call.name, shape) for shape in shapes]
    there = [i for i, shape in enumerate(wide) if new or len(shape) == out.ndim]
    notes = [call.of(parts[i]) for i in there]  # torch skips empty ones
    sizes = [1 if new else wide[i][dim] for i in there]
    known = tuple(note for note in notes if note is not None)
    ndim = out.ndim - new

    def opened(core: Tensor, i: int) -> Tensor:
        return core if wide[i] == shapes[i] else moves.reshaped(core, shapes[i], wide[i])

    def rule(*every: Cores) -> Known:
        given = iter(every)
        single = torch.zeros((1,) * ndim, dtype=torch.long)
        cores = [
            (single,) if note is None else tuple(opened(core, i) for core in next(given))
            for i, note in zip(there, notes, strict=True)
        ]
        if any(len(each) > 1 for each in cores):
            return Unknown(f"{call.name} of products")
        flat = [each[0].unsqueeze(dim) if new else each[0] for each in cores]
        return Placed((sums.joined(call.coordinates, flat, sizes, dim),))

    return [Note(call.name, tuple(out.shape), rule, known)]


def join_sequences(call: Call) -> list[Note | None]:
    """``pad_sequence``: sequences of several lengths, each padded behind its end, stacked."""
    parts, out = list(call.argument(0, "sequences")), call.outs[0]
    before = call.argument(3, "padding_side", default="right") == "left"
    dim = 0 if call.argument(1, "batch_first", default=False) else 1
    most, ndim = out.shape[1 - dim], out.ndim
    notes = [call.of(part) for part in parts]
    lengths, places = [len(part) for part in parts], call.coordinates

    def rule(*every: Cores) -> Known:
        given = iter(every)
        rows = []
        for note, length in zip(notes, lengths, strict=True):
            none = torch.zeros((1,) * (ndim - 1), dtype=torch.long)
            cores = (none,) if note is None else next(given)
            if len(cores) > 1:
                return Unknown(f"{call.name} of products")
            core = cores[0].expand(length, *cores[0].shape[1:])
            more = core.new_full((most - length, *core.shape[1:]), places.padding)
            rows.append(torch.cat([more, core] if before else [core, more]).unsqueeze(dim))
        return Placed((sums.joined(places, rows, [1] * len(rows), dim),))

    known = tuple(note for note in notes if note is not None)
    return [Note(call.name, tuple(out.shape), rule, known)]


def _stacked(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with which a tensor takes part in ``vstack`` and its like."""
    if name in ("vstack", "row_stack", "dstack") and len(shape) < 2:
        shape = (1, *(shape or (1,)))
    if name == "dstack":
        return (*shape, 1) if len(shape) == 2 else shape
    if name in ("hstack", "column_stack") and not shape:
        shape = (1,)
    return (*shape, 1) if name == "column_stack" and len(shape) == 1 else shape


RULES: dict[str, Rule] = {
    **dict.fromkeys(RESHAPES, reshape),
    **dict.fromkeys(TURNS, turn),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d"), pairwise),
    **dict.fromkeys(("repeat", "tile"), repeat),
    **dict.fromkeys((*PARTS, *SPLITS), part),
    **dict.fromkeys(SORTS, sort),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), shuffle),
    **dict.fromkeys(("gather", "take_along_dim"), gather),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack", *STACKS), join),
    **{"diagonal": diagonal, "getitem": index, "masked_select": masked_select},
    **{"embedding": embed, "pad_sequence": join_sequences},
}
