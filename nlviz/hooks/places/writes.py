"""What was written into tensors that are there, and so into all other views of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from nlviz.hooks.places.notes import Known, Note, Placed, Unknown


@dataclass(frozen=True, slots=True)
class _Window:
    """Which numbers of a storage a tensor has."""

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> _Window:
        return cls(int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride())

    def numbers(self) -> Tensor:
        """Which number of the storage each element is."""
        at = torch.full((1,) * len(self.shape), self.offset)
        for axis, (n, step) in enumerate(zip(self.shape, self.stride, strict=True)):
            across = [-1 if i == axis else 1 for i in range(len(self.shape))]
            at = at + (torch.arange(n) * step).reshape(across)
        return at


class Writes:
    """The writes of a pass, by storage: a pointer, as long as what it pointed to is alive."""

    def __init__(self) -> None:
        self._into: dict[int, tuple[Any, list[tuple[_Window, Note]]]] = {}

    def count(self, tensor: Tensor) -> int:
        """How many there were into a tensor's storage."""
        return len(self._of(tensor)) if self._into else 0

    def add(self, tensor: Tensor, note: Note) -> None:
        """Something was written into a tensor, which is since then as its note says."""
        at = _pointer(tensor)
        if not at:
            return
        if not self._of(tensor):
            alive: Any = StorageWeakRef
            self._into[at] = alive(tensor.untyped_storage()), []
        self._into[at][1].append((_Window.of(tensor), note))

    def seen(self, tensor: Tensor, own: Note | None, since: int) -> Note:
        """What a tensor is after the writes behind the first ``since``; before, it was ``own``."""
        window = _Window.of(tensor)
        later = self._of(tensor)[since:]

        def rule(*every: tuple[Tensor, ...]) -> Known:
            if any(len(cores) > 1 for cores in every):
                return Unknown("a write into a part of a product")
            given = [cores[0] for cores in every]
            before = given.pop(0) if own is not None else torch.zeros((), dtype=torch.long)
            at = window.numbers()
            least, most = int(at.min()), int(at.max())
            held = torch.zeros(most - least + 1, dtype=torch.long)
            held[at - least] = before.expand(window.shape)
            for (into, _), core in zip(later, given, strict=True):
                there = into.numbers()
                mine = (there >= least) & (there <= most)
                held[there[mine] - least] = core.expand(into.shape)[mine]
            return Placed((_thin(held[at - least]),))

        notes = tuple(note for _, note in later)
        given = notes if own is None else (own, *notes)
        return Note("a write through a view", window.shape, rule, given)

    def _of(self, tensor: Tensor) -> list[tuple[_Window, Note]]:
        reference, writes = self._into.get(_pointer(tensor), (None, []))
        return [] if reference is None or reference.expired() else writes


def _pointer(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # of a kind that has none, as within vmap
        return 0


def _thin(core: Tensor) -> Tensor:
    """A core with 1 along each axis over which its places do not change."""
    for axis in range(core.ndim):
        first = core.narrow(axis, 0, 1)
        if bool((core == first).all()):
            core = first
    return core
