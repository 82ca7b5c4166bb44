"""Operations that mix what lies along some axes, as sums whose every term counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor


def _mixed(x: Tensor, axes: Any) -> Tensor:
    """Each place and the mean of all along the axes; x itself where there are none."""
    return x + x.mean(axes, keepdim=True) if axes != () else x


def _over_last(x: Tensor, normalized_shape: Any, *_: Any, **__: Any) -> Tensor:
    count = 1 if isinstance(normalized_shape, int) else len(normalized_shape)
    return _mixed(x, tuple(range(-count, 0)))


def _over_groups(x: Tensor, num_groups: int, *_: Any, **__: Any) -> Tensor:
    return _mixed(x.reshape(len(x), num_groups, -1), -1).reshape(x.shape)


def _over_batch(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """A batch norm mixes only where it measures what it is given."""
    measures = kwargs.get("training", args[4] if len(args) > 4 else False)
    return _mixed(x, (0, *range(2, x.ndim)) if measures else ())


def _over_instance(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    measures = kwargs.get("use_input_stats", args[4] if len(args) > 4 else True)
    return _mixed(x, tuple(range(2, x.ndim)) if measures else ())


def _over_channels(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return _mixed(x, 1)


def _over_one(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Softmax and the like, over one axis."""
    return _mixed(x, kwargs.get("dim", args[0] if args else -1))


def _normalised(x: Tensor, p: float = 2.0, dim: Any = 1, *_: Any, **__: Any) -> Tensor:
    return _mixed(x, dim)


def _spread(x: Tensor, dim: Any = None, *args: Any, **kwargs: Any) -> Tensor:
    """A variance or deviation as a mean; its own derivative at equal places would be 0."""
    axes = tuple(range(x.ndim)) if dim is None or isinstance(dim, bool) else dim
    return x.mean(axes, keepdim=kwargs.get("keepdim", _last_flag(args)))


def _spread_and_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    return _spread(x, *args, **kwargs), _spread(x, *args, **kwargs)


def _last_flag(args: tuple[Any, ...]) -> bool:
    """``keepdim``, the last of ``unbiased, keepdim``."""
    return bool(args[1]) if len(args) > 1 else False


class _Extreme(NamedTuple):
    values: Tensor
    indices: Tensor


def _extreme(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """max and min: any place may be the greatest. Of two tensors, either."""
    dim = kwargs.get("dim", args[0] if args else None)
    other = kwargs.get("other", dim)
    if isinstance(other, Tensor):
        return x + other
    if dim is None:
        return x.mean()
    keepdim = kwargs.get("keepdim", args[1] if len(args) > 1 else False)
    return _Extreme(x.mean(dim, keepdim=keepdim), torch.max(x.detach(), dim, keepdim).indices)


MIXERS: dict[str, Callable[..., Any]] = {
    "layer_norm": _over_last,
    "rms_norm": _over_last,
    "group_norm": _over_groups,
    "batch_norm": _over_batch,
    "instance_norm": _over_instance,
    "local_response_norm": _over_channels,
    "softmax": _over_one,
    "log_softmax": _over_one,
    "softmin": _over_one,
    "normalize": _normalised,
    "var": _spread,
    "std": _spread,
    "var_mean": _spread_and_mean,
    "std_mean": _spread_and_mean,
    "max": _extreme,
    "min": _extreme,
}
