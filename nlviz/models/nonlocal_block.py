"""The non-local block of Wang et al. (CVPR 2018), equations (1) to (6), without the N×M matrix.

Children carry the names of AlexHex7/Non-local_pytorch (``theta``, ``phi``, ``g``, ``W``,
``concat_project``), so that its state dicts load as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.models.pairwise import FUNCTIONS as FUNCTIONS
from nlviz.models.pairwise import WORDS as WORDS
from nlviz.models.pairwise import Function as Function

_SOFTMAX = ("gaussian", "embedded_gaussian")
_CONV: dict[int, Callable[..., nn.Conv1d | nn.Conv2d | nn.Conv3d]] = {
    1: nn.Conv1d,
    2: nn.Conv2d,
    3: nn.Conv3d,
}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE_NORM = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_MEAN_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_LENGTH = 3.5  # ℓ to begin with, so that a position's logit with itself is about 12


class Length(nn.Module):
    """Vectors over the channels brought to one learned length: ℓ x / ‖x‖.

    Where both θ and φ end in it, θᵀφ is a temperature times their cosine, as in QK-norm (Henry et
    al., *Query-Key Normalization for Transformers*, 2020), and no key wins by being long.
    """

    def __init__(self) -> None:
        super().__init__()
        self.length = nn.Parameter(torch.tensor(_LENGTH))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, …) to the same shape; a vector of zeros stays one."""
        return self.length * F.normalize(x, dim=1)


