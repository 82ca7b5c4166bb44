"""Which modules are running where an attention is computed, and so what its slots may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.hooks.attention.calls import Attended
from nlviz.hooks.attention.recompute import affinity_of
from nlviz.hooks.attention.token_layout import (
    Sizes,
    TokenLayout,
    by_aspect,
    sequence_layout,
    window_layout,
)
from nlviz.hooks.batch import Sample
from nlviz.hooks.module_calls import first_tensor, this_thread

Entry = tuple[str, nn.Module, tuple[int, ...]]  # path, module, shape of its input


class ModuleStack:
    """The modules that are running, outermost first, and what the slots of attention are.

    Args:
        sample: what of each batch to keep.
        given: the module's input, or None.
        tokens: the names that the network has for tokens.
    """

    def __init__(self, sample: Sample, given: Tensor | None, tokens: Sequence[str]) -> None:
        self.sample, self.tokens = sample, tuple(tokens)
        self.given = tuple(given.shape) if given is not None else ()
        self.stack: list[Entry] = []

    def attach(self, module: nn.Module, hooks: ExitStack) -> None:
        """Follow every sub-module that has children; the hooks leave with ``hooks``."""
        for path, part in module.named_modules():
            if path and not any(part.children()):
                continue
            name = path or type(module).__name__
            enter, leave = this_thread(self._enterer(name)), this_thread(self._leave)
            hooks.callback(part.register_forward_pre_hook(enter, with_kwargs=True).remove)
            hooks.callback(part.register_forward_hook(leave, always_call=True).remove)

    def _enterer(self, name: str) -> Any:
        def enter(module: nn.Module, args: Any, kwargs: Any = None) -> None:
            given = first_tensor(args, kwargs)
            self.stack.append((name, module, () if given is None else tuple(given.shape)))

        return enter

    def _leave(self, module: nn.Module, *_: Any) -> None:
        while self.stack and self.stack.pop()[1] is not module:
            pass

    @property
    def name(self) -> str:
        """The path of the module that is running."""
        return self.stack[-1][0] if self.stack else "attention"

    def affinity_of(
        self, call: Attended | str, seen: Sequence[tuple[int, tuple[int, ...]]]
    ) -> tuple[Affinity, float]:
        """The affinity of a call and its relative error.

        Args:
            call: what was computed, or why it could not be seen.
            seen: (batch, sizes) of the feature maps so far.

        Raises:
            CaptureError: why it is not understood.
        """
        if isinstance(call, str):
            raise CaptureError(call)
        b, heads, n, _ = call.query.shape
        m = call.key.shape[2]
        if n == 1 < m and len(self.given) >= 4:
            raise CaptureError(
                "has one query for all keys, which is not a cell (attention pooling)"
            )
        part = self.sample.elements(b)
        sequences = part.stop - part.start
        # One head may be several that were folded into the batch.
        folds = [f for f in range(1, sequences + 1 if heads == 1 else 2) if not sequences % f]
        first = None
        for fold in folds:
            try:
                queries = self._layout(sequences // fold, n, seen)
                keys = queries if m == n else self._layout(sequences // fold, m, seen)
            except CaptureError as why:
                first = first or why
                continue
            return affinity_of(call.of(part, fold), queries, keys)
        raise first or CaptureError("ran without a sequence")

    def _layout(
        self, sequences: int, length: int, seen: Sequence[tuple[int, tuple[int, ...]]]
    ) -> TokenLayout:
        for _, module, shape in reversed(self.stack):
            if getattr(module, "attention_type", None) == "joint_space_time":  # TimeSformer's
                raise CaptureError("orders its cells by place, then time, which is not supported")
            window, shift = (getattr(module, f"{what}_size", None) for what in ("window", "shift"))
            if window is None or shift is None or len(shape) not in (3, 4, 5):
                continue
            part = self.sample.elements(shape[0])
            elements = part.stop - part.start
            if sizes := self._windowed(shape[1:-1], elements, seen):
                laid = window_layout(sizes, _sizes(window), _sizes(shift, 0), elements)
                if laid.columns.shape != (sequences, length):
                    raise CaptureError("has windows that do not match its sizes")
                return laid
        return sequence_layout(sequences, length, self._grids(length, seen), self.tokens)

    def _windowed(
        self, axes: tuple[int, ...], elements: int, seen: Sequence[tuple[int, tuple[int, ...]]]
    ) -> Sizes | None:
        """The grid of one element that is cut into windows; flattened in Hugging Face's Swin."""
        if len(axes) > 1:
            return _sizes(axes)
        cells = elements * axes[0]
        grids = (g for g in self._grids(cells, seen) if math.prod(g) == cells and g[0] == elements)
        found = next(grids, None)
        return found and (1, *found[1:])

    def _grids(self, length: int, seen: Sequence[tuple[int, tuple[int, ...]]]) -> Iterator[Sizes]:
        """Candidate grids, most likely first: the latest feature map, then the input's aspect."""
        maps = self._maps(seen)
        yield from reversed(maps)
        if len(self.given) >= 4:
            *_, height, width = self.given
            lengths = self.given[1:-2] if len(self.given) == 5 else self.given[:1]
            likely = [steps for steps, _, _ in reversed(maps) if steps > 1]
            most = math.prod(maps[0]) if likely else length
            for frames in sorted({*lengths, 1}, reverse=True):  # the fewest may be channels
                sizes = (frames, height, width)
                fits = by_aspect(length, sizes, len(self.tokens), likely)
                yield from (grid for grid in fits if math.prod(grid) <= most)
        else:
            yield length, 1, 1

    def _maps(self, seen: Sequence[tuple[int, tuple[int, ...]]]) -> list[Sizes]:
        """The sample's feature maps, whose elements follow in time.

        Time steps only grow fewer through a network. Where there are more elements, they are not
        frames but windows, or heads that a pool of queries or keys has put into the batch (MViT).
        """
        maps: list[Sizes] = []
        for batch, sizes in seen:
            try:
                part = self.sample.elements(batch)
            except CaptureError:
                continue
            elements = part.stop - part.start
            t, rows, cols = (1, *sizes) if len(sizes) == 2 else sizes
            if elements == 1 or not maps or elements * t <= maps[0][0]:
                maps.append((elements * t, rows, cols))
        return maps


def _sizes(value: Any, missing: int = 1) -> Sizes:
    """(time, rows, columns) from one number, (rows, columns) or all three."""
    values = [value] * 2 if isinstance(value, int) else [int(v) for v in value]
    t, rows, cols = [missing] * (3 - len(values)) + values
    return t, rows, cols
