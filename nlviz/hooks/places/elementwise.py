"""Operations that work on each element by itself, or leave each where it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlviz.hooks.places import sums
from nlviz.hooks.places.calls import Call, Rule, has_cells
from nlviz.hooks.places.coordinates import Conflict
from nlviz.hooks.places.notes import Known, Note, Placed, Unknown
from nlviz.hooks.places.sums import Cores

# The first operand alone says where the result lies.
ALIKE = frozenset(
    (
        *("softmax", "log_softmax", "layer_norm", "group_norm", "batch_norm", "instance_norm"),
        *("rms_norm", "normalize", "dropout", "dropout1d", "dropout2d", "dropout3d"),
        *("alpha_dropout", "feature_alpha_dropout", "feature_dropout", "native_dropout"),
        *("contiguous", "to", "type", "type_as", "detach", "alias", "lift_fresh"),
        *("float", "half", "double", "bfloat16", "cfloat", "cdouble", "chalf", "bool", "byte"),
        *("cuda", "cpu", "xpu", "ipu", "mtia", "pin_memory", "share_memory", "deepcopy"),
        *("requires_grad", "prelu", "softmin", "gumbel_softmax", "local_response_norm"),
        *("masked_fill", "index_fill", "fill_diagonal"),
        *("native_layer_norm", "native_group_norm", "native_batch_norm", "_fused_rms_norm"),
        *("quantize_per_tensor", "dequantize", "conj", "real", "imag"),
        *("resolve_conj", "resolve_neg", "renorm", "tril", "triu", "special_softmax"),
        *("special_log_softmax", "as_tensor", "asarray"),
        *("logsigmoid", "log_sigmoid", "tanhshrink", "softsign", "hardswish"),
    )
)
# Elementwise operations that torch does not mark as such: other names of those that it does.
ALIASES = frozenset(
    (
        *("absolute", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh"),
        *("divide", "floor_divide", "multiply", "negative", "subtract", "fix", "complex", "polar"),
        *("greater", "greater_equal", "less", "less_equal", "not_equal", "isclose", "isreal"),
        *(f"special_{name}" for name in ("digamma", "erf", "erfc", "erfinv", "exp2", "expit")),
        *(f"special_{name}" for name in ("expm1", "gammainc", "gammaincc", "gammaln", "i0")),
        *(f"special_{name}" for name in ("log1p", "logit", "multigammaln", "ndtr", "psi")),
        *(f"special_{name}" for name in ("polygamma", "round", "sinc", "xlogy")),
    )
)
RUNNING = {  # along which axis each depends on those before
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"), (1, None)),
    "diff": (2, -1),
}


def as_first(call: Call) -> list[Note | None]:
    """The first operand, whose places a norm's weights or another's type do not change."""
    if call.name.endswith("norm") and call.of(call.first) is None:
        return by_weights(call)
    return [call.note(out, lambda core: core) for out in call.outs]


def alike(call: Call) -> list[Note | None]:
    """Elementwise: what the operands stand for, where they are told apart."""
    given = [call.of(tensor) for tensor in call.given]
    known = tuple(note for note in given if note is not None)
    ndim = call.outs[0].ndim

    def rule(*every: Cores) -> Known:
        return Placed(sums.merged(call.coordinates, ndim, every))

    note = Note(call.name, tuple(call.outs[0].shape), rule, known)
    return [note] * len(call.outs)


def by_weights(call: Call) -> list[Note | None]:
    """Constants that weights change: lost if those come from the input, as in a hypernetwork."""
    given = [call.of(each) for each in call.given if not isinstance(each, nn.Parameter)]
    known = tuple(note for note in given if note is not None)
    out, places = call.outs[0], call.coordinates
    if not known:
        return [None]
    told, single = f"{call.name} with weights from the input", (1,) * out.ndim

    def rule(*every: Cores) -> Known:
        if any(has_cells(places, core) for cores in every for core in cores):
            return Unknown(told)
        return Placed((torch.zeros(single, dtype=torch.long),))

    return [Note(call.name, tuple(out.shape), rule, known)]


def gated(call: Call) -> list[Note | None]:
    """``glu``: one half of an axis weighs the other."""
    dim = call.argument(1, "dim", default=-1)

    def halved(core: Tensor) -> Tensor:
        if core.shape[dim] == 1:
            return core
        return call.coordinates.merged(*core.chunk(2, dim))

    return [call.note(call.outs[0], halved)]


def running(call: Call) -> list[Note | None]:
    """``cumsum`` and its like: followed along axes over which places do not change."""
    at, default = RUNNING[call.name]
    dim = call.argument(at, "dim", default=default)
    more = call.argument(3, "prepend"), call.argument(4, "append")
    if dim is None or more != (None, None):
        return [Note(call.name, tuple(call.outs[0].shape), None)]

    def kept(core: Tensor) -> Tensor:
        if core.shape[dim] > 1:
            raise Conflict
        return core

    return [call.note(call.outs[0], kept)]


def from_pairs(call: Call) -> list[Note | None]:
    """``view_as_complex``: two numbers become one."""
    return [call.note(call.outs[0], lambda core: call.coordinates.mixed(core, [-1]).squeeze(-1))]


def as_pairs(call: Call) -> list[Note | None]:
    """``view_as_real``: each number becomes two."""
    return [call.note(call.outs[0], lambda core: core.unsqueeze(-1))]


def nothing(call: Call) -> list[Note | None]:
    """What is new has no places."""
    return []


def made_of(call: Call) -> list[Note | None]:
    """``x.new_tensor(y)``: a copy of y, which x says nothing of."""
    data = call.argument(1, "data", "other")
    given = call.of(data) if isinstance(data, Tensor) else None
    return [] if given is None else [call.note(call.outs[0], lambda core: core, of=given)]


RULES: dict[str, Rule] = {
    **dict.fromkeys(ALIKE, as_first),
    **dict.fromkeys(ALIASES, alike),
    **dict.fromkeys(RUNNING, running),
    **{"glu": gated, "view_as_complex": from_pairs, "view_as_real": as_pairs},
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like", "full_like"), nothing),
    **dict.fromkeys(("rand_like", "randn_like", "randint_like"), nothing),
    **dict.fromkeys(("new_zeros", "new_ones", "new_empty", "new_full"), nothing),
    **{"new_empty_strided": nothing, "new": made_of, "new_tensor": made_of},
}