class NonLocalBlock(nn.Module):
    """Residual non-local block z = W(y) + x, Eq. (6), that starts as the identity.

    Args:
        channels: C, the channels of the input and the output; at least 1.
        function: the pairwise function f, Eqs. (2) to (5); one of ``FUNCTIONS``.
        dimension: 1 for (B, C, L), 2 for (B, C, H, W), 3 for (B, C, T, H, W).
        inner: C', the width of θ, φ and g; half of C by default, at least 1.
        sub_sample: max-pool φ and g by 2 over space (over the one axis in 1-D), never over time.
        pool_first: pool x once, before φ and g, as the paper's authors do (the child ``pool``, or
            ``phi`` of the Gaussian kind); else φ and g each end in a pool. Other outputs come out.
        context: side of the window over space that θ and φ read around each position, an odd
            number; 1 in the paper. Beyond the border lie zeros: with ``norm`` the channels' means.
        norm: θ and φ read x̂, which is x less each channel's mean over all positions and divided by
            its deviation (an instance norm without weights), and end in a norm themselves:
            ``Length``. The Gaussian kind compares x̂ brought to ``Length``. Keys are then pooled by
            their mean, as signed channels have no use for a maximum. g reads x as it is. Not in
            the paper.
        batch_norm: end W in a batch norm; its scale, else W's own weight, starts at zero.
        scale: factor on the logits of the softmax kinds; 1 in the paper, C'^-½ in most networks.
        group: frames that see each other, of a 3-D block: frames 0 to group - 1, and so on, the
            last group being shorter where it must; None lets all see all.

    Raises:
        ValueError: for an unknown function, a dimension outside 1 to 3, a width or group below 1,
            an even context or one of a function without θ and φ, a scale on a function without
            softmax, a group outside 3-D, or a norm where x is pooled first.
    """

    theta: nn.Module
    phi: nn.Module
    g: nn.Module
    pool: nn.Module
    norm: nn.Module

    def __init__(
        self,
        channels: int,
        *,
        function: Function = "embedded_gaussian",
        dimension: int = 3,
        inner: int | None = None,
        sub_sample: bool = True,
        pool_first: bool = False,
        context: int = 1,
        norm: bool = False,
        batch_norm: bool = True,
        scale: float = 1.0,
        group: int | None = None,
    ) -> None:
        super().__init__()
        inner = max(channels // 2, 1) if inner is None else inner
        _check(channels, inner, function, dimension, scale, group)
        if norm and pool_first:
            raise ValueError("x cannot be pooled first where θ and φ read it normalised.")
        if context % 2 == 0 or context < 1 or (context > 1 and function == "gaussian"):
            raise ValueError(f"Only θ and φ read a window, of an odd side; got context={context}.")
        self.function: Function = function
        self.scale, self.group = scale, group
        conv = _CONV[dimension]

        embedded = function != "gaussian"
        g: list[nn.Module] = [conv(channels, inner, kernel_size=1)]
        sides = {1: (context,), 2: (context, context), 3: (1, context, context)}[dimension]
        around = tuple(side // 2 for side in sides)
        theta: list[nn.Module] = [conv(channels, inner, sides, padding=around)] if embedded else []
        phi: list[nn.Module] = [conv(channels, inner, sides, padding=around)] if embedded else []
        self.pool_first = sub_sample and pool_first
        if sub_sample:
            pool = _spatial_pool(dimension, mean=norm)
            if pool_first and embedded:
                self.pool = pool
            else:
                phi.append(pool)
            if not pool_first:
                g.append(_spatial_pool(dimension, mean=norm))
        if norm:
            self.norm = _INSTANCE_NORM[dimension](channels)
            theta.append(Length())
            phi.append(Length())
        for name, parts in (("g", g), ("theta", theta), ("phi", phi)):
            if parts:
                self.add_module(name, parts[0] if len(parts) == 1 else nn.Sequential(*parts))
        if function == "concatenation":
            self.concat_project = nn.Sequential(nn.Conv2d(2 * inner, 1, 1, bias=False), nn.ReLU())
        self.W = _projection(inner, channels, dimension, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        """z of Eq. (6), the shape of ``x``: (B, C) and the block's one to three axes."""
        compared = self.norm(x) if "norm" in self._modules else x
        theta = self.theta(compared) if "theta" in self._modules else compared
        keys = self.pool(compared) if "pool" in self._modules else compared
        phi = self.phi(keys) if "phi" in self._modules else keys
        if self.pool_first:
            values = self.g(phi if self.function == "gaussian" else keys)
        else:
            values = self.g(x)
        theta, phi, g = (_positions_by_channels(t) for t in (theta, phi, values))
        y = self._grouped(theta, phi, g, frames=x.shape[2])
        y = y.transpose(1, 2).reshape(*values.shape[:2], *x.shape[2:])
        out: Tensor = self.W(y) + x
        return out

    def _grouped(self, theta: Tensor, phi: Tensor, g: Tensor, *, frames: int) -> Tensor:
        """y of Eq. (1), the sum going over the keys of the query's own group of frames."""
        if self.group is None or self.group >= frames:
            return self._aggregate(theta, phi, g)
        split = (torch.split(t, self.group * t.shape[1] // frames, 1) for t in (theta, phi, g))
        return torch.cat([self._aggregate(*parts) for parts in zip(*split, strict=True)], dim=1)

    def _aggregate(self, theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        """y of Eq. (1) from θ (B, N, C'), φ (B, M, C') and g (B, M, C'): (B, N, C')."""
        if self.function == "dot_product":
            # (θ φᵀ) g / M = θ (φᵀ g) / M: the product is associative, so no N×M matrix, Eq. (4).
            return theta @ (phi.transpose(1, 2) @ g) / phi.shape[1]
        if self.function == "concatenation":
            weight = self.concat_project.get_parameter("0.weight").flatten()
            inner = theta.shape[2]
            return _concatenation(theta @ weight[:inner], phi @ weight[inner:], g)
        return _softmax_attention(theta, phi, g, self.scale)


def _check(
    channels: int, inner: int, function: str, dimension: int, scale: float, group: int | None
) -> None:
    if function not in FUNCTIONS:
        raise ValueError(f"Function {function!r} is unknown; choose one of {FUNCTIONS}.")
    if dimension not in _CONV:
        raise ValueError(f"Dimension {dimension!r} is not supported; choose 1, 2 or 3.")
    if channels < 1 or inner < 1:
        raise ValueError(f"Widths must be at least 1; got channels={channels}, inner={inner}.")
    if scale != 1 and function not in _SOFTMAX:
        raise ValueError(f"Function {function!r} has no softmax to scale; leave scale at 1.")
    if group is not None and (group < 1 or dimension != 3):
        raise ValueError(f"Groups of {group!r} frames need a 3-D block and at least 1 frame.")


def _projection(inner: int, channels: int, dimension: int, batch_norm: bool) -> nn.Module:
    """W_z, which gives zero to begin with: by its batch norm if it has one, Eq. (6)."""
    out = _CONV[dimension](inner, channels, kernel_size=1)
    norm = _NORM[dimension](channels) if batch_norm else None
    last = out if norm is None else norm
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
    return out if norm is None else nn.Sequential(out, norm)


def _spatial_pool(dimension: int, *, mean: bool) -> nn.Module:
    window = {1: 2, 2: 2, 3: (1, 2, 2)}[dimension]
    pools = _MEAN_POOL if mean else _MAX_POOL
    pool: nn.Module = pools[dimension](window)
    return pool


def _positions_by_channels(x: Tensor) -> Tensor:
    """(B, C, …) to contiguous (B, positions, C), the layout the fused kernels take."""
    return x.flatten(2).transpose(1, 2).contiguous()


def _softmax_attention(theta: Tensor, phi: Tensor, g: Tensor, scale: float) -> Tensor:
    """Eqs. (2) and (3): softmax over the keys of the scaled logits."""
    width, inner = theta.shape[2], g.shape[2]
    # The fused CPU kernel wants one width for all three; with unequal widths torch would quietly
    # build the whole matrix. Zero columns of g cost less and give zero columns of y.
    theta, phi, g = (_widen(t, max(width, inner)).unsqueeze(1) for t in (theta, phi, g))
    y = F.scaled_dot_product_attention(theta, phi, g, scale=scale)
    return y.squeeze(1)[..., :inner]


def _widen(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (0, width - x.shape[-1])) if x.shape[-1] < width else x


def _concatenation(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    """Eq. (5) with w_fᵀ[θ_i, φ_j] = a_i + b_j: y_i = Σ_j ReLU(a_i + b_j) g_j / M.

    ``a`` is (B, N), ``b`` (B, M), ``g`` (B, M, C'). With the keys sorted by falling b, the ones
    that survive the ReLU for query i are the first k_i, so y_i = (a_i Σ g + Σ b g) / M over a
    prefix: two running sums and one search instead of N×M terms.
    """
    b, order = b.sort(dim=1, descending=True)
    # Running sums over thousands of keys need more than float32 to stay within 1e-5.
    exact = g.dtype if g.device.type == "mps" else torch.float64
    g = g.gather(1, order.unsqueeze(2).expand_as(g)).to(exact)
    sum_g = F.pad(g.cumsum(1), (0, 0, 1, 0))
    sum_bg = F.pad((b.unsqueeze(2).to(exact) * g).cumsum(1), (0, 0, 1, 0))
    alive = torch.searchsorted(-b.detach(), a.detach().contiguous())  # keys with b_j > -a_i
    alive = alive.unsqueeze(2).expand(*alive.shape, g.shape[2])
    y = a.unsqueeze(2).to(exact) * sum_g.gather(1, alive) + sum_bg.gather(1, alive)
    return (y / b.shape[1]).to(a.dtype)
