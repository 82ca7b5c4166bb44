"""One call of an operation of torch, and the notes that it leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nlviz.hooks.places.coordinates import Coordinates, Kind
from nlviz.hooks.places.notes import Known, Note, Placed
from nlviz.hooks.places.sums import Cores


@dataclass(slots=True)
class Call:
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
        func, rest = self.func, [held(value) for value in self.args[1:]]
        if is_in_place(getattr(func, "__name__", "")):
            func = getattr(torch.Tensor, self.name)
        more = {key: held(value) for key, value in self.kwargs.items()}
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


Rule = Callable[[Call], "list[Note | None]"]


def is_in_place(name: str) -> bool:
    """Whether a name says that a tensor is changed: ``add_``."""
    return name.endswith("_") and not name.endswith("__")


def is_whole(tensor: Tensor) -> bool:
    """Whether it holds whole numbers, which are no features; pixels are bytes."""
    features = tensor.is_floating_point() or tensor.is_complex()
    return not features and tensor.dtype not in (torch.bool, torch.uint8)


def held(value: Any) -> Any:
    """What a note may keep of an argument: a copy of an index or mask, nothing of features."""
    if isinstance(value, Tensor):
        features = value.is_floating_point() or value.is_complex()
        return None if features else value.detach().cpu().clone()
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        each = [held(one) for one in value]
        return each if isinstance(value, list) else tuple(each)
    return value


def has_cells(places: Coordinates, core: Tensor) -> bool:
    """Whether a place of the input is among those of a core."""
    return bool((places.kind(core) == Kind.CELL).any())


def constant(name: str, tensor: Tensor) -> Note:
    """The note of what has no places, or none any more."""
    single = (1,) * tensor.ndim

    def rule() -> Known:
        return Placed((torch.zeros(single, dtype=torch.long),))

    return Note(name, tuple(tensor.shape), rule)
