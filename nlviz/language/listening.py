"""One pass of a decoder: θ of some slots and φ of all are kept of each layer, and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nlviz.errors import CaptureError
from nlviz.groups import Groups, Links
from nlviz.hooks.attention.logits import NEVER
from nlviz.hooks.attention.masks import links_of
from nlviz.hooks.fidelity import is_right, relative_error
from nlviz.language.layer import Array, LayerWeights


class Decoder:
    """The language model inside a vision-language model, while it runs.

    Args:
        model: the whole model.

    Raises:
        CaptureError: a model without a decoder that can be told apart.
    """

    def __init__(self, model: nn.Module) -> None:
        inner = getattr(model, "model", model)
        found = getattr(inner, "language_model", None)
        if not isinstance(found, nn.Module):
            raise CaptureError(
                f"{type(model).__name__} has no language_model beside its vision tower, so nlviz "
                "cannot tell its decoder's layers from those of its pictures."
            )
        self.module = found
        self.runs = False
        self.embedded: Tensor | None = None

    @contextmanager
    def followed(self, *, stop: bool = False) -> Iterator[None]:
        """While the context lasts ``runs`` says whether it does; ``stop`` ends the pass there."""

        def enter(module: nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
            self.runs = True
            if stop:
                self.embedded = kwargs.get("inputs_embeds")
                raise Stopped

        def leave(*_: Any) -> None:
            self.runs = False

        hooks = [
            self.module.register_forward_pre_hook(enter, with_kwargs=True),
            self.module.register_forward_hook(leave, always_call=True),
        ]
        try:
            yield
        finally:
            self.runs = False
            for hook in hooks:
                hook.remove()


class Stopped(Exception):
    """The decoder was reached, and nothing behind it is wanted."""


class Listening(TorchFunctionMode):
    """Keeps what each attention of the decoder weighs by, while the mode is on.

    Args:
        decoder: the decoder.
        asked: (n,) the slots whose θ is kept.
        length: M, the slots of the sequence.
    """

    def __init__(self, decoder: Decoder, asked: Tensor, length: int) -> None:
        super().__init__()
        self._decoder, self._asked, self._length = decoder, asked, length
        self.layers: list[LayerWeights] = []
        self.fidelity: list[float] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the call, then keep what is wanted of it."""
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention" and self._decoder.runs:
            self._keep(out, *args, **(kwargs or {}))
        return out

    def _keep(
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
        number = len(self.layers)
        if query.shape[0] != 1 or query.shape[-2] != key.shape[-2] or key.shape[-2] != self._length:
            raise CaptureError(
                f"Layer {number} does not attend from all {self._length} slots to all: its queries "
                f"are {tuple(query.shape)} and its keys {tuple(key.shape)}."
            )
        key, value = (_shared(each) for each in (key, value))
        factor = float(query.shape[-1] ** -0.5 if scale is None else scale)
        asked = self._asked
        theta, phi = (_numbers(each) for each in (query[0, :, asked], key[0]))
        layer = LayerWeights(theta, phi, factor, self._links(attn_mask, is_causal, number))
        error = _error(layer, _numbers(value[0]), _numbers(out[0, :, asked]), out.dtype)
        if not is_right(error, out.dtype):
            raise CaptureError(
                f"Layer {number} puts out something other than its weights give: relative error "
                f"{error:.2g}."
            )
        self.layers.append(layer)
        self.fidelity.append(error)

    def _links(self, mask: Tensor | None, causal: bool, number: int) -> Links:
        asked = self._asked.cpu().numpy().astype(np.int32)
        keys = np.arange(self._length, dtype=np.int32)
        if causal:
            return Groups(np.zeros(len(asked), np.int32), keys, asked)
        if mask is None:
            return Groups(np.zeros(len(asked), np.int32), np.zeros(self._length, np.int32))
        if mask.shape[1] != 1 and not bool((mask == mask[:, :1]).all()):
            raise CaptureError(f"Layer {number} has heads with masks of their own.")
        rows = mask[0, 0].expand(self._length, self._length)[self._asked]
        if rows.dtype != torch.bool:
            allowed = rows > NEVER
            if bool((rows[allowed] != 0).any()):
                raise CaptureError(f"Layer {number} adds more to its logits than a mask.")
            rows = allowed
        return links_of(rows.cpu().numpy())


def _numbers(tensor: Tensor) -> Array:
    numbers: Array = tensor.detach().float().cpu().contiguous().numpy().copy()
    return numbers


def _shared(keys: Tensor) -> Tensor:
    """(1, K, M, D): one head of those that were only repeated for several heads of queries."""
    heads = keys.shape[1]
    for group in range(heads, 1, -1):
        if heads % group:
            continue
        first = keys[:, ::group]
        if torch.equal(first.repeat_interleave(group, dim=1), keys):
            return first
    return keys


def _error(layer: LayerWeights, value: Array, y: Array, dtype: torch.dtype) -> float:
    """The relative error of row · g of all held queries, (H, n, Dv) in y."""
    which = np.arange(y.shape[1])
    even = layer.links.rows(which).astype(np.float32)
    even /= np.maximum(even.sum(axis=1, keepdims=True), 1)
    weighed, flat = np.empty_like(y), np.empty_like(y)
    for head in range(layer.heads):
        of_head = value[head * len(value) // layer.heads]
        weighed[head] = layer.head_rows(which, head) @ of_head
        flat[head] = even @ of_head
    weighed, flat, y = (
        each.transpose(1, 0, 2).reshape(len(which), -1) for each in (weighed, flat, y)
    )
    return relative_error(weighed, flat, y, dtype)
