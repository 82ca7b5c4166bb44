"""What logits are made of besides query and key: a scale, a mask, a bias by position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.errors import CaptureError

_MASKED = -70.0  # a logit below it weighs nothing; masks are -100, the lowest float or -inf
_CLOSE = {True: 1e-4, False: 2e-2}  # by precision: of the largest logit, what rounding may leave
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Fit:
    """logits = scale · query · keyᵀ + bias, where allowed; b sequences, H heads.

    Args:
        scale: (H,) factor of each head.
        bias: (H, N, M) the same for all sequences, or None.
        allowed: (b, N, M) bool, False where a mask forbids the link; or None.
    """

    scale: Tensor
    bias: Tensor | None = None
    allowed: Tensor | None = None


def masked(mask: Tensor | None, scale: float, shape: tuple[int, ...]) -> Fit:
    """The ``Fit`` of a fused call, whose scale and mask are known; shape (b, H, N, M).

    Raises:
        CaptureError: a mask that differs between heads, or a bias that differs between sequences.
    """
    factor = torch.full((shape[1],), scale)
    if mask is None:
        return Fit(factor)
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    return _split(mask.detach().float().expand(shape), factor, torch.finfo(torch.float32).eps)


def fit(logits: Tensor, query: Tensor, key: Tensor) -> Fit:
    """The ``Fit`` of logits (b, H, N, M) to query (b, H, N, D) and key (b, H, M, D).

    Raises:
        CaptureError: the logits depend on more than query, key and position.
    """
    close = _CLOSE[logits.dtype in (torch.float32, torch.float64)]
    query, key = query.detach().float(), key.detach().float().transpose(-1, -2)
    some = torch.linspace(0, query.shape[2] - 1, min(_ROWS, query.shape[2])).round().long()
    few = logits.detach()[:, :, some].float()
    product = query[:, :, some] @ key
    scale = _slope(few, product, torch.ones_like(few))
    if bool(((few - scale[:, None, None] * product).abs() <= close * few.abs().max()).all()):
        return Fit(scale.cpu())
    whole = logits.detach().float()
    product = query @ key
    there = (whole > _MASKED).float()
    # What varies from sequence to sequence owes nothing to a bias by position.
    count = there.sum(0).clamp(min=1)
    whole_there = torch.where(there > 0, whole, 0)
    moved, by = (t - (t * there).sum(0) / count for t in (whole_there, product))
    spread = there * (count > 1)
    enough = bool((by * spread).abs().amax((0, 2, 3)).min() > 1e-3)
    scale = _slope(moved, by, spread) if enough else _slope(whole_there, product, there)
    rest = whole - scale[:, None, None] * product
    size = whole_there.abs().max()
    return _split(torch.where(there > 0, rest, -torch.inf), scale, float(close * size))


def _slope(y: Tensor, x: Tensor, where: Tensor) -> Tensor:
    """Least squares y = slope · x for each head, (H,)."""
    over = (0, 2, 3)
    return (where * x * y).sum(over) / (where * x * x).sum(over).clamp(min=1e-30)


def _split(rest: Tensor, scale: Tensor, close: float) -> Fit:
    """Mask and bias of what is added to the logits, (b, H, N, M)."""
    there = rest > _MASKED
    allowed = None
    if not bool(there.all()):
        if not bool((there == there[:, :1]).all()):
            raise CaptureError("has heads with masks of their own")
        allowed = there[:, 0].cpu()
    bias = torch.where(there, rest, -torch.inf).amax(0)
    bias = torch.where(bias == -torch.inf, 0, bias)
    if bool(((rest - bias).abs() * there).nan_to_num(0).amax() > close):
        raise CaptureError("has logits that depend on more than query, key and position")
    if float(bias.abs().max()) <= close:
        return Fit(scale.cpu(), None, allowed)
    return Fit(scale.cpu(), bias.cpu(), allowed)
