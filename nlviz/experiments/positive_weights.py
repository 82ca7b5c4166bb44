"""A network made linear with positive weights: its gradient tells which inputs can matter at all.

Every convolution and linear layer gets equal positive weights, every activation and norm becomes
the identity and every max-pool a mean, so no two paths cancel and none is shut: a gradient is 0
only where there is no path. Only geometry is left: kernels, strides, dilation, padding, shortcuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_IDENTITY = frozenset(
    (
        *("relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu"),
        *("mish", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus", "clamp"),
        *("softsign", "batch_norm", "dropout", "dropout2d", "dropout3d", "rms_norm", "threshold"),
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
_WEIGHED = frozenset(("conv1d", "conv2d", "conv3d", "linear"))
_NORMS = frozenset(("layer_norm", "group_norm", "instance_norm"))
_NOISE = 1e-4  # of a layer's own gradient, whose least is one over its output channels


@contextmanager
def positive() -> Iterator[None]:
    """While it lasts, this thread's forward passes are linear with positive weights.

    What autograd saves of activations is their shape alone, as no derivative of a linear network
    needs more: such a pass takes hardly more memory than one without gradients.
    """
    saving = torch.autograd.graph.saved_tensors_hooks(_shape_alone, _ones)
    with torch.enable_grad(), saving, _Positive():
        yield


def marked(gradient: Tensor) -> Tensor:
    """1 where a gradient is not zero, 0 elsewhere."""
    return (gradient.abs() > _NOISE).to(gradient.dtype)


class _Positive(TorchFunctionMode):
    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").rstrip("_")
        x = args[0] if args and isinstance(args[0], Tensor) else kwargs.get("input")
        if x is None or not torch.is_grad_enabled() or not x.requires_grad:
            return func(*args, **kwargs)
        if name in _IDENTITY:
            return x
        if name in _WEIGHED:
            return _weighed(func, *args, **kwargs)
        if name in _NORMS:
            return _normed(name, *args, **kwargs)
        mean = _POOLS.get(func) or _MEANS.get(name)
        return func(*args, **kwargs) if mean is None else _averaged(mean, *args, **kwargs)


def _weighed(
    func: Any, input: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any
) -> Tensor:
    """Equal weights, that a gradient neither fades nor grows over the layers' channels."""
    equal = weight.new_full((), 1 / len(weight)).expand(weight.shape)
    out: Tensor = func(input, equal, None, *args, **kwargs)
    out.register_hook(marked)  # type: ignore[no-untyped-call]
    return out


def _normed(name: str, input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A norm over positions mixes them all; one over channels alone moves nothing."""
    if name == "layer_norm":
        shape = args[0] if args else kwargs["normalized_shape"]
        axes = tuple(range(-len(shape), 0)) if len(shape) > 1 else ()
    else:
        axes = tuple(range(2, input.ndim))
    return input + input.mean(axes, keepdim=True) if axes else input


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
