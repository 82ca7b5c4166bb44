"""Operations that put something into a tensor that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def become(call: Call) -> list[Note | None]:
    """``x.copy_(y)``, ``x.data = y``, ``x.set_(y)``, ``x.zero_()``: it is y from then on.

    What nothing is known of, a buffer or numbers, leaves it without places.
    """
    name, out = getattr(call.func, "__name__", ""), call.outs[0]
    if call.name in FILLS:
        if call.name != "fill" and not is_in_place(name):
            return [call.note(each, lambda core: core) for each in call.outs]
        return [constant(call.name, out)]
    if call.name == "set" and call.func != _DATA and name != "set_":
        return []
    source = call.argument(1, "src", "source", "other")
    fits = isinstance(source, Tensor) and source.shape == out.shape
    if call.name == "set" and not fits:
        return [Note("set_ to another storage", tuple(out.shape), None)]
    given, ndim = call.of(source), out.ndim
    if given is None:
        return [constant(call.name, out)]
    return [call.note(out, lambda core: moves.broadcast(core, ndim), of=given)]


def setitem(call: Call) -> list[Note | None]:
    """What is written into a part of a tensor lies there from then on; see ``_put``."""
    key, value = call.args[1:3]
    key, shape = held(key), call.shape

    def put(old: Tensor, new: Tensor) -> Tensor:
        return moves.written(old, new, shape, key)

    return _put(call, value, put)


def put_in(call: Call) -> list[Note | None]:
    """``scatter``, ``index_copy`` and their like; see ``_put``."""
    at, key = PUTS[call.name]
    value = call.argument(at, key)
    if call.name == "scatter" and not isinstance(value, Tensor):
        value = call.argument(3, "value")
    adds = call.argument(4, "reduce") if call.name == "scatter" else None
    if call.name == "index_put":
        adds = call.argument(3, "accumulate")
    if adds:
        return [Note(f"{call.name} that adds up", tuple(call.outs[0].shape), None)]
    func = getattr(torch.Tensor, call.name, None) or getattr(torch, call.name)
    rest = [held(each) for each in call.args[1:]]
    more = {name: held(each) for name, each in call.kwargs.items() if name not in ("input", "self")}
    shape, part = call.shape, tuple(getattr(value, "shape", ()))

    def put(old: Tensor, new: Tensor) -> Tensor:
        full = new.expand(part).contiguous()
        arguments = [full if i + 1 == at else each for i, each in enumerate(rest)]
        named = {**more, key: full} if key in more else more
        made: Tensor = func(old.expand(shape).contiguous(), *arguments, **named)
        for axis in range(made.ndim):
            made = moves.narrowed(made, axis)
        return made

    return _put(call, value, put)


def _put(call: Call, value: Any, put: Callable[[Tensor, Tensor], Tensor]) -> list[Note | None]:
    """The note of a tensor that something was written into.

    A tensor that nothing is known of, as a memory, leaves the part without places. A number, or one
    vector for all that it is written over, says nothing of where that lies: a masked patch still
    lies where it was.

    Args:
        call: the write.
        value: what is written.
        put: the core of the tensor after the write, of its own and that of the value.
    """
    base, out = call.of(call.first), call.outs[0]
    new = call.of(value) if isinstance(value, Tensor) else None
    plain = new is None
    if new is None:
        if not isinstance(value, Tensor) or not _is_several(value):
            return [base]
        new = constant(call.name, value)

    def rule(value: Cores, *given: Cores) -> Known:
        into = given[0] if given else (torch.zeros((1,) * ndim, dtype=torch.long),)
        if plain and len(into) > 1:
            return Placed(into)
        if len(into) != len(value):
            return Unknown("writing into a product")
        return Placed(tuple(put(old, new) for old, new in zip(into, value, strict=True)))

    ndim = len(call.shape)
    return [Note(call.name, tuple(out.shape), rule, (new,) if base is None else (new, base))]


def _is_several(value: Tensor) -> bool:
    """Whether it is more than one vector: it changes over more than one axis."""
    pairs = zip(value.shape, value.stride(), strict=True)
    return sum(n > 1 and step > 0 for n, step in pairs) > 1


RULES: dict[str, Rule] = {
    **dict.fromkeys(PUTS, put_in),
    **dict.fromkeys((*FILLS, "copy", "set"), become),
    "setitem": setitem,
}
