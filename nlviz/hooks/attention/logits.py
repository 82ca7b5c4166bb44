"""What logits are made of besides query and key: a scale, a mask, a bias by position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.errors import CaptureError

_NEVER = -1e4  # no logit is that low: masks are the lowest float or -inf
_BELOW = -50.0  # or -100, told by what the same place adds in other sequences
_CLOSE = {True: 1e-4, False: 2e-2}  # by precision: of the largest logit, what rounding may leave
_ROWS = 64


@dataclass(frozen=True, slots=True)
class LogitTerms:
    """logits = scale · query · keyᵀ + bias, where allowed; b sequences, H heads.

    Args:
        scale: (H,) factor of each head.
        bias: (H, N, M) the same for all sequences, or None.
        allowed: (b, N, M) bool, False where a mask forbids the link; or None.
    """

    scale: Tensor
    bias: Tensor | None = None
    allowed: Tensor | None = None


def fused_terms(mask: Tensor | None, scale: float, shape: tuple[int, ...]) -> LogitTerms:
    """The ``LogitTerms`` of a fused call, whose scale and mask are known; shape (b, H, N, M).

    Raises:
        CaptureError: a mask that differs between heads, or a bias that differs between sequences.
    """
    factor = torch.full((shape[1],), scale)
    if mask is None:
        return LogitTerms(factor)
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    return _split(mask.detach().float().expand(shape), factor, torch.finfo(torch.float32).eps)


def terms_of(logits: Tensor, query: Tensor, key: Tensor) -> LogitTerms:
    """The ``LogitTerms`` of logits (b, H, N, M) to query (b, H, N, D) and key (b, H, M, D).

    Raises:
        CaptureError: the logits depend on more than query, key and position.
    """
    close = _CLOSE[logits.dtype in (torch.float32, torch.float64)]
    query, key = query.detach().float(), key.detach().float().transpose(-1, -2)
    some = torch.linspace(0, query.shape[2] - 1, min(_ROWS, query.shape[2])).round().long()
    few = logits.detach()[:, :, some].float()
    product = query[:, :, some] @ key
    scale = _slope(few, product, torch.ones_like(few))
    rest = (few - scale[:, None, None] * product).abs()
    if bool((few > _NEVER).all()) and float(rest.max()) <= close * float(few.abs().max()):
        return LogitTerms(scale.cpu())
    whole, product = logits.detach().float(), query @ key
    there = (whole > _NEVER).float()
    seen = torch.where(there > 0, whole, 0)
    # What varies from sequence to sequence owes nothing to a bias by position; a mask is rare.
    moved, by = (t - t.roll(1, 0) for t in (seen, product))
    telling = (by.abs() > 0.1 * by.abs().amax((0, 2, 3), keepdim=True)) & (by != 0)
    if bool(telling.any(3).any(2).any(0).all()):
        ratios = zip((moved / by).unbind(1), telling.unbind(1), strict=True)
        scale = torch.stack([ratio[kept].median() for ratio, kept in ratios])
        there = _there(whole - scale[:, None, None] * product).float()
        count = there.sum(0).clamp(min=1)
        moved, by = (t - (t * there).sum(0) / count for t in (seen, product))
        scale = _slope(moved, by, there * (count > 1))
    else:
        scale = _slope(seen, product, there)
    rest = whole - scale[:, None, None] * product
    return _split(rest, scale, float(close * seen.abs().max()))


def _there(rest: Tensor) -> Tensor:
    """Where nothing forbids a link, from what is added to the logits, (b, H, N, M)."""
    return (rest > _NEVER) & (rest > rest.amax(0) + _BELOW)


def _slope(y: Tensor, x: Tensor, where: Tensor) -> Tensor:
    """Least squares y = slope · x for each head, (H,)."""
    over = (0, 2, 3)
    return (where * x * y).sum(over) / (where * x * x).sum(over).clamp(min=1e-30)


def _split(rest: Tensor, scale: Tensor, close: float) -> LogitTerms:
    """Mask and bias of what is added to the logits, (b, H, N, M)."""
    there = _there(rest)
    allowed = None
    if not bool(there.all()):
        if not bool((there == there[:, :1]).all()):
            raise CaptureError(
                "has heads with masks of their own, or logits that depend on more than query, key "
                "and position"
            )
        allowed = there[:, 0].cpu()
    bias = torch.where(there, rest, -torch.inf).amax(0)
    bias = torch.where(bias == -torch.inf, 0, bias)
    if bool(((rest - bias).abs() * there).nan_to_num(0).amax() > close):
        raise CaptureError("has logits that depend on more than query, key and position")
    if float(bias.abs().max()) <= close:
        return LogitTerms(scale.cpu(), None, allowed)
    return LogitTerms(scale.cpu(), bias.cpu(), allowed)
