"""What logits are made of besides query and key: a scale, a mask, a bias by position.

The scale, and the bias that all sequences share, are found in a few of the logits; then all are
compared with what was found, some sequences at a time, so that these stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from nlviz.errors import CaptureError

NEVER = -1e4
"""No logit is that low: masks are the lowest float or -inf."""

_BELOW = -50.0  # or -100, told by what the same place adds in other sequences
# Of the largest logit that is not masked, what rounding may leave: by precision.
_CLOSE = {torch.bfloat16: 2e-2, torch.float16: 5e-3}
_CLOSE_ELSE = 1e-4
# (some, many): all are looked at where there are not many of them, else some.
_ROWS = 32, 64
_FEW_ROWS = 16, 16
_SEQUENCES = 4, 4
_FIRST = 4, 16
_AT_ONCE = {True: 1 << 18, False: 1 << 24}  # logits of one part: 1 MiB on a CPU, else 64

_Some = Tensor | slice


@dataclass(frozen=True, slots=True)
class LogitTerms:
    """logits = scale · query · keyᵀ + bias, where allowed; b sequences, H heads.

    Args:
        scale: (H,) factor of each head.
        bias: (H, N, M) the same for all sequences, or None.
        allowed: (b, N, M) bool, False where a mask forbids the link; or None.
        causal: query i sees the keys 0 to i alone, which no mask spells out.
        sink: (H,) the logit of one more key, which gives nothing; or None.
    """

    scale: Tensor
    bias: Tensor | None = None
    allowed: Tensor | None = None
    causal: bool = False
    sink: Tensor | None = None


def fused_terms(
    mask: Tensor | None, scale: float, shape: tuple[int, ...], *, causal: bool = False
) -> LogitTerms:
    """The ``LogitTerms`` of a fused call, whose scale and mask are known; shape (b, H, N, M).

    Raises:
        CaptureError: a mask that differs between heads, or a bias that differs between sequences.
    """
    factor = torch.full((shape[1],), scale)
    if mask is None:
        return LogitTerms(factor, causal=causal)
    mask = mask.detach().expand(shape)
    if mask.stride(0) == 0:  # all sequences have the same
        mask = mask[:1]
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    added = _Added(mask)
    exact = torch.finfo(torch.float32).eps
    terms = added.proven(lambda some: _Found(factor, added.bias(some, factor), exact))
    if terms.allowed is None:
        return terms
    return replace(terms, allowed=terms.allowed.expand(shape[0], -1, -1))


def terms_of(logits: Tensor, query: Tensor, key: Tensor) -> LogitTerms:
    """The ``LogitTerms`` of logits (b, H, N, M) to query (b, H, N, D) and key (b, H, M, D).

    Raises:
        CaptureError: the logits depend on more than query, key and position.
    """
    seen = _Products(logits.detach(), query.detach(), key.detach())
    scale = seen.scale_alone()
    return seen.proven(seen.found) if scale is None else LogitTerms(scale.cpu())


class _Found(NamedTuple):
    """What some sequences show: (H,) scale, (H, N, M) bias, and what may be left of a logit."""

    scale: Tensor
    bias: Tensor
    close: float


@dataclass(frozen=True, slots=True)
class _Added:
    """What is added to logits, (b, H, N, M), by itself."""

    logits: Tensor

    def rests(self, some: _Some, scale: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """What is added to scale · query · keyᵀ, float32: some of ``some`` after the others."""
        logits = self.logits[some]
        yield from ((part, logits[part].float()) for part in self._parts(len(logits)))

    def _parts(self, sequences: int) -> Iterator[slice]:
        most = _AT_ONCE[self.logits.device.type == "cpu"]
        step = max(most // max(math.prod(self.logits.shape[1:]), 1), 1)
        return (slice(start, start + step) for start in range(0, sequences, step))

    def bias(self, some: _Some, scale: Tensor) -> Tensor:
        """(H, N, M) what is added where a mask does not forbid it, 0 where one always does."""
        most = reduce(torch.maximum, (rest.amax(0) for _, rest in self.rests(some, scale)))
        return most.masked_fill_(most <= NEVER, 0)

    def proven(self, found: Callable[[_Some], _Found]) -> LogitTerms:
        """What a few sequences show if it holds for all, else what all of them show together.

        Raises:
            CaptureError: neither holds.
        """
        few = _spread(len(self.logits), _SEQUENCES)
        try:
            return self._checked(*found(few))
        except CaptureError:
            if isinstance(few, slice):
                raise
        return self._checked(*found(slice(None)))

    def _checked(self, scale: Tensor, bias: Tensor, close: float) -> LogitTerms:
        b, _, n, m = self.logits.shape
        allowed = None
        for part, rest in self.rests(slice(None), scale):
            left = rest - bias
            low, high = (float(end) for end in left.aminmax())
            if -close <= low and high <= close:
                continue
            there = left > _BELOW
            if not bool((there == there[:, :1]).all()):
                raise CaptureError(
                    "has heads with masks of their own, or logits that depend on more than query, "
                    "key and position"
                )
            if not float(left.masked_fill_(~there, 0).abs().amax()) <= close:
                raise CaptureError("has logits that depend on more than query, key and position")
            if allowed is None:
                allowed = torch.ones((b, n, m), dtype=torch.bool)
            allowed[part] = there[:, 0].cpu()
        small = float(bias.abs().max()) <= close
        return LogitTerms(scale.cpu(), None if small else bias.cpu(), allowed)


@dataclass(frozen=True, slots=True)
class _Products(_Added):
    """Logits (b, H, N, M) of query (b, H, N, D) and key (b, H, M, D), and what is added to them."""

    query: Tensor
    key: Tensor

    def rests(self, some: _Some, scale: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """What is added to scale · query · keyᵀ, float32: some of ``some`` after the others."""
        logits, query, key = self.logits[some], self.query[some], self.key[some]
        for part in self._parts(len(logits)):
            product = _product(query[part] * scale[:, None, None], key[part])
            yield part, torch.sub(logits[part], product, out=product)

    def scale_alone(self) -> Tensor | None:
        """(H,) the scale, if some rows of each sequence have nothing else; a few go first."""
        rows = _spread(self.logits.shape[2], _ROWS)
        few = _spread(len(self.logits), _FIRST)
        for some in (few,) if isinstance(few, slice) else (few, slice(None)):
            of_some = self.logits[some][:, :, rows]
            low, high = (float(end) for end in of_some.aminmax())
            if low <= NEVER:
                return None
            product = _product(self.query[some][:, :, rows], self.key[some])
            if some is few:
                scale = _slope(of_some.float(), product, torch.ones_like(product))
            rest = torch.sub(of_some, product.mul_(scale[:, None, None]), out=product)
            if not float(rest.abs().amax()) <= self._close * max(-low, high):
                return None
        return scale

    @property
    def _close(self) -> float:
        return _CLOSE.get(self.logits.dtype, _CLOSE_ELSE)

    def found(self, some: _Some) -> _Found:
        """What some sequences show by some of their rows; or all of them by all rows."""
        rows = _spread(self.logits.shape[2], _FEW_ROWS) if isinstance(some, Tensor) else slice(None)
        whole = self.logits[some][:, :, rows].float()
        product = _product(self.query[some][:, :, rows], self.key[some])
        there = (whole > NEVER).float()
        kept = torch.where(there > 0, whole, 0)
        # What varies from sequence to sequence owes nothing to a bias by position; a mask is rare.
        moved, by = (t - t.roll(1, 0) for t in (kept, product))
        telling = (by.abs() > 0.1 * by.abs().amax((0, 2, 3), keepdim=True)) & (by != 0)
        if bool(telling.any(3).any(2).any(0).all()):
            ratios = zip((moved / by).unbind(1), telling.unbind(1), strict=True)
            scale = torch.stack([ratio[told].median() for ratio, told in ratios])
            rest = whole - scale[:, None, None] * product
            there = ((rest > NEVER) & (rest > rest.amax(0) + _BELOW)).float()
            count = there.sum(0).clamp(min=1)
            moved, by = (t - (t * there).sum(0) / count for t in (kept, product))
            scale = _slope(moved, by, there * (count > 1))
        else:
            scale = _slope(kept, product, there)
        close = self._close * float((kept * there).abs().max())
        return _Found(scale, self.bias(some, scale), close)


def _product(query: Tensor, key: Tensor) -> Tensor:
    return query.float() @ key.float().transpose(-1, -2)


def _slope(y: Tensor, x: Tensor, where: Tensor) -> Tensor:
    """Least squares y = slope · x for each head, (H,)."""
    over = (0, 2, 3)
    return (where * x * y).sum(over) / (where * x * x).sum(over).clamp(min=1e-30)


def _spread(length: int, most: tuple[int, int]) -> _Some:
    """All of an axis, or some where it has many: evenly spread, the first and last included."""
    some, many = most
    if length <= many:
        return slice(None)
    return torch.linspace(0, length - 1, some).round().long()
