"""Self-attention as it is computed: every softmax of query–key products in a forward pass.

A ``TorchFunctionMode`` sees the calls themselves, fused (``scaled_dot_product_attention``,
``multi_head_attention_forward``) or written out (a product, a softmax, a product with the values),
so that queries and keys are those after any norm and rotary embedding, whoever wrote the module.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nlviz.errors import CaptureError
from nlviz.hooks.attention.logits import LogitTerms, fused_terms, terms_of

_PRODUCTS = 4  # before a softmax, whose logits may be one of them: others make biases by position
_MHA = inspect.signature(F.multi_head_attention_forward)


@dataclass(frozen=True, slots=True)
class Attended:
    """One call of attention: b sequences, H heads, N queries, M keys.

    Args:
        query: (b, H, N, D).
        key: (b, H, M, D).
        value: (b, H, M, Dv).
        terms: what the logits are made of besides query and key.
        output: (b, H, N, Dv), what the call put out; (b, N, E) if it ends in ``project``.
        query_source: the very tensor that the module gave as queries: its axes, without that of
            the slots and the width, are b and H in row-major order. For
            ``multi_head_attention_forward``, whose heads are made inside: (N, b, E) or (N, E).
        key_source: likewise the tensor that it gave as keys.
        query_axis: which axis of ``query_source`` are the slots.
        key_axis: which axis of ``key_source`` are the slots.
        project: the weight (E, H · Dv) and bias (E,) of the output projection inside the call.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    terms: LogitTerms
    output: Tensor
    query_source: Tensor
    key_source: Tensor
    query_axis: int
    key_axis: int
    project: tuple[Tensor, Tensor | None] | None = None

    def of(self, part: slice, heads: int) -> Attended:
        """Some sequences alone, every ``heads`` of them taken as the heads of one."""
        split = (self.query, self.key, self.value, self.output)
        query, key, value, output = (
            t[part] if heads == 1 else _unfolded(t[part], heads) for t in split
        )
        allowed = self.terms.allowed
        if allowed is not None:
            allowed = allowed[part][::heads]
        scale = self.terms.scale if heads == 1 else self.terms.scale.expand(heads)
        terms = LogitTerms(scale, self.terms.bias, allowed)
        return replace(self, query=query, key=key, value=value, terms=terms, output=output)


@dataclass(slots=True)
class _Weighted:
    """A softmax over the keys that has not yet met its values."""

    query: Tensor
    key: Tensor
    terms: LogitTerms
    shape: tuple[int, ...]
    sources: tuple[Tensor, Tensor, int, int]


