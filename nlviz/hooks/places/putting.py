"""Operations that put something into a tensor that is there."""

from __future__ import annotations

import torch
from torch import Tensor

from nlviz.hooks.places import moves
from nlviz.hooks.places.calls import Call, Rule, constant, held, is_in_place
from nlviz.hooks.places.notes import Known, Note, Placed, Unknown
from nlviz.hooks.places.sums import Cores

# What is written into a tensor, by the position and the names of what is put there.
PUTS = {
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
_DATA = torch.Tensor.data.__set__  # type: ignore[attr-defined]


def copy_in(call: Call) -> list[Note | None]:
    """What was written into a tensor takes its place."""
    given = call.of(call.argument(1, "src", "other"))
    if given is None:
        return [call.of(call.first)]
    ndim = call.outs[0].ndim
    return [call.note(call.outs[0], lambda core: moves.broadcast(core, ndim), of=given)]


def set_to(call: Call) -> list[Note | None]:
    """``x.data = y``, ``x.set_(y)``: it is the other tensor from then on."""
    other = call.argument(1, "source")
    if call.func != _DATA and getattr(call.func, "__name__", "") != "set_":
        return []
    if not isinstance(other, Tensor) or other.shape != call.outs[0].shape:
        return [Note("set_ to another storage", tuple(call.outs[0].shape), None)]
    given = call.of(other)
    if given is not None:
        return [call.note(call.outs[0], lambda core: core, of=given)]
    return [constant(call)]


def setitem(call: Call) -> list[Note | None]:
    """What is written into a part of a tensor lies there from then on."""
    given, (key, value) = call.of(call.first), call.args[1:3]
    put = call.of(value) if isinstance(value, Tensor) else None
    if put is None:  # numbers say nothing of where they lie
        return [given]
    key = held(key)
    shape, known = call.shape, (put,) if given is None else (put, given)

    def rule(value: Cores, *base: Cores) -> Known:
        into = base[0] if base else (torch.zeros((1,) * len(shape), dtype=torch.long),)
        if len(into) != len(value):
            return Unknown("writing into a product")
        pairs = zip(into, value, strict=True)
        return Placed(tuple(moves.written(old, new, shape, key) for old, new in pairs))

    return [Note("setitem", shape, rule, known)]


def put_in(call: Call) -> list[Note | None]:
    """``scatter``, ``index_copy`` and their like: what is put in lies there from then on."""
    at, key = PUTS[call.name]
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
    rest = [held(each) for each in call.args[1:]]
    more = {name: held(each) for name, each in call.kwargs.items() if name not in ("input", "self")}
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


def fill(call: Call) -> list[Note | None]:
    """Numbers over all of a tensor: it has no places any more."""
    if call.name != "fill" and not is_in_place(getattr(call.func, "__name__", "")):
        return [call.note(out, lambda core: core) for out in call.outs]
    return [constant(call)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(PUTS, put_in),
    **dict.fromkeys(FILLS, fill),
    **{"setitem": setitem, "copy": copy_in, "set": set_to},
}
