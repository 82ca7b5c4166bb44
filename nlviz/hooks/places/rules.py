"""What each operation of torch does to places, by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.hooks.module_calls import tensors
from nlviz.hooks.places import elementwise, moving, products, putting, sliding
from nlviz.hooks.places.calls import Call, Rule, is_whole
from nlviz.hooks.places.coordinates import Coordinates
from nlviz.hooks.places.notes import Note

_DUNDER = {
    **{"truediv": "div", "floordiv": "floor_divide", "and": "bitwise_and", "or": "bitwise_or"},
    **{"xor": "bitwise_xor", "invert": "bitwise_not", "mod": "remainder"},
}
_POOLS = {
    getattr(F, name): name
    for name in (f"{kind}_pool{n}d" for kind in ("max", "adaptive_max") for n in (1, 2, 3))
}
_PROPERTIES = {
    **{getattr(torch.Tensor, name).__get__: "adjoint" for name in ("mT", "mH")},
    **{getattr(torch.Tensor, name).__get__: "t" for name in ("T", "H")},
    **{getattr(torch.Tensor, name).__get__: "alias" for name in ("data", "real", "imag")},
}
_REFLECTED = frozenset(
    (*("add", "sub", "mul", "truediv", "floordiv", "pow", "mod", "matmul", "and", "or", "xor"),)
)


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
    whole, outs = [t for t in outs if is_whole(t)], [t for t in outs if not is_whole(t)]
    kwargs = {key: value for key, value in kwargs.items() if key != "out"}
    given = tensors((*args, *kwargs.values()))
    known = [tensor for tensor in given if of(tensor) is not None]
    if not outs or not known:
        return
    name = str(_POOLS.get(func) or getattr(func, "__name__", ""))
    if name == "__get__":
        name = _PROPERTIES.get(func, "__get__")
    name = _plain(name)
    call = Call(coordinates, of, name, func, args, kwargs, given, outs, whole)
    rule = _rule(name)
    if name == "unfold" and func is F.unfold:
        rule = sliding.image_patches
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
    return elementwise.alike if _is_pointwise(name) else None


_COPIED = frozenset(
    (
        *moving.RESHAPES,
        *moving.TURNS,
        *moving.PARTS,
        *("expand", "diagonal", "view_as_real", "view_as_complex", "alias", "detach"),
    )
)
_RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **moving.RULES,
    **putting.RULES,
    **sliding.RULES,
    **products.RULES,
}
