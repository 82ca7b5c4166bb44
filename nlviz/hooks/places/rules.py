"""What each operation of torch does to places, by its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.hooks.module_calls import tensors
from nlviz.hooks.places import moves, sums, windows
from nlviz.hooks.places.coordinates import Conflict, Coordinates, Kind
from nlviz.hooks.places.notes import Known, Note, Placed, Unknown
from nlviz.hooks.places.sums import Cores
from nlviz.hooks.places.windows import Windows

# The first operand alone says where the result lies.
_ALIKE = frozenset(
    (
        *("softmax", "log_softmax", "layer_norm", "group_norm", "batch_norm", "instance_norm"),
        *("rms_norm", "normalize", "dropout", "dropout1d", "dropout2d", "dropout3d"),
        *("alpha_dropout", "feature_alpha_dropout", "feature_dropout", "native_dropout"),
        *("contiguous", "to", "type", "type_as", "clone", "detach", "alias", "lift_fresh"),
        *("float", "half", "double", "bfloat16", "cfloat", "cdouble", "chalf", "bool", "byte"),
        *("cuda", "cpu", "xpu", "ipu", "mtia", "pin_memory", "share_memory", "deepcopy"),
        *("requires_grad", "prelu", "rrelu", "softmin", "gumbel_softmax", "local_response_norm"),
        *("hardtanh", "threshold", "masked_fill", "index_fill", "fill_diagonal"),
        *("native_layer_norm", "native_group_norm", "native_batch_norm", "_fused_rms_norm"),
        *("quantize_per_tensor", "dequantize", "positive", "conj", "real", "imag"),
        *("resolve_conj", "resolve_neg", "renorm", "tril", "triu", "special_softmax"),
        *("special_log_softmax", "as_tensor", "asarray"),
        *("logsigmoid", "log_sigmoid", "tanhshrink", "softsign", "hardswish", "relu6"),
    )
)
# Elementwise operations that torch does not mark as such: other names of those that it does.
_ALIASES = frozenset(
    (
        *("absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"),
        *("divide", "floor_divide", "multiply", "negative", "subtract", "fix", "complex", "polar"),
        "clip",
        *("greater", "greater_equal", "less", "less_equal", "not_equal", "isclose", "isreal"),
        *(f"special_{name}" for name in ("digamma", "erf", "erfc", "erfinv", "exp2", "expit")),
        *(f"special_{name}" for name in ("expm1", "gammainc", "gammaincc", "gammaln", "i0")),
        *(f"special_{name}" for name in ("log1p", "logit", "multigammaln", "ndtr", "psi")),
        *(f"special_{name}" for name in ("polygamma", "round", "sinc", "xlogy")),
    )
)
_DUNDER = {
    **{"truediv": "div", "floordiv": "floor_divide", "and": "bitwise_and", "or": "bitwise_or"},
    **{"xor": "bitwise_xor", "invert": "bitwise_not", "mod": "remainder"},
}
_RESHAPES = frozenset(
    (
        *("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "squeeze"),
        *("unsqueeze", "ravel"),
    )
)
_TURNS = frozenset(
    (
        *("permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims", "t", "adjoint"),
        *("roll", "flip", "fliplr", "flipud", "rot90", "reversed", "fft_fftshift"),
        *("fft_ifftshift",),
    )
)
_PARTS = {  # where the axis stands among the arguments, and its default
    **{"select": (1, None), "narrow": (1, None), "index_select": (1, None), "unbind": (1, 0)},
    **{"chunk": (2, 0), "split": (2, 0), "tensor_split": (2, 0), "split_with_sizes": (2, 0)},
    **{"repeat_interleave": (2, None), "unfold": (1, None)},
    **{"unsafe_chunk": (2, 0), "unsafe_split": (2, 0), "unsafe_split_with_sizes": (2, 0)},
}
_STACKS = {"hstack": 1, "vstack": 0, "row_stack": 0, "dstack": 2, "column_stack": 1}  # the axis
_OVER = {  # where the axes stand among the arguments, and which they are by default
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod"), (1, None)),
    **dict.fromkeys(
        ("nanmean", "logsumexp", "special_logsumexp", "median", "nanmedian"), (1, None)
    ),
    **dict.fromkeys(("nansum", "aminmax", "all", "any", "var_mean", "std_mean"), (1, None)),
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm", "quantile"), (2, None)),
    **{"nanquantile": (2, None), "frobenius_norm": (1, None), "kthvalue": (2, -1), "mode": (1, -1)},
}
_SORTS = {"sort": (1, "dim"), "topk": (2, "dim")}
_RUNNING = {  # along which axis each depends on those before
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), (1, None)),
    "diff": (2, -1),
}
# What is written into a tensor, by the position and the names of what is put there.
_PUTS = {
    **{"index_copy": (3, "source"), "index_put": (2, "values"), "scatter": (3, "src")},
    **{"masked_scatter": (2, "source"), "select_scatter": (1, "src"), "slice_scatter": (1, "src")},
    **{"diagonal_scatter": (1, "src")},
}
FILLS = frozenset(
    (
        *("zero", "fill", "bernoulli", "cauchy", "exponential", "geometric", "log_normal"),
        *("normal", "random", "uniform"),
    )
)
_POOLS = {
    getattr(F, name): name
    for name in (f"{kind}_pool{n}d" for kind in ("max", "adaptive_max") for n in (1, 2, 3))
}
_PROPERTIES = {
    **{getattr(torch.Tensor, name).__get__: "adjoint" for name in ("mT", "mH")},
    **{getattr(torch.Tensor, name).__get__: "t" for name in ("T", "H")},
    **{getattr(torch.Tensor, name).__get__: "alias" for name in ("data", "real", "imag")},
}
_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]
_REFLECTED = frozenset(
    (*("add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or", "xor"),)
)


@dataclass(slots=True)
class _Call:
    """One call of an operation, and the places that are known of what it was given.

    Notes outlive the call, so they must not hold its tensors, which ``let_go`` sees to. Of indices
    and masks they hold copies, as the module may change its own before a note is read.
    """

    coordinates: Coordinates
    of: Callable[[Any], Note | None]
    name: str
    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    given: list[Tensor]
    outs: list[Tensor]
    whole: list[Tensor]
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        first = self.first
        if isinstance(first, Tensor):
            known = self.of(first)
            # That of a tensor which the call has turned in place, as it was before.
            turned = known is not None and math.prod(known.shape) == first.numel()
            self.shape = known.shape if known is not None and turned else tuple(first.shape)

    def let_go(self) -> None:
        """Hold no tensor of the module any more."""
        self.args, self.kwargs = (), {}
        self.given, self.outs, self.whole = [], [], []

    def argument(self, at: int, *names: str, default: Any = None) -> Any:
        """An argument by its position or one of its names."""
        if len(self.args) > at:
            return self.args[at]
        return next((self.kwargs[name] for name in names if name in self.kwargs), default)

    @property
    def first(self) -> Any:
        """The tensor that is worked on."""
        return self.argument(0, "input", "self", "query")

    def again(self) -> Callable[[Tensor], Any]:
        """The same call on a core instead of the tensor."""
        func, rest = self.func, [_held(value) for value in self.args[1:]]
        if _in_place(getattr(func, "__name__", "")):
            func = getattr(torch.Tensor, self.name)
        more = {key: _held(value) for key, value in self.kwargs.items()}
        if self.args:
            return lambda core: func(core, *rest, **more)
        key = next(key for key in ("input", "self") if key in more)
        return lambda core: func(**{**more, key: core})

    def note(
        self, out: Tensor, each: Callable[[Tensor], Tensor], *, of: Note | None = None
    ) -> Note | None:
        """A note that changes each core of a tensor by itself: of the first, if of no other."""
        given = of or self.of(self.first)
        if given is None:
            return None

        def rule(cores: Cores) -> Known:
            return Placed(tuple(each(core) for core in cores))

        return Note(self.name, tuple(out.shape), rule, (given,))


Rule = Callable[[_Call], "list[Note | None]"]


def noted(
    coordinates: Coordinates,
    of: Callable[[Any], Note | None],
    func: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    outs: list[Tensor],
) -> Iterator[tuple[Tensor, Note]]:
    """What a call did to the places of what it was given, for each tensor that it put out.

    Args:
        coordinates: the places.
        of: the note of a tensor, None of a constant.
        func: what was called.
        args: with these.
        kwargs: and these.
        outs: the tensors that it put out.
    """
    whole, outs = [t for t in outs if _is_whole(t)], [t for t in outs if not _is_whole(t)]
    kwargs = {key: value for key, value in kwargs.items() if key != "out"}
    given = tensors((*args, *kwargs.values()))
    known = [tensor for tensor in given if of(tensor) is not None]
    if not outs or not known:
        return
    name = str(_POOLS.get(func) or getattr(func, "__name__", ""))
    if name == "__get__":
        name = _PROPERTIES.get(func, "__get__")
    name = _plain(name)
    call = _Call(coordinates, of, name, func, args, kwargs, given, outs, whole)
    rule = _rule(name)
    if name == "unfold" and func is F.unfold:
        rule = _image_patches
    if rule is None:
        lost = any(not isinstance(tensor, nn.Parameter) for tensor in known)
        notes: list[Note | None] = [Note(name, tuple(out.shape), None) for out in outs if lost]
    else:
        try:
            notes = rule(call)
        except Exception as fault:  # noqa: BLE001 — what is not understood has no place
            notes = [Note(f"{name} ({fault})", tuple(out.shape), None) for out in outs]
    call.let_go()
    for out, note in zip(outs, notes, strict=False):
        if note is not None:
            yield out, note


def _in_place(name: str) -> bool:
    return name.endswith("_") and not name.endswith("__")


def _is_whole(tensor: Tensor) -> bool:
    """Whether it holds whole numbers, which are no features; pixels are bytes."""
    features = tensor.is_floating_point() or tensor.is_complex()
    return not features and tensor.dtype not in (torch.bool, torch.uint8)


def _held(value: Any) -> Any:
    """What a note may keep of an argument: a copy of an index or mask, nothing of features."""
    if isinstance(value, Tensor):
        features = value.is_floating_point() or value.is_complex()
        return None if features else value.detach().cpu().clone()
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        each = [_held(one) for one in value]
        return each if isinstance(value, list) else tuple(each)
    return value


def _plain(name: str) -> str:
    """The name without what says how it is called: ``__iadd__``, ``add_``, ``add.Tensor``."""
    name = name.partition(".")[0]
    if name.startswith("__"):
        bare = name.strip("_")
        if bare[0] in "ri" and bare[1:] in _REFLECTED and bare != "rmatmul":
            bare = bare[1:]
        return _DUNDER.get(bare, bare)
    name = name.rstrip("_")
    bare = name.removesuffix("_copy")  # as torch's own ``view_copy``
    return bare if bare in _COPIED else name


@cache
def _is_pointwise(name: str) -> bool:
    """Whether torch itself says that an operation works on each element alone."""
    packet = getattr(torch.ops.aten, name, None)
    kinds: list[str] = packet.overloads() if packet is not None else []
    return any(torch.Tag.pointwise in getattr(packet, kind).tags for kind in kinds)


def _rule(name: str) -> Rule | None:
    if name in _RULES:
        return _RULES[name]
    if name in _ALIKE:
        return _first
    return _alike if name in _ALIASES or _is_pointwise(name) else None


def _first(call: _Call) -> list[Note | None]:
    """The first operand, whose places a norm's weights or another's type do not change."""
    if call.name.endswith("norm") and call.of(call.first) is None:
        return _by_weights(call)
    return [call.note(out, lambda core: core) for out in call.outs]


def _by_weights(call: _Call) -> list[Note | None]:
    """Constants that weights change: lost if those come from the input, as in a hypernetwork."""
    given = [call.of(each) for each in call.given if not isinstance(each, nn.Parameter)]
    known = tuple(note for note in given if note is not None)
    out, places = call.outs[0], call.coordinates
    if not known:
        return [None]
    told, single = f"{call.name} with weights from the input", (1,) * out.ndim

    def rule(*every: Cores) -> Known:
        if any(_has_cells(places, core) for cores in every for core in cores):
            return Unknown(told)
        return Placed((torch.zeros(single, dtype=torch.long),))

    return [Note(call.name, tuple(out.shape), rule, known)]


def _has_cells(places: Coordinates, core: Tensor) -> bool:
    return bool((places.kind(core) == Kind.CELL).any())


def _alike(call: _Call) -> list[Note | None]:
    """Elementwise: what the operands stand for, where they are told apart."""
    given = [call.of(tensor) for tensor in call.given]
    known = tuple(note for note in given if note is not None)
    ndim = call.outs[0].ndim

    def rule(*every: Cores) -> Known:
        return Placed(sums.merged(call.coordinates, ndim, every))

    note = Note(call.name, tuple(call.outs[0].shape), rule, known)
    return [note] * len(call.outs)


def _same(call: _Call) -> list[Note | None]:
    """What was written into a tensor takes its place."""
    given = call.of(call.argument(1, "src", "other"))
    if given is None:
        return [call.of(call.first)]
    ndim = call.outs[0].ndim
    return [call.note(call.outs[0], lambda core: moves.broadcast(core, ndim), of=given)]


def _set(call: _Call) -> list[Note | None]:
    """``x.data = y``, ``x.set_(y)``: it is the other tensor from then on."""
    other = call.argument(1, "source")
    if call.func != _DATA and getattr(call.func, "__name__", "") != "set_":
        return []
    if not isinstance(other, Tensor) or other.shape != call.outs[0].shape:
        return [Note("set_ to another storage", tuple(call.outs[0].shape), None)]
    given = call.of(other)
    if given is not None:
        return [call.note(call.outs[0], lambda core: core, of=given)]
    return [_constant(call)]


def _reshape(call: _Call) -> list[Note | None]:
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


def _turn(call: _Call) -> list[Note | None]:
    if call.name == "roll" and call.argument(2, "dims") in (None, ()):
        return [Note("roll without axes", tuple(call.outs[0].shape), None)]
    return [call.note(call.outs[0], call.again())]


def _expand(call: _Call) -> list[Note | None]:
    ndim = call.outs[0].ndim
    return [call.note(call.outs[0], lambda core: moves.broadcast(core, ndim))]


def _pairwise(call: _Call) -> list[Note | None]:
    """Each tensor by itself: ``broadcast_tensors``, ``atleast_2d``."""
    given = [tensor for tensor in call.given if not _is_whole(tensor)]

    def moved(given: Tensor, out: Tensor) -> Note | None:
        old, new = tuple(given.shape), tuple(out.shape)
        if call.name == "broadcast_tensors":
            return call.note(out, lambda core: moves.broadcast(core, len(new)), of=call.of(given))
        return call.note(out, lambda core: moves.reshaped(core, old, new), of=call.of(given))

    pairs = zip(given, call.outs, strict=True)
    return [moved(one, out) if call.of(one) is not None else None for one, out in pairs]


def _repeat(call: _Call) -> list[Note | None]:
    old, new = call.shape, tuple(call.outs[0].shape)
    return [call.note(call.outs[0], lambda core: moves.repeated(core, old, new))]


def _part(call: _Call) -> list[Note | None]:
    """A part of a tensor, or several, taken along one axis."""
    at, default = _PARTS[call.name]
    if call.name == "unfold":
        names: tuple[str, ...] = ("dimension",)
    else:
        names = ("dim", "axis")
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


def _halves(call: _Call) -> list[Note | None]:
    """``hsplit`` and its like, which say the axis in their names."""
    dim = {"vsplit": 0, "dsplit": 2}.get(call.name, min(1, len(call.shape) - 1))
    full, again = call.shape[dim], call.again()

    def taken(core: Tensor, i: int) -> Tensor:
        if core.shape[dim] == 1:
            return core
        made: Tensor = again(
            core.expand([full if k == dim else n for k, n in enumerate(core.shape)])
        )[i]
        return made

    return [call.note(out, partial(taken, i=i)) for i, out in enumerate(call.outs)]


def _diagonal(call: _Call) -> list[Note | None]:
    shape, again, ndim = call.shape, call.again(), call.outs[0].ndim

    def taken(core: Tensor) -> Tensor:
        made: Tensor = again(core.expand(shape))
        for axis in range(ndim):
            made = moves.narrowed(made, axis)
        return made

    return [call.note(call.outs[0], taken)]


def _sort(call: _Call) -> list[Note | None]:
    """Sorted by what they are: each lies where its index says."""
    at, key = _SORTS[call.name]
    dim = call.argument(at, key, default=-1)
    dim, shape = (-1 if isinstance(dim, bool) else dim) % len(call.shape), call.shape
    index = _held(call.whole[0])
    return [call.note(call.outs[0], lambda core: moves.gathered(core, shape, dim, index))]


def _shuffle(call: _Call) -> list[Note | None]:
    """``channel_shuffle``: channels of several groups by turns."""
    groups = call.argument(1, "groups")

    def shuffled(core: Tensor) -> Tensor:
        if core.shape[1] == 1:
            return core
        n, channels, *space = core.shape
        cut = core.reshape(n, groups, channels // groups, *space)
        return cut.transpose(1, 2).reshape(core.shape)

    return [call.note(call.outs[0], shuffled)]


def _running(call: _Call) -> list[Note | None]:
    """``cumsum`` and its like: followed along axes over which places do not change."""
    at, default = _RUNNING[call.name]
    dim = call.argument(at, "dim", default=default)
    more = call.argument(3, "prepend"), call.argument(4, "append")
    if dim is None or more != (None, None):
        return [Note(call.name, tuple(call.outs[0].shape), None)]

    def kept(core: Tensor) -> Tensor:
        if core.shape[dim] > 1:
            raise Conflict
        return core

    return [call.note(call.outs[0], kept)]


def _gather(call: _Call) -> list[Note | None]:
    dim, index = call.argument(1, "dim"), call.argument(2, "index")
    if call.name == "take_along_dim":
        index, dim = call.argument(1, "indices"), call.argument(2, "dim")
    if dim is None:
        return [Note(call.name, tuple(call.outs[0].shape), None)]
    shape, dim, index = call.shape, dim % len(call.shape), _held(index)
    return [call.note(call.outs[0], lambda core: moves.gathered(core, shape, dim, index))]


def _index(call: _Call) -> list[Note | None]:
    key, shape = _held(call.args[1]), call.shape
    return [call.note(call.outs[0], lambda core: moves.indexed(core, shape, key))]


def _masked_select(call: _Call) -> list[Note | None]:
    mask, shape = _held(call.argument(1, "mask")), call.shape
    return [call.note(call.outs[0], lambda core: core.expand(shape).masked_select(mask))]


def _embedding(call: _Call) -> list[Note | None]:
    index, given = _held(call.argument(0, "input")), call.of(call.argument(1, "weight"))
    if given is None:
        return [None]
    return [call.note(call.outs[0], lambda core: core[index], of=given)]


def _join(call: _Call) -> list[Note | None]:
    """Tensors behind each other along an axis, a new one for ``stack``."""
    parts = list(call.argument(0, "tensors"))
    out = call.outs[0]
    dim = _STACKS.get(call.name)
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


def _stacked(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with which a tensor takes part in ``vstack`` and its like."""
    if name in ("vstack", "row_stack", "dstack") and len(shape) < 2:
        shape = (1, *(shape or (1,)))
    if name == "dstack":
        return (*shape, 1) if len(shape) == 2 else shape
    if name in ("hstack", "column_stack") and not shape:
        shape = (1,)
    return (*shape, 1) if name == "column_stack" and len(shape) == 1 else shape