class Watch(TorchFunctionMode):
    """Reports each attention that this thread computes while the mode is on, or why it cannot.

    ``report`` is called with an ``Attended`` whose tensors belong to the module: copy what is to
    be kept; ``grids`` fills with (batch, sizes) of every convolution's output.
    """

    def __init__(self, report: Callable[[Attended | str], None]) -> None:
        super().__init__()
        self.grids: list[tuple[int, tuple[int, ...]]] = []
        self._report = report
        self._products: deque[tuple[Tensor, Tensor, tuple[int, ...], Tensor, int]] = deque(
            maxlen=_PRODUCTS
        )
        self._weighted: _Weighted | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the call, then look at it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        look = _LOOKS.get(getattr(func, "__name__", ""))
        if look is not None:
            try:
                look(self, out, *args, **kwargs)
            except CaptureError as why:
                self._weighted = None
                self._report(str(why))
        return out

    def _convolution(self, out: Tensor, *_: Any, **__: Any) -> None:
        seen = (out.shape[0], tuple(out.shape[2:]))
        if out.ndim in (4, 5) and seen not in self.grids:
            self.grids.append(seen)

    def _fused(
        self,
        out: Tensor,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> None:
        if is_causal:
            raise CaptureError("is causal: each query sees the keys before it only")
        sources = query, key, query.ndim - 2, key.ndim - 2
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
        if attn_mask is not None:
            attn_mask = _four(attn_mask.expand(*query.shape[:-1], key.shape[-2]))
        query, key, value, y = (_four(t) for t in (query, key, value, out))
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        terms = fused_terms(attn_mask, factor, (*query.shape[:3], key.shape[2]))
        self._report(Attended(query, key, value, terms, y, *sources))

    def _multi_head(self, out: Any, *args: Any, **kwargs: Any) -> None:
        bound = _MHA.bind(*args, **kwargs)
        bound.apply_defaults()
        call: dict[str, Any] = bound.arguments
        if call["bias_k"] is not None or call["add_zero_attn"] or call["static_k"] is not None:
            raise CaptureError("adds a key of its own to those of its input")
        inputs = [call[name] for name in ("query", "key", "value")]
        sources = inputs[0], inputs[1], 0, 0
        batched = inputs[0].ndim == 3
        inputs = [x if batched else x.unsqueeze(1) for x in inputs]  # (length, batch, channels)
        if call["use_separate_proj_weight"]:
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            weights = [call[name] for name in names]
        else:
            weights = list(call["in_proj_weight"].chunk(3))
        bias = call["in_proj_bias"]
        biases = [None, None, None] if bias is None else list(bias.chunk(3))
        heads = call["num_heads"]
        query, key, value = (
            F.linear(x, w, b).reshape(*x.shape[:2], heads, -1).permute(1, 2, 0, 3)
            for x, w, b in zip(inputs, weights, biases, strict=True)
        )
        logits = (*query.shape[:3], key.shape[2])
        mask = _one_mask(call["attn_mask"], call["key_padding_mask"], logits)
        output = out[0].transpose(0, 1) if batched else out[0].unsqueeze(0)
        terms = fused_terms(mask, query.shape[-1] ** -0.5, logits)
        project = call["out_proj_weight"], call["out_proj_bias"]
        self._report(Attended(query, key, value, terms, output, *sources, project))

    def _einsum(self, out: Tensor, equation: Any, *operands: Any, **_: Any) -> None:
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = tuple(operands[0])
        if not isinstance(equation, str) or len(operands) != 2 or "->" not in equation:
            return
        inputs, result = equation.replace(" ", "").split("->")
        left, right = inputs.split(",")
        if left[:-1] == result[:-1] and {left[-1], result[-1]} <= set(right):
            last = [right.index(letter) for letter in (left[-1], result[-1])]
            batch = [i for i in range(len(right)) if i not in last]
            if [right[i] for i in batch] == list(left[:-2]):
                self._product(
                    out, *operands, operands[1].permute(*batch, *last), right.index(result[-1])
                )

    def _matmul(self, out: Tensor, left: Any, right: Any, *_: Any, **__: Any) -> None:
        if isinstance(right, Tensor):
            self._product(out, left, right, right, right.ndim - 1)

    def _product(self, out: Tensor, left: Tensor, given: Tensor, right: Tensor, axis: int) -> None:
        """A product of left and right, which is what was given, with its slots on some axis."""
        if out.ndim < 3 or left.ndim != right.ndim:
            return
        met = self._weighted
        if met is not None and tuple(left.shape) == met.shape:
            self._weigh(met, right, out)
        elif met is not None and right.shape == met.shape[:-2] + met.shape[:-3:-1]:
            self._weigh(met, left.transpose(-1, -2), out.transpose(-1, -2))  # v · wᵀ
        else:
            self._products.append((left, right, tuple(out.shape), given, axis))

    def _weigh(self, met: _Weighted, value: Tensor, out: Tensor) -> None:
        self._weighted = None
        value, y = _four(value), _four(out)
        self._report(Attended(met.query, met.key, value, met.terms, y, *met.sources))

    def _plus_matmul(self, out: Tensor, _: Any, left: Any, right: Any, **__: Any) -> None:
        self._matmul(out, left, right)

    def _softmax(self, out: Tensor, *args: Any, **kwargs: Any) -> None:
        logits = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        products, self._weighted = [*self._products], None
        self._products.clear()
        if logits.ndim < 3 or dim not in (-1, logits.ndim - 1) or logits.shape != out.shape:
            return
        alike = (p for p in reversed(products) if _is_reshaped(p[2], tuple(logits.shape)))
        product = next(alike, None)
        if product is None:
            return
        left, right, _, given, axis = product
        query, key = _four(left), _four(right).transpose(-1, -2)
        terms = terms_of(logits.reshape(*query.shape[:3], -1), query, key)
        sources = left, given, left.ndim - 2, axis
        self._weighted = _Weighted(query, key, terms, tuple(out.shape), sources)


_LOOKS: dict[str, Callable[..., None]] = {
    "scaled_dot_product_attention": Watch._fused,
    "multi_head_attention_forward": Watch._multi_head,
    "softmax": Watch._softmax,
    "einsum": Watch._einsum,
    "baddbmm": Watch._plus_matmul,
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), Watch._matmul),
    **dict.fromkeys(("conv2d", "conv3d"), Watch._convolution),
}


def _is_reshaped(product: tuple[int, ...], logits: tuple[int, ...]) -> bool:
    """Whether logits may be a product whose axes before the last two were split or joined."""
    return product[-2:] == logits[-2:] and math.prod(product) == math.prod(logits)


def _four(tensor: Tensor) -> Tensor:
    """(b, H, length, width), one head where the tensor has no axis for it."""
    if tensor.ndim not in (3, 4):
        raise CaptureError(
            f"works on tensors of {tensor.ndim} axes; known are sequences, heads, length and width"
        )
    return tensor if tensor.ndim == 4 else tensor.unsqueeze(1)


def _unfolded(tensor: Tensor, heads: int) -> Tensor:
    """(b · heads, 1, length, width) as (b, heads, length, width)."""
    return tensor.reshape(-1, heads, *tensor.shape[2:])


def _one_mask(mask: Tensor | None, padding: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    """Both masks of ``MultiheadAttention`` as one that is added to the logits."""
    total = None
    for each in (mask, None if padding is None else padding[:, None, None]):
        if each is None:
            continue
        if each.dtype == torch.bool:  # True is masked here, unlike in the fused call
            each = torch.zeros(each.shape, device=each.device).masked_fill(each, -torch.inf)
        if each.ndim == 3:
            each = each.reshape(shape)
        total = each if total is None else total + each
    return total
