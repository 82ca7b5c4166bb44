"""Self-attention as it is computed: every softmax of query–key products in a forward pass.

A ``TorchFunctionMode`` sees the calls themselves, fused (``scaled_dot_product_attention``,
``multi_head_attention_forward``) or written out (a product, a softmax, a product with the values),
so that queries and keys are those after any norm and rotary embedding, whoever wrote the module.
"""

from __future__ import annotations

import inspect
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nlviz.errors import CaptureError
from nlviz.hooks.attention.logits import LogitTerms, fused_terms, terms_of
from nlviz.hooks.attention.sinks import terms_beside_a_sink
from nlviz.hooks.memory import is_out_of_memory
from nlviz.hooks.module_calls import unknown_way
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import Note, on_our_own
from nlviz.hooks.places.products import spelt_out

_PRODUCTS = 4  # before a softmax, whose logits may be one of them: others make biases by position
_MHA = inspect.signature(F.multi_head_attention_forward)


@dataclass(frozen=True, slots=True)
class Source:
    """What a module gave as queries or keys, whatever became of its axes inside the call.

    Args:
        note: what is known of its places; None if nothing is.
        axes: for each axis of the queries or keys as they were used (…, length, width), the axis
            of what was given; None where it has none.
        shape: the sizes of those axes but the width.
    """

    note: Note | None
    axes: tuple[int | None, ...]
    shape: tuple[int, ...]

    def like(self, core: Tensor) -> Tensor:
        """(b, H, length) a core of what was given, as the queries or keys are used."""
        kept = [axis for axis in self.axes[:-1] if axis is not None]
        rest = [i for i in range(core.ndim) if i not in kept]
        core = core.permute(*kept, *rest).flatten(len(kept))[..., 0]
        for i, axis in enumerate(self.axes[:-1]):
            if axis is None:
                core = core.unsqueeze(i)
            elif 1 < core.shape[i] < self.shape[i]:  # a head of keys serves several of queries
                core = core.repeat_interleave(self.shape[i] // core.shape[i], dim=i)
        return _folded(core.expand(self.shape).unsqueeze(-1))[..., 0]


@dataclass(frozen=True, slots=True)
class Attended:
    """One call of attention: b sequences, H heads, N queries, M keys.

    Args:
        query: (b, H, N, D).
        key: (b, H, M, D).
        value: (b, H, M, Dv).
        terms: what the logits are made of besides query and key.
        output: (b, H, N, Dv), what the call put out; (b, N, E) if it ends in ``project``.
        query_source: where the queries come from.
        key_source: where the keys come from.
        project: the weight (E, H · Dv) and bias (E,) of the output projection inside the call.
        put_out: the very tensor that the module goes on with.
        as_output: what the call put out, or its gradient, → with the axes of ``output``.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    terms: LogitTerms
    output: Tensor
    query_source: Source
    key_source: Source
    project: tuple[Tensor, Tensor | None] | None = None
    put_out: Tensor | None = None
    as_output: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class _Product:
    """A product of rows (…, n, D) and columns (…, m, D), whose result has both on some axes.

    ``sources`` are the tensors that were given as rows and as columns.
    """

    rows: Tensor
    columns: Tensor
    shape: tuple[int, ...]
    axes: tuple[int, int]
    sources: tuple[Source, Source]

    def sides(self, logits: tuple[int, ...], dim: int) -> tuple[bool, tuple[int, int]] | None:
        """Whether columns are the queries, and the axes of queries and keys; None if neither.

        The logits are the product, its other axes split or joined, or its last two exchanged.
        """
        if logits == self.shape and dim in self.axes:
            rows, columns = self.axes
            return (False, (rows, columns)) if dim == columns else (True, (columns, rows))
        last = len(logits) - 1
        behind = self.axes == (len(self.shape) - 2, len(self.shape) - 1)
        if not behind or math.prod(logits) != math.prod(self.shape) or dim < last - 1:
            return None
        axes = (last - 1, last) if dim == last else (last, last - 1)
        if logits[-2:] == self.shape[-2:]:
            return dim != last, axes
        return (dim == last, axes) if logits[-2:] == self.shape[:-3:-1] else None


@dataclass(slots=True)
class _Weighted:
    """A softmax over the keys that has not yet met its values."""

    query: Tensor
    key: Tensor
    terms: LogitTerms
    shape: tuple[int, int, int, int]
    sources: tuple[Source, Source]


class Watch(TorchFunctionMode):
    """Reports each attention that this thread computes while the mode is on, or why it cannot.

    ``report`` is called with an ``Attended`` whose tensors belong to the module: copy what is to
    be kept. ``places`` follows every call.
    """

    def __init__(self, report: Callable[[Attended | str], None], places: Places) -> None:
        super().__init__()
        self._report, self._places = report, places
        self._products: deque[_Product] = deque(maxlen=_PRODUCTS)
        self._weighted: _Weighted | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the call, then look at it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self._places.follow(func, args, kwargs, out)
        look = _LOOKS.get(getattr(func, "__name__", ""))
        if look is not None:
            try:
                with torch.no_grad(), on_our_own():
                    look(self, out, *args, **kwargs)
            except CaptureError as why:
                self._weighted = None
                self._report(str(why))
            except Exception as fault:
                if is_out_of_memory(fault):
                    raise
                self._weighted = None
                told = unknown_way(fault, f"calls {func.__name__}")
                self._report(f"{told}; the rest of the pass went on")
        return out

    def _source(self, given: Tensor, axes: Sequence[int | None], used: Tensor) -> Source:
        return Source(self._places.of(given), tuple(axes), tuple(used.shape[:-1]))

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
        given = query, key
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = (t.repeat_interleave(groups, dim=-3) for t in (key, value))
        batch = out.shape[:-2]  # one head of keys may serve all, and one set of latents
        query, key, value = (t.expand(*batch, *t.shape[-2:]) for t in (query, key, value))
        of_query, of_key = (
            self._source(own, [*[None] * (used.ndim - own.ndim), *range(own.ndim)], used)
            for own, used in zip(given, (query, key), strict=True)
        )
        if attn_mask is not None:
            attn_mask = _folded(attn_mask.expand(*query.shape[:-1], key.shape[-2]))
        whole = out
        query, key, value, y = (_folded(t) for t in (query, key, value, out))
        factor = query.shape[-1] ** -0.5 if scale is None else scale
        shape = (*query.shape[:3], key.shape[2])
        terms = fused_terms(attn_mask, factor, shape, causal=is_causal)
        of = of_query, of_key
        self._report(Attended(query, key, value, terms, y, *of, put_out=whole, as_output=_folded))

    def _flex(
        self,
        out: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        score_mod: Any,
        block_mask: Any,
        scale: float,
        *_: Any,
        **__: Any,
    ) -> None:
        """Flex attention, whose score and mask are functions that cannot be told from outside."""
        names = [getattr(each, "__name__", "") for each in (score_mod, block_mask[-1])]
        if names != ["_identity", "noop_mask"]:
            raise CaptureError("is computed by flex attention with a score or mask of its own")
        gqa = query.shape[-3] != key.shape[-3]
        self._fused(out[0], query, key, value, scale=scale, enable_gqa=gqa)

    def _multi_head(self, out: Any, *args: Any, **kwargs: Any) -> None:
        bound = _MHA.bind(*args, **kwargs)
        bound.apply_defaults()
        call: dict[str, Any] = bound.arguments
        if call["bias_k"] is not None or call["add_zero_attn"] or call["static_k"] is not None:
            raise CaptureError("adds a key of its own to those of its input")
        inputs = [call[name] for name in ("query", "key", "value")]
        batched = inputs[0].ndim == 3
        axes = (1, None, 0, 2) if batched else (None, None, 0, 1)
        given = inputs[:2]
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
        sources = self._source(given[0], axes, query), self._source(given[1], axes, key)
        logits = (*query.shape[:3], key.shape[2])
        mask = _one_mask(call["attn_mask"], call["key_padding_mask"], logits)

        def as_output(whole: Tensor) -> Tensor:
            return whole.transpose(0, 1) if batched else whole.unsqueeze(0)

        terms = fused_terms(mask, query.shape[-1] ** -0.5, logits)
        project = call["out_proj_weight"], call["out_proj_bias"]
        self._report(
            Attended(
                query,
                key,
                value,
                terms,
                as_output(out[0]),
                *sources,
                project,
                put_out=out[0],
                as_output=as_output,
            )
        )

    def _einsum(self, out: Tensor, *given: Any, **_: Any) -> None:
        equation, *operands = given
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        if not isinstance(equation, str) or len(operands) != 2:
            return
        left, right = operands
        if min(left.ndim, right.ndim, out.ndim) < 3:
            return
        letters = spelt_out(equation, (left.ndim, right.ndim))
        if letters is None:
            return
        of_left, of_right, result = letters
        shared = [c for c in of_left if c in of_right and c not in result]
        queries = [c for c in result if c in of_left and c not in of_right]
        keys = [c for c in result if c in of_right and c not in of_left]
        if len(shared) != 1 or not queries or len(keys) != 1:
            return
        width, slots, others = shared[0], queries[-1], keys[0]
        if {*of_left, *of_right} != {*result, width} or len(result) != len({*result}):
            return
        batch = [c for c in result if c not in (slots, others)]
        if not {*batch} <= {*of_left}:
            return
        sizes = [left.shape[of_left.index(c)] for c in batch]
        wide = right
        for axis, c in enumerate(batch):  # one axis for all heads of keys that have none
            if c not in of_right:
                wide, of_right = wide.unsqueeze(axis), of_right[:axis] + c + of_right[axis:]
        rows = left.permute(*(of_left.index(c) for c in (*batch, slots, width)))
        columns = wide.permute(*(of_right.index(c) for c in (*batch, others, width)))
        columns = columns.expand(*sizes, *columns.shape[-2:])
        given = (left, letters[0], slots, rows), (right, letters[1], others, columns)
        of_rows, of_columns = (
            self._source(
                tensor, [spelt.index(c) if c in spelt else None for c in (*batch, own, width)], used
            )
            for tensor, spelt, own, used in given
        )
        among = result.index(slots), result.index(others)
        product = _Product(rows, columns, tuple(out.shape), among, (of_rows, of_columns))
        self._product(out, product)

    def _matmul(
        self, out: Tensor, input: Any, other: Any = None, *, mat2: Any = None, **_: Any
    ) -> None:
        right = mat2 if other is None else other
        if isinstance(right, Tensor) and out.ndim >= 3 and min(input.ndim, right.ndim) >= 2:
            batch = out.shape[:-2]
            rows = input.expand(*batch, *input.shape[-2:])
            columns = right.transpose(-1, -2).expand(*batch, right.shape[-1], right.shape[-2])
            missing = [[None] * (out.ndim - t.ndim) for t in (input, right)]
            last = right.ndim - 1
            of_rows = self._source(input, [*missing[0], *range(input.ndim)], rows)
            turned = [*missing[1], *range(last - 1), last, last - 1]
            sources = of_rows, self._source(right, turned, columns)
            axes = out.ndim - 2, out.ndim - 1
            self._product(out, _Product(rows, columns, tuple(out.shape), axes, sources))

    def _plus_matmul(self, out: Tensor, input: Any, batch1: Any, batch2: Any, **_: Any) -> None:
        self._matmul(out, batch1, batch2)

    def _product(self, out: Tensor, product: _Product) -> None:
        """The product that ends an attention whose weights are one of its sides, or a new one."""
        met = self._weighted
        rows, columns = _folded(product.rows), _folded(product.columns)
        if met is not None and rows.shape[2:] == met.shape[-2:] and _same_batch(rows, met):
            self._weigh(met, columns.transpose(-1, -2), out, product.axes)
        elif met is not None and columns.shape[2:] == met.shape[-2:] and _same_batch(columns, met):
            turned = product.axes[1], product.axes[0]  # v · wᵀ
            self._weigh(met, rows.transpose(-1, -2), out, turned)
        else:
            self._products.append(product)

    def _weigh(self, met: _Weighted, value: Tensor, out: Tensor, axes: tuple[int, int]) -> None:
        """The values meet their weights; ``axes`` are those of the queries and of the width."""
        self._weighted = None
        batch = met.shape[:2]

        def as_output(whole: Tensor) -> Tensor:
            y = _folded(_last(whole, axes))
            return y.reshape(*batch, *y.shape[2:])

        value = value.reshape(*batch, *value.shape[2:])
        self._report(
            Attended(
                met.query,
                met.key,
                value,
                met.terms,
                as_output(out),
                *met.sources,
                put_out=out,
                as_output=as_output,
            )
        )

    def _softmax(self, out: Tensor, *args: Any, **kwargs: Any) -> None:
        logits = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        products, self._weighted = [*self._products], None
        self._products.clear()
        if logits.ndim < 3 or dim is None or logits.shape != out.shape:
            return
        for product in reversed(products):
            found = product.sides(tuple(logits.shape), dim % logits.ndim)
            if found is None:
                continue
            turned, axes = found
            rows, columns, sources = product.rows, product.columns, product.sources
            if turned:
                rows, columns = columns, rows
                sources = sources[1], sources[0]
            query, key = _folded(rows), _folded(columns)
            terms = terms_of(_last(logits, axes).reshape(*query.shape[:3], -1), query, key)
            shape = *query.shape[:3], key.shape[2]
            self._weighted = _Weighted(query, key, terms, shape, sources)
            return
        self._softmax_with_sink(logits, dim, products)

    def _softmax_with_sink(self, logits: Tensor, dim: int, products: list[_Product]) -> None:
        """A softmax over the keys of a product and one column more, which is cut off afterwards."""
        for product in reversed(products):
            *rest, keys = product.shape
            behind = product.axes == (len(rest) - 1, len(rest))
            if not behind or dim % logits.ndim != len(rest):
                continue
            if tuple(logits.shape) != (*rest, keys + 1):
                continue
            query, key = _folded(product.rows), _folded(product.columns)
            terms = terms_beside_a_sink(logits.reshape(*query.shape[:3], -1), query, key)
            shape = *query.shape[:3], key.shape[2]
            self._weighted = _Weighted(query, key, terms, shape, product.sources)
            return


_LOOKS: dict[str, Callable[..., None]] = {
    "scaled_dot_product_attention": Watch._fused,
    "flex_attention": Watch._flex,
    "multi_head_attention_forward": Watch._multi_head,
    "softmax": Watch._softmax,
    "einsum": Watch._einsum,
    "baddbmm": Watch._plus_matmul,
    **dict.fromkeys(("matmul", "__matmul__", "bmm"), Watch._matmul),
}


def _last(tensor: Tensor, axes: tuple[int, int]) -> Tensor:
    """The tensor with these two axes behind the others."""
    return tensor.movedim(axes, (-2, -1))


def _same_batch(tensor: Tensor, met: _Weighted) -> bool:
    """Whether sequences and heads are as many as those of the weights, split or joined."""
    return math.prod(tensor.shape[:2]) == math.prod(met.shape[:2])


def _folded(tensor: Tensor) -> Tensor:
    """(b, H, length, width): the first of more axes joined, one head where there is none."""
    if tensor.ndim > 4:
        return tensor.flatten(0, tensor.ndim - 4)
    return _four(tensor)


def _four(tensor: Tensor) -> Tensor:
    """(b, H, length, width), one head where the tensor has no axis for it."""
    if tensor.ndim not in (3, 4):
        raise CaptureError(
            f"works on tensors of {tensor.ndim} axes; known are sequences, heads, length and width"
        )
    return tensor if tensor.ndim == 4 else tensor.unsqueeze(1)


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