def _setitem(call: _Call) -> list[Note | None]:
    """What is written into a part of a tensor lies there from then on."""
    given, (key, value) = call.of(call.first), call.args[1:3]
    put = call.of(value) if isinstance(value, Tensor) else None
    if put is None:  # numbers say nothing of where they lie
        return [given]
    key = _held(key)
    shape, known = call.shape, (put,) if given is None else (put, given)

    def rule(value: Cores, *base: Cores) -> Known:
        into = base[0] if base else (torch.zeros((1,) * len(shape), dtype=torch.long),)
        if len(into) != len(value):
            return Unknown("writing into a product")
        pairs = zip(into, value, strict=True)
        return Placed(tuple(moves.written(old, new, shape, key) for old, new in pairs))

    return [Note("setitem", shape, rule, known)]


def _put(call: _Call) -> list[Note | None]:
    """``scatter``, ``index_copy`` and their like: what is put in lies there from then on."""
    at, key = _PUTS[call.name]
    out, value = call.outs[0], call.argument(at, key)
    if call.name == "scatter" and not isinstance(value, Tensor):
        value = call.argument(3, "value")
    adds = call.argument(4, "reduce") if call.name == "scatter" else None
    if call.name == "index_put":
        adds = call.argument(3, "accumulate")
    if adds:
        return [Note(f"{call.name} that adds up", tuple(out.shape), None)]
    base, put = call.of(call.first), call.of(value) if isinstance(value, Tensor) else None
    if put is None:  # numbers say nothing of where they lie
        return [base]
    func = getattr(torch.Tensor, call.name, None) or getattr(torch, call.name)
    rest = [_held(each) for each in call.args[1:]]
    more = {
        name: _held(each) for name, each in call.kwargs.items() if name not in ("input", "self")
    }
    shape, part = call.shape, tuple(value.shape)

    def rule(value: Cores, *given: Cores) -> Known:
        into = given[0] if given else (torch.zeros((1,) * len(shape), dtype=torch.long),)
        if len(into) > 1 or len(value) > 1:
            return Unknown("writing into a product")
        full = value[0].expand(part).contiguous()
        arguments = [full if i + 1 == at else each for i, each in enumerate(rest)]
        named = {**more, key: full} if key in more else more
        made: Tensor = func(into[0].expand(shape).contiguous(), *arguments, **named)
        for axis in range(made.ndim):
            made = moves.narrowed(made, axis)
        return Placed((made,))

    return [Note(call.name, tuple(out.shape), rule, (put,) if base is None else (put, base))]


