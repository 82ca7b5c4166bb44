"""Places followed through a forward pass: for every tensor, which place of the input is where.

Nothing is worked out while the pass runs: each operation leaves a note of what it did, and only
when an attention asks for the places of its queries and keys are the notes on their way read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from nlviz.errors import CaptureError
from nlviz.hooks.module_calls import tensors
from nlviz.hooks.places.coordinates import Coordinates
from nlviz.hooks.places.inputs import Clips, Given, given_of
from nlviz.hooks.places.layout import SlotLayout, laid_out
from nlviz.hooks.places.notes import Known, Note, Placed, on_our_own
from nlviz.hooks.places.outside import Outside
from nlviz.hooks.places.putting import FILLS
from nlviz.hooks.places.rules import noted
from nlviz.hooks.places.writes import Writes

_LAYOUTS = 4  # that are kept: blocks come in windows, shifted windows, rows, columns


class Places:
    """The notes of one forward pass.

    Args:
        module: whose parameters may become tokens.
        inputs: what it is called with; pictures among them have their batch first.
        wanted: whether anything will be asked; if not, nothing is noted.
        layout: the axes of the first picture, as ``"BCTHW"``; None where its shape tells.

    Raises:
        CaptureError: an input that has no such layout.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Iterable[Any],
        *,
        wanted: bool = True,
        layout: str | None = None,
    ) -> None:
        self.wanted = wanted
        self.writes = Writes()
        self.outside = Outside(module)
        self.names = {id(p): name for name, p in module.named_parameters()}
        self.notes: Any = WeakTensorKeyDictionary()
        given = given_of(inputs, module, layout)
        self.is_sequence = all(each.sequence for each in given)
        self.unsure = any(each.unsure for each in given)
        self.clips = Clips.of(given)
        with on_our_own():
            self.coordinates = Coordinates(self.clips.size)
        self._layouts: deque[_LaidOut] = deque(maxlen=_LAYOUTS)
        for each in given:
            if each.tensor not in self.notes:
                self._begin(each)

    def _begin(self, given: Given) -> None:
        """Number the places of an input; frames of a second picture follow those of the first."""
        shape, axes, sizes = tuple(given.tensor.shape), given.axes, given.sizes
        after = self.clips.before[given.picture]

        def rule() -> Known:
            core = self.coordinates.pixels(sizes, (given.element, after))
            there = [axis for axis in axes if axis is not None]
            core = core.reshape([shape[axis] for axis in there])
            for axis in sorted(set(range(len(shape))) - set(there)):
                core = core.unsqueeze(axis)
            return Placed((core,))

        self._put(given.tensor, Note("the input", shape, rule))

    def of(self, tensor: Tensor) -> Note | None:
        """The note of a tensor; None for a constant, and for one without elements."""
        if not self.wanted or not tensor.numel():
            return None
        note, writes = self.notes.get(tensor, (None, 0))
        if self.writes.count(tensor) > writes:
            note = self.writes.seen(tensor, note, writes)
            self._put(tensor, note)
        if note is None and isinstance(tensor, nn.Parameter) and id(tensor) in self.names:
            name, shape = self.names[id(tensor)], tuple(tensor.shape)
            note = Note(name, shape, lambda: Placed((self.coordinates.parameter(name, shape),)))
            self._put(tensor, note)
        if note is None and self.outside.has(tensor):
            note = Note(f"what {self.outside.by} made of it", tuple(tensor.shape), None)
        found: Note | None = note
        return found

    def holds(self, tensor: Tensor) -> bool:
        """Whether something of a tensor comes from the input, as far as is known."""
        return tensor.numel() > 1 and tensor in self.notes and not isinstance(tensor, nn.Parameter)

    def follow(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> None:
        """Note what a call did to the places of what it was given."""
        if not self.wanted:
            return
        name = getattr(func, "__name__", "")
        if out is None and name in ("__setitem__", "__set__"):
            out = args[0]
        outs = tensors(out if isinstance(out, (tuple, list)) else [out])
        given = tensors((*args, *kwargs.values()))
        self.outside.left(name, given, self.holds)
        try:
            made = list(noted(self.coordinates, self.of, func, args, kwargs, outs))
        except Exception as fault:  # noqa: BLE001 — a note must not end the module's own pass
            lost = Note(f"{name} ({type(fault).__name__})", (), None)
            made = [(tensor, lost) for tensor in outs]
        puts = len(given) > 1 or name.rstrip("_") in FILLS
        for tensor, note in made:
            if puts and any(tensor is each for each in given):
                self.writes.add(tensor, note)
            self._put(tensor, note)
        for tensor in outs:
            if tensor not in self.notes:
                self.outside.made(name, tensor)

    def laid_out(
        self, queries: Tensor, keys: Tensor, *, alone: bool, apart: bool = False
    ) -> tuple[SlotLayout, SlotLayout]:
        """The layouts of queries (S, N) and keys (S, M), whose places are given by number.

        Args:
            queries: the place of each query.
            keys: the place of each key.
            alone: they are one sample's of several; else all of the input is one clip.
            apart: a token is another one in each sequence.

        Raises:
            CaptureError: slots that are no cells of one grid, or no input to lie in.
        """
        for laid in self._layouts:
            if laid.answers(queries, keys, (alone, apart)):
                return laid.layouts
        layouts = self._laid_out(queries, keys, alone, apart)
        self._layouts.appendleft(_LaidOut(queries, keys, (alone, apart), layouts))
        return layouts

    def _laid_out(
        self, queries: Tensor, keys: Tensor, alone: bool, apart: bool
    ) -> tuple[SlotLayout, SlotLayout]:
        if not self.clips.frames:
            raise CaptureError(
                "has slots whose places are not known: the module was given no picture, clip or "
                "sequence"
            )
        both = torch.cat([queries, keys], dim=1)
        if self.unsure and bool((self.coordinates.size(both)[..., 1] >= self.clips.each).any()):
            raise CaptureError(
                "has slots whose frames are not known: the input's shape leaves open which of its "
                "axes is time and which is channels; say which, or take another number of frames"
            )
        first = None
        if alone:
            first = float(self.coordinates.centre(both)[..., 0].nan_to_num(torch.inf).min())
        clips = None if self.is_sequence else self.clips
        return laid_out(self.coordinates, clips, first, queries, keys, apart=apart)

    def lies_as(self, tensor: Tensor, other: Note) -> None:
        """Say that a tensor (elements, channels, …) lies where another does, on the same axes."""

        def rule(cores: tuple[Tensor, ...]) -> Known:
            return Placed(tuple(self.coordinates.mixed(core, [1]) for core in cores))

        if self.wanted:
            self._put(tensor, Note("y", tuple(tensor.shape), rule, (other,)))

    def _put(self, tensor: Tensor, note: Note) -> None:
        self.notes[tensor] = note, self.writes.count(tensor)


@dataclass(frozen=True, slots=True, eq=False)
class _LaidOut:
    """Layouts that were worked out: block after block of a network asks for the same."""

    queries: Tensor
    keys: Tensor
    how: tuple[bool, bool]
    layouts: tuple[SlotLayout, SlotLayout]

    def answers(self, queries: Tensor, keys: Tensor, how: tuple[bool, bool]) -> bool:
        """Whether they are of these places, whose numbers never come to mean others."""
        same = self.how == how and torch.equal(self.queries, queries)
        return same and torch.equal(self.keys, keys)


class Following(TorchFunctionMode):
    """Follows the places of every call of this thread while the mode is on."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the call, then note what it did."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self.places.follow(func, args, kwargs, out)
        return out
