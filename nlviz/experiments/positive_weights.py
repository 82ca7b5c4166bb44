"""A network made linear with positive weights: its gradient tells which inputs can matter at all.

Every convolution and linear layer gets equal positive weights, every activation becomes the
identity, every norm a sum over what it normalises and every max-pool a mean. Where a gradient
enters an operation's operand it is made 1 if it is not 0, so that no two paths cancel, none is
shut, and none fades behind a mean over many places: a gradient is 0 only where there is no path.
Only geometry is left: kernels, strides, dilation, padding, shortcuts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nlviz.experiments.mixing import MIXERS

_IDENTITY = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu"),
        *("mish", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus", "clamp"),
        *("softsign", "dropout", "dropout1d", "dropout2d", "dropout3d", "threshold", "clip"),
        *("clamp_min", "clamp_max", "logsigmoid", "hardshrink", "softshrink", "tanhshrink"),
    )
)
_MEANS: dict[str, Callable[..., Tensor]] = {
    "max_pool1d": F.avg_pool1d,
    "max_pool2d": F.avg_pool2d,
    "max_pool3d": F.avg_pool3d,
    "adaptive_max_pool1d": F.adaptive_avg_pool1d,
    "adaptive_max_pool2d": F.adaptive_avg_pool2d,
    "adaptive_max_pool3d": F.adaptive_avg_pool3d,
}
_POOLS = {getattr(F, name): mean for name, mean in _MEANS.items()}
_WEIGHED = frozenset(
    (
        *("conv1d", "conv2d", "conv3d", "linear"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    )
)
_WRITTEN = frozenset(
    (
        *("__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__"),
        *("__ipow__", "__imod__", "__iand__", "__ior__", "__ixor__"),
    )
)
# Not arithmetic: of attributes, and of autograd, which goes by a tensor's own identity.
_LEFT_ALONE = frozenset(
    ("__get__", "__set__", "__delete__", "grad", "backward", "register_hook", "retain_grad")
)


@contextmanager
def positive() -> Iterator[None]:
    """While it lasts, this thread's forward passes are linear with positive weights.

    What autograd saves of activations is their shape alone, as no derivative of a linear network
    needs more: such a pass takes hardly more memory than one without gradients.
    """
    saving = torch.autograd.graph.saved_tensors_hooks(_shape_alone, _ones)
    with torch.enable_grad(), saving, _Positive():
        yield


def marked(gradient: Tensor, least: float = 0.0) -> Tensor:
    """1 where a gradient is larger than ``least`` or not finite, 0 elsewhere."""
    return (~(gradient.abs() <= least)).to(gradient.dtype)


class _Positive(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        given = getattr(func, "__name__", "")
        name = given.rstrip("_")
        x = args[0] if args and isinstance(args[0], Tensor) else kwargs.get("input")
        if given in _LEFT_ALONE or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        if x is not None and x.requires_grad:
            if name in _IDENTITY:
                return x
            if name in _WEIGHED:
                return _weighed(func, *args, **kwargs)
            if name in MIXERS:
                return MIXERS[name](_edge(x), *args[1:], **_without_input(kwargs))
            mean = _POOLS.get(func) or _MEANS.get(name)
            if mean is not None:
                return _averaged(mean, _edge(x), *args[1:], **_without_input(kwargs))
        kept = args[:1] if _is_in_place(given) else ()
        rest = (_operand(value) for value in args[len(kept) :])
        return func(*kept, *rest, **{key: _operand(value) for key, value in kwargs.items()})


def _is_in_place(name: str) -> bool:
    """Whether an operation writes into its first operand: ``add_``, ``__iadd__``, ``x[0] = y``."""
    if not name.startswith("__"):
        return name.endswith("_")
    return name in _WRITTEN


def _operand(value: Any) -> Any:
    """An operand as one that counts paths: weights are 1 whatever they are, also frozen ones."""
    if isinstance(value, list | tuple) and any(isinstance(each, Tensor) for each in value):
        each = [_operand(one) for one in value]
        return each if isinstance(value, list) else tuple(each)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    if isinstance(value, nn.Parameter):
        return value.detach().new_ones(()).expand(value.shape)
    return _edge(value) if value.requires_grad else value


def _edge(x: Tensor, least: float = 0.0) -> Tensor:
    """The tensor under another name, whose gradient is marked before it meets other paths'."""
    alias = x.view_as(x)
    if alias.requires_grad:
        alias.register_hook(partial(marked, least=least))  # type: ignore[no-untyped-call]
    return alias


def _weighed(
    func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Tensor:
    """Equal weights. One path is worth one weight; a fast algorithm may leave noise below that."""
    one = 1 / max(1, math.prod(weight.shape[1:]))
    equal = weight.detach().new_full((), one).expand(weight.shape)
    out: Tensor = func(_edge(input, one / 2), equal, None, *args, **kwargs)
    out.register_hook(marked)  # type: ignore[no-untyped-call]
    return out


def _without_input(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key != "input"}


def _averaged(
    mean: Callable[..., Tensor],
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    if mean.__name__.startswith("adaptive"):
        return mean(input, kernel_size)
    return mean(input, kernel_size, stride, padding, ceil_mode)


def _shape_alone(saved: Tensor) -> Any:
    if not (saved.requires_grad and saved.is_floating_point()):
        return saved
    return saved.shape, saved.new_ones(())


def _ones(packed: Any) -> Tensor:
    if isinstance(packed, Tensor):
        return packed
    shape, one = packed
    expanded: Tensor = one.expand(shape)
    return expanded