def _fill(call: _Call) -> list[Note | None]:
    """Numbers over all of a tensor: it has no places any more."""
    if call.name != "fill" and not _in_place(getattr(call.func, "__name__", "")):
        return [call.note(out, lambda core: core) for out in call.outs]
    return [_constant(call)]


def _constant(call: _Call) -> Note:
    """What has no places any more."""
    single = (1,) * call.outs[0].ndim

    def rule() -> Known:
        return Placed((torch.zeros(single, dtype=torch.long),))

    return Note(call.name, tuple(call.outs[0].shape), rule)


def _pad(call: _Call) -> list[Note | None]:
    pads, mode = list(call.argument(1, "pad")), call.argument(2, "mode", default="constant")
    shape = call.shape

    def padded(core: Tensor) -> Tensor:
        for i in range(len(pads) // 2):
            before, after = pads[2 * i : 2 * i + 2]
            axis = len(shape) - 1 - i
            n = shape[axis]
            if not (before or after) or (core.shape[axis] == 1 and n > 1):
                continue
            if n == 1:
                parts = [core.new_full(core.shape, Coordinates.padding)] * before
                parts += [core, *[core.new_full(core.shape, Coordinates.padding)] * after]
                core = torch.cat(parts, axis)
                continue
            at = torch.arange(-before, n + after, dtype=torch.float32)
            if mode == "reflect":
                at = (n - 1) - ((n - 1) - at.abs()).abs()
            elif mode == "replicate":
                at = at.clamp(0, n - 1)
            elif mode == "circular":
                at = at % n
            core = windows.resampled(call.coordinates, core, axis, at, 1.0)
        return core

    return [call.note(call.outs[0], padded)]


def _convolve(call: _Call) -> list[Note | None]:
    weight = call.argument(1, "weight")
    if call.of(call.first) is None:
        return _by_weights(call)
    n = weight.ndim - 2
    back = call.name.startswith("conv_transpose")
    stride = _each(call.argument(3, "stride", default=1), n)
    padding = call.argument(4, "padding", default=0)
    dilation = _each(call.argument(7 if back else 5, "dilation", default=1), n)
    kernel = tuple(weight.shape[2:])
    if isinstance(padding, str):
        spread = [d * (k - 1) * (padding == "same") for d, k in zip(dilation, kernel, strict=True)]
        around = [(s // 2, s - s // 2) for s in spread]
    else:
        around = [(p, p) for p in _each(padding, n)]
    return _windows(call, kernel, stride, around, dilation, adds=True, back=back)


def _pool(call: _Call) -> list[Note | None]:
    n = int(call.name[-2])
    powers = call.name.startswith("lp")  # it has the power before the kernel, and no padding
    kernel = _each(call.argument(2 if powers else 1, "kernel_size"), n)
    stride = _each(call.argument(3 if powers else 2, "stride") or kernel, n)
    padding = 0 if powers else call.argument(3, "padding", default=0)
    dilation = (1,) * n
    if call.name.startswith("max"):
        dilation = _each(call.argument(4, "dilation", default=1), n)
    return _windows(call, kernel, stride, [(p, p) for p in _each(padding, n)], dilation)


def _windows(
    call: _Call,
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


def _resize(call: _Call) -> list[Note | None]:
    """Adaptive pools, interpolation and pixel (un)shuffling: an axis is read at another rate."""
    out, shape = call.outs[0], call.shape
    corners = call.name in ("interpolate", "upsample") and bool(
        call.argument(4, "align_corners", default=False)
    )
    shuffles = call.name.startswith("pixel")
    n = 2 if shuffles else out.ndim - 2
    if call.name.startswith("adaptive"):
        n = int(call.name[-2])
    at = []
    for axis in range(out.ndim - n, out.ndim):
        old, new = shape[axis], out.shape[axis]
        step = torch.arange(new, dtype=torch.float32)
        if corners and new > 1:
            positions = step * (old - 1) / (new - 1)
        else:
            positions = (step + 0.5) * old / new - 0.5
        if old != new:
            at.append((axis, positions, old / new))
    places, channels = call.coordinates, out.ndim - 3

    def resized(core: Tensor) -> Tensor:
        core = places.mixed(core, [channels]) if shuffles else core
        for axis, positions, scale in at:
            if core.shape[axis] > 1:
                core = windows.resampled(places, core, axis, positions, scale)
        return core

    return [call.note(out, resized)]


def _image_patches(call: _Call) -> list[Note | None]:
    """``F.unfold``: every window's pixels as channels."""
    out = call.outs[0]
    kernel = call.argument(1, "kernel_size")
    dilation = call.argument(2, "dilation", default=1)
    padding = _each(call.argument(3, "padding", default=0), 2)
    stride = call.argument(4, "stride", default=1)
    _, channels, *space = call.shape

    def unfolded(core: Tensor) -> Tensor:
        core = core.expand(core.shape[0], core.shape[1], *space)
        for axis, more in zip((2, 3), padding, strict=True):
            at = torch.arange(-more, core.shape[axis] + more, dtype=torch.float32)
            core = windows.resampled(call.coordinates, core, axis, at, 1.0)
        each = [
            F.unfold(one[:, None].float(), kernel, dilation, 0, stride).long()
            for one in core.unbind(1)
        ]
        made = torch.stack(each, 1)  # (b, channels or 1, taps, windows)
        return made.expand(-1, channels, -1, -1).flatten(1, 2)

    return [call.note(out, unfolded)]


def _reduce(call: _Call) -> list[Note | None]:
    """A mean, sum or extreme over some axes; of two tensors, elementwise."""
    where, default = _OVER[call.name]
    given, ndim = call.argument(where, "dim", "axis", default=default), len(call.shape)
    if isinstance(call.argument(1, "other"), Tensor) and call.name in ("max", "min"):
        return _alike(call)
    if call.name.endswith("quantile") and isinstance(call.argument(1, "q"), Tensor):
        return [Note(f"{call.name}s, several of them", tuple(call.outs[0].shape), None)]
    axes = range(ndim) if given in (None, ()) or isinstance(given, bool) else given
    axes = [axes % ndim] if isinstance(axes, int) else [axis % ndim for axis in axes]
    keeps = call.outs[0].ndim == ndim

    def reduced(core: Tensor) -> Tensor:
        core = call.coordinates.mixed(core, axes)
        return core.reshape([n for i, n in enumerate(core.shape) if keeps or i not in axes])

    return [call.note(out, reduced) for out in call.outs]


def _contract(
    call: _Call,
    operands: Sequence[tuple[Tensor, str]],
    result: str,
    *,
    weighs: bool = False,
) -> list[Note | None]:
    """A sum of products, in letters as of an einsum.

    Args:
        call: the call.
        operands: each tensor with its letters.
        result: the letters of what is put out.
        weighs: the last operand is a weight, which has no places if it is learned.
    """
    notes = [(call.of(tensor), letters) for tensor, letters in operands]
    known = [(note, letters) for note, letters in notes if note is not None]
    tracked = [
        (n, s) for (n, s), (t, _) in zip(notes, operands, strict=True)
        if n is not None and not isinstance(t, nn.Parameter)
    ]  # fmt: skip
    known = tracked or known[:1]
    if not known:
        return [None]
    places, letters = call.coordinates, [each for _, each in known]

    def rule(*every: Cores) -> Known:
        pairs = list(zip(every, letters, strict=True))
        if weighs and not any(_has_cells(places, core) for core in every[-1]):
            pairs = pairs[:-1]
        if not pairs:
            return Placed((torch.zeros((1,) * len(result), dtype=torch.long),))
        return Placed(sums.contracted(places, pairs, result))

    return [Note(call.name, tuple(call.outs[0].shape), rule, tuple(note for note, _ in known))]


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _linear(call: _Call) -> list[Note | None]:
    x, weight = call.first, call.argument(1, "weight")
    most = _LETTERS[: x.ndim - 1]
    rows = "" if getattr(weight, "ndim", 2) == 1 else "z"
    operands = [(x, most + "y")]
    if isinstance(weight, Tensor) and not isinstance(weight, nn.Parameter):
        operands.append((weight, rows + "y"))
    return _contract(call, operands, most + rows, weighs=len(operands) > 1)


def _matmul(call: _Call) -> list[Note | None]:
    if call.name in ("addmm", "baddbmm", "addmv"):
        left, right = (
            call.argument(1, "mat1", "batch1", "mat"),
            call.argument(2, "mat2", "batch2", "vec"),
        )
    else:
        left, right = call.argument(0, "input", "self"), call.argument(1, "other", "mat2")
    if call.name == "rmatmul":
        left, right = right, left
    ndim = max(left.ndim, right.ndim, 2)
    batch = _LETTERS[: ndim - 2]
    rows = "z" if left.ndim == 1 else batch[ndim - left.ndim :] + "yz"
    columns = "z" if right.ndim == 1 else batch[ndim - right.ndim :] + "zx"
    result = batch + ("y" if left.ndim > 1 else "") + ("x" if right.ndim > 1 else "")
    return _contract(call, [(left, rows), (right, columns)], result)


def _products(call: _Call) -> list[Note | None]:
    """Products of two tensors under other names, as sums over letters."""
    left, right = call.argument(0, "input", "self", "a"), call.argument(1, "other", "vec2", "b")
    if call.name in ("addbmm", "addr"):
        left, right = call.argument(1, "batch1", "vec1"), call.argument(2, "batch2", "vec2")
    if call.name == "addbmm":
        return _contract(call, [(left, "byz"), (right, "bzx")], "yx")
    if call.name in ("outer", "ger", "addr"):
        return _contract(call, [(left, "y"), (right, "x")], "yx")
    if call.name in ("dot", "vdot"):
        return _contract(call, [(left, "z"), (right, "z")], "")
    if call.name == "tensordot":
        dims = call.argument(2, "dims", default=2)
        if isinstance(dims, (int, Tensor)):
            n = int(dims)
            dims = [*range(left.ndim - n, left.ndim)], [*range(n)]
        over = {b % right.ndim: a % left.ndim for a, b in zip(*dims, strict=True)}
    else:  # inner
        over = {right.ndim - 1: left.ndim - 1}
    letters = _LETTERS[: left.ndim]
    others = [letters[over[i]] if i in over else _LETTERS[left.ndim + i] for i in range(right.ndim)]
    both = set(letters) & set(others)
    result = "".join(c for c in (*letters, *others) if c not in both)
    return _contract(call, [(left, letters), (right, "".join(others))], result)


def _distances(call: _Call) -> list[Note | None]:
    """``cdist``: between all pairs of rows."""
    left, right = call.argument(0, "x1"), call.argument(1, "x2")
    most = _LETTERS[: call.outs[0].ndim - 2]
    operands = [(left, most[len(most) - left.ndim + 2 :] + "yz"),
                (right, most[len(most) - right.ndim + 2 :] + "xz")]  # fmt: skip
    return _contract(call, operands, most + "yx")


def _einsum(call: _Call) -> list[Note | None]:
    equation, *operands = call.args
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    spelt = spelt_out(equation, [t.ndim for t in operands])
    if spelt is None or any(len(set(each)) != len(each) for each in spelt):
        return [Note("einsum", tuple(call.outs[0].shape), None)]
    *letters, result = spelt
    return _contract(call, list(zip(operands, letters, strict=True)), result)


def spelt_out(equation: str, ndims: Sequence[int]) -> list[str] | None:
    """The letters of an einsum's operands and result, those of an ellipsis spelt out."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    parts = inputs.split(",")
    if not arrow or len(parts) != len(ndims):
        return None
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    more = [n - len(part.replace("...", "")) for part, n in zip(parts, ndims, strict=True)]
    every = "".join(unused[: max(more)])
    spelt = [p.replace("...", every[len(every) - n :]) for p, n in zip(parts, more, strict=True)]
    return [*spelt, result.replace("...", every)]


def _attend(call: _Call) -> list[Note | None]:
    """What an attention puts out lies where its queries do."""
    ndim = call.first.ndim
    return [call.note(call.outs[0], lambda core: call.coordinates.mixed(core, [ndim - 1]))]


def _complex(call: _Call) -> list[Note | None]:
    return [call.note(call.outs[0], lambda core: call.coordinates.mixed(core, [-1]).squeeze(-1))]


def _pairs(call: _Call) -> list[Note | None]:
    return [call.note(call.outs[0], lambda core: core.unsqueeze(-1))]


def _half(call: _Call) -> list[Note | None]:
    """``glu``: one half of an axis weighs the other."""
    dim = call.argument(1, "dim", default=-1)

    def halved(core: Tensor) -> Tensor:
        if core.shape[dim] == 1:
            return core
        return call.coordinates.merged(*core.chunk(2, dim))

    return [call.note(call.outs[0], halved)]


def _nothing(call: _Call) -> list[Note | None]:
    return []


def _each(value: Any, n: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list, torch.Size)) else (value,) * n
    return values * n if len(values) == 1 < n else values


_COPIED = frozenset(
    (
        *(*_RESHAPES, *_TURNS, *_PARTS, "expand", "diagonal", "view_as_real", "view_as_complex"),
        *("alias", "detach"),
    )
)
_RULES: dict[str, Rule] = {
    **dict.fromkeys(_RESHAPES, _reshape),
    **dict.fromkeys(_TURNS, _turn),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expand),
    **dict.fromkeys(("repeat", "tile"), _repeat),
    **dict.fromkeys(_PARTS, _part),
    **dict.fromkeys(("gather", "take_along_dim"), _gather),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), _join),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolve),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolve),
    **{f"{kind}_pool{n}d": _pool for kind in ("max", "avg", "lp") for n in (1, 2, 3)},
    **dict.fromkeys(_PUTS, _put),
    **dict.fromkeys(FILLS, _fill),
    **dict.fromkeys(_SORTS, _sort),
    **dict.fromkeys(_RUNNING, _running),
    **dict.fromkeys(_STACKS, _join),
    **dict.fromkeys(("hsplit", "vsplit", "dsplit"), _halves),
    **dict.fromkeys(("broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d"), _pairwise),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _shuffle),
    **dict.fromkeys(("tensordot", "inner", "outer", "ger", "dot", "vdot"), _products),
    **dict.fromkeys(("addbmm", "addr"), _products),
    **{"diagonal": _diagonal, "cdist": _distances},
    **{f"adaptive_{kind}_pool{n}d": _resize for kind in ("max", "avg") for n in (1, 2, 3)},
    **dict.fromkeys(("interpolate", "upsample", "pixel_shuffle", "pixel_unshuffle"), _resize),
    **dict.fromkeys(_OVER, _reduce),
    **dict.fromkeys(("matmul", "linalg_matmul", "bmm", "mm", "mv", "rmatmul"), _matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _matmul),
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), _attend),
    **dict.fromkeys(("flex_attention", "memory_efficient_attention"), _attend),
    **{
        "getitem": _index,
        "setitem": _setitem,
        "masked_select": _masked_select,
        "embedding": _embedding,
    },
    **dict.fromkeys(("linear", "linear_dynamic", "linear_relu_dynamic", "linear_fp16"), _linear),
    **{"pad": _pad, "einsum": _einsum, "copy": _same, "glu": _half},
    **{"view_as_complex": _complex, "view_as_real": _pairs, "set": _set},
    **dict.fromkeys(
        (
            *("zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"),
            *("new_zeros", "new_ones", "new_empty", "new_full"),
        ),
        _nothing,
    ),
}
