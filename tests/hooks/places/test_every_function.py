"""Each function of torch that a module can call moves places truly, or loses them in its name.

Every function that torch lets be overridden is called in many ways. Then one place of the input is
changed at a time: an output that is said to be a cell must change most where that cell lies, and
one that changes at all must not be taken for a constant.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import get_testing_overrides, resolve_name

from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Following, Places
from nlviz.hooks.places.notes import Unknown

CHANNELS, HEIGHT, WIDTH = 4, 2, 4
LITTLE = 1e-6
WITHIN = 0.75  # of a cell

GENERATOR = torch.Generator().manual_seed(0)


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=GENERATOR, dtype=torch.double) * 0.8 + 0.1


X = _random(1, CHANNELS, HEIGHT, WIDTH)
OTHER = _random(1, CHANNELS, HEIGHT, WIDTH)
WEIGHT = _random(CHANNELS, CHANNELS, 3, 3)
WEIGHT[:, :, 1, 1] += 2  # each window looks at its middle most
MASK = OTHER > 0.5
ROWS = torch.tensor([1, 0])
EACH = torch.argsort(_random(1, CHANNELS, HEIGHT, WIDTH), 2)

# How a function is called with the input: by what its arguments are.
WAYS: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "x": lambda f, x: f(x),
    "x, constant": lambda f, x: f(x, OTHER),
    "constant, x": lambda f, x: f(OTHER.clone(), x),
    "x, 2": lambda f, x: f(x, 2),
    "x, 0.5": lambda f, x: f(x, 0.5),
    "x, 2, 3": lambda f, x: f(x, 2, 3),
    "x, 1, 2": lambda f, x: f(x, 1, 2),
    "x, 2, 1": lambda f, x: f(x, 2, 1),
    "x, (2, 3)": lambda f, x: f(x, (2, 3)),
    "x, (2, 2)": lambda f, x: f(x, (2, 2)),
    "x, 4 numbers": lambda f, x: f(x, (1, 0, 3, 2)),
    "x, 4 sizes": lambda f, x: f(x, (1, CHANNELS, WIDTH, HEIGHT)),
    "x, 1, (2, 3)": lambda f, x: f(x, 1, (2, 3)),
    "x, (2, 3), (3, 2)": lambda f, x: f(x, (2, 3), (3, 2)),
    "x, 2, (1, 2)": lambda f, x: f(x, 2, (1, 2)),
    "x, 2, 1, 2": lambda f, x: f(x, 2, 1, 2),
    "x, 2, 0, 1": lambda f, x: f(x, 2, 0, 1),
    "x, 2, 2, 1": lambda f, x: f(x, 2, 2, 1),
    "x, dim=3": lambda f, x: f(x, dim=3),
    "x, dim=1": lambda f, x: f(x, dim=1),
    "x, dim=2, keepdim": lambda f, x: f(x, dim=2, keepdim=True),
    "x, 0.5, dim=3": lambda f, x: f(x, 0.5, dim=3),
    "two": lambda f, x: f([x, x.flip(3)]),
    "x and a constant": lambda f, x: f([x, OTHER]),
    "several": lambda f, x: f(x, x[:, :1], x[0, 0]),
    "two lines": lambda f, x: f([x[0, 0, 0], x[0, 0, 1]]),
    "two pictures": lambda f, x: f([x[0, 0], x[0, 1].flip(1)]),
    "x, weight": lambda f, x: f(x, WEIGHT),
    "x, weight, padding": lambda f, x: f(x, WEIGHT, None, 1, 1),
    "x, weight, stride": lambda f, x: f(x, WEIGHT, None, 2, 1),
    "x, 2, by an index": lambda f, x: f(x, 2, ROWS),
    "x, 2, by each": lambda f, x: f(x, 2, EACH),
    "x, each, 2": lambda f, x: f(x, EACH, 2),
    "x, numbers": lambda f, x: f(x, EACH),
    "x, mirrored": lambda f, x: f(x, x.flip(2)),
    "x, itself": lambda f, x: f(x, x.clone()),
    "x, turned": lambda f, x: f(x, x.transpose(2, 3).contiguous()),
    "x, 2, index, y": lambda f, x: f(x, 2, ROWS, x.flip(3)),
    "x, 2, each, y": lambda f, x: f(x, 2, EACH, x.flip(3)),
    "x, 2, each, number": lambda f, x: f(x, 2, EACH[:, :, :1], 0.5),
    "constant, 2, each, y": lambda f, x: f(OTHER.clone(), 2, EACH, x.flip(3)),
    "x, index, y": lambda f, x: f(x, (torch.tensor([0]), torch.tensor([1])), x[:, 0].flip(1)),
    "x, key, y": lambda f, x: f(x, (slice(None), slice(None), ROWS), x.flip(3)),
    "x, mask": lambda f, x: f(x, MASK),
    "x, mask, y": lambda f, x: f(x, MASK, x.flip(2)),
    "x, mask, number": lambda f, x: f(x, MASK, 1.0),
    "mask, x, y": lambda f, x: f(MASK, x, x.flip(3)),
    "x, row, 2, 0": lambda f, x: f(x, x.flip(3)[:, :, 0].clone(), 2, 0),
    "x, rows, 2, 1, 2": lambda f, x: f(x, x.flip(2)[:, :, :1].clone(), 2, 1, 2),
    "x, diagonal, 0, 2, 3": lambda f, x: f(x, x[:, :, :, :2].diagonal(0, 2, 3).clone(), 0, 2, 3),
    "x, 0, 2, 3": lambda f, x: f(x, 0, 2, 3),
    "x, x, 2": lambda f, x: f(x, x.flip(2), 2),
    "x, x, axes": lambda f, x: f(x, x, ([0, 1, 3], [0, 1, 3])),
    "picture": lambda f, x: f(x[0, 0]),
    "picture, number": lambda f, x: f(x[0, 0], 1),
    "picture, picture turned": lambda f, x: f(x[0, 0], x[0, 0].t()),
    "picture, mirrored": lambda f, x: f(x[0, 0], x[0, 0].flip(1)),
    "picture, row": lambda f, x: f(x[0, 0], x[0, 0, 0]),
    "row": lambda f, x: f(x[0, 0, 0]),
    "row, row": lambda f, x: f(x[0, 0, 0], x[0, 0, 1]),
    "pictures, turned": lambda f, x: f(x[0], x[0].transpose(1, 2)),
    "constant, picture, turned": lambda f, x: f(X.new_zeros(2, 2), x[0, 0], x[0, 0].t()),
    "constant, pictures, turned": lambda f, x: f(
        X.new_zeros(CHANNELS, 2, 2), x[0], x[0].transpose(1, 2)
    ),
    "constant, all pictures": lambda f, x: f(X.new_zeros(2, 2), x[0], x[0].transpose(1, 2)),
    "constant, picture, row": lambda f, x: f(X.new_zeros(2), x[0, 0], x[0, 0, 0]),
    "constant, row, row": lambda f, x: f(X.new_zeros(4, 4), x[0, 0, 0], x[0, 0, 1]),
    "channels first": lambda f, x: f(x[0], 2),
    "rows of channels, 2": lambda f, x: f(x[:, :, 0], 2, 2),
    "width": lambda f, x: f(x, (WIDTH,)),
    "statistics": lambda f, x: f(x, x.new_zeros(CHANNELS), x.new_ones(CHANNELS)),
    "clip, 2": lambda f, x: f(x.unsqueeze(1), 2),
    "clip, 2, 2": lambda f, x: f(x.unsqueeze(1).transpose(1, 2), 2, 2),
    "out": lambda f, x: f(x, out=torch.empty_like(OTHER)),
    "constant, out": lambda f, x: f(x, OTHER, out=torch.empty_like(OTHER)),
    "two, out": lambda f, x: f([x, x.flip(3)], 2, out=OTHER.new_empty(1, CHANNELS, 4, WIDTH)),
}

# What puts out numbers of its own, whatever the input holds, though it may be drawn from it.
DRAWN = ("bernoulli", "normal_", "random", "empty_like", "poisson", "binomial", "gumbel")
# Each looks at what lies beside as well, and of so few places hardly less than at its own.
BLURS = ("norm", "softmax", "softmin", "attention", "conv_transpose")
# What no module calls in its pass, what ends the process or asks for another machine.
LEFT_OUT = (
    *("backward", "hook", "numpy", "__reduce", "dlpack", "share_memory", "storage", "retain_grad"),
    *(
        "requires_grad",
        "_autocast",
        "pin_memory",
        "to_mkldnn",
        "sparse",
        "__setstate__",
        "resize",
        "set_",
    ),
    *(
        "apply_",
        "map_",
        "quantized",
        "module_load",
        "miopen",
        "fbgemm",
        "prepack",
        "all_",
        "reduce_scatter",
    ),
)


def _functions() -> dict[str, Any]:
    """Every function by its whole name."""
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for function in get_testing_overrides():
            own = getattr(function, "__name__", "")
            name = resolve_name(function) or own
            if own in ("__get__", "__set__", "__delete__") or own.startswith(("sym_", "_sym_")):
                continue
            if "distributed" in (getattr(function, "__module__", "") or ""):
                continue
            if name.endswith("_copy") and not name.endswith("index_copy"):
                continue
            if not any(word in name for word in LEFT_OUT):
                found[name] = function
    return found


FUNCTIONS = _functions()


def _features(out: Any) -> list[torch.Tensor]:
    every = out if isinstance(out, (tuple, list)) else [out]
    kept = [each for each in every if isinstance(each, torch.Tensor)]
    kept = [each for each in kept if each.layout == torch.strided]
    kinds = torch.double, torch.float, torch.half, torch.bfloat16, torch.bool, torch.cdouble
    return [each for each in kept if each.dtype in kinds and each.numel()]


def _run(way: str, function: Any, x: torch.Tensor) -> list[torch.Tensor] | None:
    torch.default_generator.manual_seed(0)
    try:
        return _features(WAYS[way](function, x))
    except Exception:  # noqa: BLE001 — it cannot be called so
        return None


def _changes(way: str, function: Any, before: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """For each output, the square of its change with each place: (height, width, …)."""
    before = [each.clone().to(torch.cdouble) for each in before]
    found = [torch.zeros(HEIGHT, WIDTH, *each.shape, dtype=torch.double) for each in before]
    for row in range(HEIGHT):
        for col in range(WIDTH):
            changed = X.clone()
            changed[:, :, row, col] += LITTLE
            after = _run(way, function, changed)
            if after is None or [a.shape for a in after] != [b.shape for b in before]:
                return None
            for new, old, each in zip(after, before, found, strict=True):
                difference = (new.to(torch.cdouble) - old).abs().nan_to_num(0, 0, 0) / LITTLE
                each[row, col] = difference.square().clamp(max=1e12)
    return found


def _wrong(places: Places, out: torch.Tensor, change: torch.Tensor, *, blurs: bool) -> str | None:
    """What is not true of what is said of an output."""
    total = change.sum((0, 1))
    note = places.of(out)
    if note is None:
        return "is taken for a constant" if bool((total > 1e-6).any()) else None
    known = note.read()
    if isinstance(known, Unknown):
        return None if known.by else "is lost without a name"
    if note.shape != tuple(out.shape):
        return f"has the shape {note.shape} for {tuple(out.shape)}"
    if len(known.cores) > 1:
        return None
    core = known.cores[0].expand(out.shape)
    kind, centre = places.coordinates.kind(core), places.coordinates.centre(core)
    there = (total > 1e-6) & (kind == Kind.CELL)
    if not blurs and bool(((total > 1e-6) & (kind < Kind.CELL) & (kind != Kind.MIXTURE)).any()):
        return "is taken for a constant or padding"
    for axis, n in ((2, HEIGHT), (3, WIDTH)):
        at = (torch.arange(n) + 0.5).double().reshape((-1, 1) if axis == 2 else (1, -1))
        weighed = torch.einsum(
            "yx,yxn->n", at.expand(HEIGHT, WIDTH), change.reshape(HEIGHT, WIDTH, -1)
        )
        middle = weighed.reshape(out.shape) / total.clamp(min=1e-12)
        off = (middle - centre[..., axis]).abs() / places.coordinates.size(core)[..., axis]
        if bool((off > (3 if blurs else WITHIN))[there].any()):
            return f"lies {float(off[there].max()):.1f} cells from what changes it"
    return None


@pytest.fixture(scope="module")
def followed() -> set[str]:
    """The functions of which cells were followed in one of the ways, found on the way."""
    return set()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", WAYS)
def test_no_function_puts_places_where_its_values_did_not_go(way, followed):
    wrong = {}
    for name, function in FUNCTIONS.items():
        x = X.clone()
        places = Places(nn.Identity(), (x,))
        with torch.no_grad(), Following(places):
            outs = _run(way, function, x)
        if not outs or any(word in name for word in DRAWN):
            continue
        notes = [places.of(out) for out in outs]
        if all(note is not None and isinstance(note.read(), Unknown) for note in notes):
            assert all(note.read().by for note in notes), name
            continue
        with torch.no_grad():
            changes = _changes(way, function, outs)
        if changes is None:
            continue
        for out, change in zip(outs, changes, strict=True):
            note = places.of(out)
            known = None if note is None else note.read()
            if known is not None and not isinstance(known, Unknown):
                kinds = torch.cat([places.coordinates.kind(c).flatten() for c in known.cores])
                if bool((kinds == Kind.CELL).any()):
                    followed.add(name)
            told = _wrong(places, out, change, blurs=any(word in name for word in BLURS))
            if told:
                wrong[name] = told
    assert not wrong, wrong


FOLLOWED = (
    *("vstack", "hstack", "dstack", "column_stack", "row_stack", "var_mean", "std_mean"),
    *("tensordot", "channel_shuffle", "native_channel_shuffle", "pixel_shuffle"),
    *("pixel_unshuffle", "swapaxes", "swapdims", "moveaxis", "movedim", "Tensor.unsqueeze_"),
    *("Tensor.squeeze_", "Tensor.transpose_", "Tensor.t_", "Tensor.swapaxes_"),
    *("Tensor.expand_as", "Tensor.view_as", "Tensor.reshape_as", "atleast_1d", "atleast_2d"),
    *("atleast_3d", "tensor_split", "hsplit", "vsplit", "dsplit", "rot90", "diagonal"),
    *("Tensor.index_copy_", "index_copy", "Tensor.scatter_", "scatter", "Tensor.index_put_"),
    *("index_put", "Tensor.masked_scatter_", "masked_scatter", "select_scatter"),
    *("slice_scatter", "diagonal_scatter", "sort", "topk", "kthvalue", "quantile", "cdist"),
    *("lp_pool1d", "lp_pool2d", "lp_pool3d", "outer", "inner", "addbmm", "addr"),
    *("vector_norm", "broadcast_tensors", "cumsum", "diff", "clip", "divide", "absolute"),
)


def test_these_functions_are_followed(followed):
    if not followed:
        pytest.skip("is asked after the test above, which finds them")
    assert len(followed) > 400
    missing = [n for n in FOLLOWED if not any(name.endswith(f".{n}") for name in followed)]
    assert not missing
