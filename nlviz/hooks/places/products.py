"""Operations that add up along axes: means, products of tensors, attentions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nlviz.hooks.places import sums
from nlviz.hooks.places.calls import Call, Rule, has_cells
from nlviz.hooks.places.elementwise import alike
from nlviz.hooks.places.notes import Known, Note, Placed
from nlviz.hooks.places.sums import Cores

OVER = {  # where the axes stand among the arguments, and which they are by default
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod"), (1, None)),
    **dict.fromkeys(
        ("nanmean", "logsumexp", "special_logsumexp", "median", "nanmedian"), (1, None)
    ),
    **dict.fromkeys(("nansum", "aminmax", "all", "any", "var_mean", "std_mean"), (1, None)),
    **dict.fromkeys(("norm", "vector_norm", "linalg_vector_norm", "quantile"), (2, None)),
    **{"nanquantile": (2, None), "frobenius_norm": (1, None), "kthvalue": (2, -1), "mode": (1, -1)},
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def reduce(call: Call) -> list[Note | None]:
    """A mean, sum or extreme over some axes; of two tensors, elementwise."""
    where, default = OVER[call.name]
    given, ndim = call.argument(where, "dim", "axis", default=default), len(call.shape)
    if isinstance(call.argument(1, "other"), Tensor) and call.name in ("max", "min"):
        return alike(call)
    if call.name.endswith("quantile") and isinstance(call.argument(1, "q"), Tensor):
        return [Note(f"{call.name}s, several of them", tuple(call.outs[0].shape), None)]
    axes = range(ndim) if given in (None, ()) or isinstance(given, bool) else given
    axes = [axes % ndim] if isinstance(axes, int) else [axis % ndim for axis in axes]
    keeps = call.outs[0].ndim == ndim

    def reduced(core: Tensor) -> Tensor:
        core = call.coordinates.mixed(core, axes)
        return core.reshape([n for i, n in enumerate(core.shape) if keeps or i not in axes])

    return [call.note(out, reduced) for out in call.outs]


def _contract(call: Call, operands: Sequence[tuple[Tensor, str]], result: str) -> list[Note | None]:
    """A sum of products, in letters as of an einsum.

    A matrix behind what it is multiplied with is a weight where it holds no cell, as what is worked
    out of learned ones does not: it has no places.
    """
    notes = [(call.of(tensor), letters) for tensor, letters in operands]
    tracked = [
        (n, s, i > 0 and t.ndim < 3)
        for i, ((n, s), (t, _)) in enumerate(zip(notes, operands, strict=True))
        if n is not None and not isinstance(t, nn.Parameter)
    ]
    learned = [(n, s, False) for n, s in notes if n is not None]
    known = tracked or learned[:1]
    if not known:
        return [None]
    places = call.coordinates

    def rule(*every: Cores) -> Known:
        pairs = [
            (cores, letters)
            for cores, (_, letters, weighs) in zip(every, known, strict=True)
            if not weighs or any(has_cells(places, core) for core in cores)
        ]
        if not pairs:
            return Placed((torch.zeros((1,) * len(result), dtype=torch.long),))
        return Placed(sums.contracted(places, pairs, result))

    return [Note(call.name, tuple(call.outs[0].shape), rule, tuple(note for note, *_ in known))]


def likeness(call: Call) -> list[Note | None]:
    """``cosine_similarity``: of what stands at the same place, over an axis."""
    out, places, ndim = call.outs[0], call.coordinates, max(each.ndim for each in call.given)
    dim = call.argument(2, "dim", default=1) % ndim

    def rule(*every: Cores) -> Known:
        cores = sums.merged(places, ndim, every)
        return Placed(tuple(places.mixed(core, [dim]).squeeze(dim) for core in cores))

    notes = (call.of(each) for each in call.given)
    known = tuple(note for note in notes if note is not None)
    return [Note(call.name, tuple(out.shape), rule, known)]


def linear(call: Call) -> list[Note | None]:
    """A linear layer; its weight has places where it is made of the input."""
    x, weight = call.first, call.argument(1, "weight")
    most = _LETTERS[: x.ndim - 1]
    rows = "" if getattr(weight, "ndim", 2) == 1 else "z"
    operands = [(x, most + "y")]
    if isinstance(weight, Tensor) and not isinstance(weight, nn.Parameter):
        operands.append((weight, rows + "y"))
    return _contract(call, operands, most + rows)


def matmul(call: Call) -> list[Note | None]:
    """A product of two matrices, and what is added to it."""
    if call.name in ("addmm", "baddbmm", "addmv"):
        left, right = (
            call.argument(1, "mat1", "batch1", "mat"),
            call.argument(2, "mat2", "batch2", "vec"),
        )
    else:
        left, right = call.argument(0, "input", "self"), call.argument(1, "other", "mat2")
    if call.name == "rmatmul":
        left, right = right, left
    ndim = max(left.ndim, right.ndim, 2)
    batch = _LETTERS[: ndim - 2]
    rows = "z" if left.ndim == 1 else batch[ndim - left.ndim :] + "yz"
    columns = "z" if right.ndim == 1 else batch[ndim - right.ndim :] + "zx"
    result = batch + ("y" if left.ndim > 1 else "") + ("x" if right.ndim > 1 else "")
    return _contract(call, [(left, rows), (right, columns)], result)


def multiply(call: Call) -> list[Note | None]:
    """Products of two tensors under other names, as sums over letters."""
    left, right = call.argument(0, "input", "self", "a"), call.argument(1, "other", "vec2", "b")
    if call.name in ("addbmm", "addr"):
        left, right = call.argument(1, "batch1", "vec1"), call.argument(2, "batch2", "vec2")
    if call.name == "addbmm":
        return _contract(call, [(left, "byz"), (right, "bzx")], "yx")
    if call.name in ("outer", "ger", "addr"):
        return _contract(call, [(left, "y"), (right, "x")], "yx")
    if call.name in ("dot", "vdot"):
        return _contract(call, [(left, "z"), (right, "z")], "")
    if call.name == "tensordot":
        dims = call.argument(2, "dims", default=2)
        if isinstance(dims, (int, Tensor)):
            n = int(dims)
            dims = [*range(left.ndim - n, left.ndim)], [*range(n)]
        over = {b % right.ndim: a % left.ndim for a, b in zip(*dims, strict=True)}
    else:  # inner
        over = {right.ndim - 1: left.ndim - 1}
    letters = _LETTERS[: left.ndim]
    others = [letters[over[i]] if i in over else _LETTERS[left.ndim + i] for i in range(right.ndim)]
    both = set(letters) & set(others)
    result = "".join(c for c in (*letters, *others) if c not in both)
    return _contract(call, [(left, letters), (right, "".join(others))], result)


def distances(call: Call) -> list[Note | None]:
    """``cdist``: between all pairs of rows."""
    left, right = call.argument(0, "x1"), call.argument(1, "x2")
    most = _LETTERS[: call.outs[0].ndim - 2]
    operands = [(left, most[len(most) - left.ndim + 2 :] + "yz"),
                (right, most[len(most) - right.ndim + 2 :] + "xz")]  # fmt: skip
    return _contract(call, operands, most + "yx")


def einsum(call: Call) -> list[Note | None]:
    """A sum of products in letters."""
    equation, *operands = call.args
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    spelt = spelt_out(equation, [t.ndim for t in operands])
    if spelt is None or any(len(set(each)) != len(each) for each in spelt):
        return [Note("einsum", tuple(call.outs[0].shape), None)]
    *letters, result = spelt
    return _contract(call, list(zip(operands, letters, strict=True)), result)


def spelt_out(equation: str, ndims: Sequence[int]) -> list[str] | None:
    """The letters of an einsum's operands and result, those of an ellipsis spelt out."""
    inputs, arrow, result = equation.replace(" ", "").partition("->")
    parts = inputs.split(",")
    if not arrow or len(parts) != len(ndims):
        return None
    unused = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    more = [n - len(part.replace("...", "")) for part, n in zip(parts, ndims, strict=True)]
    every = "".join(unused[: max(more)])
    spelt = [p.replace("...", every[len(every) - n :]) for p, n in zip(parts, more, strict=True)]
    return [*spelt, result.replace("...", every)]


def attend(call: Call) -> list[Note | None]:
    """What an attention puts out lies where its queries do."""
    ndim = call.first.ndim
    return [call.note(call.outs[0], lambda core: call.coordinates.mixed(core, [ndim - 1]))]


RULES: dict[str, Rule] = {
    **dict.fromkeys(OVER, reduce),
    **dict.fromkeys(("linear", "linear_dynamic", "linear_relu_dynamic", "linear_fp16"), linear),
    **dict.fromkeys(("matmul", "linalg_matmul", "bmm", "mm", "mv", "rmatmul"), matmul),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), matmul),
    **dict.fromkeys(("tensordot", "inner", "outer", "ger", "dot", "vdot"), multiply),
    **dict.fromkeys(("addbmm", "addr"), multiply),
    **{"cdist": distances, "einsum": einsum, "cosine_similarity": likeness},
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), attend),
    **dict.fromkeys(("flex_attention", "memory_efficient_attention"), attend),
}
