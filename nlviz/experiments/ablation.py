"""Does a block matter: the size of what it adds, and what the network says without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from nlviz.analysis import Analysis, Prediction
from nlviz.errors import CaptureError
from nlviz.experiments.rerun import Call, one_call, parts_of, run
from nlviz.hooks.capture import PUT_BACK, evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.inference.protocol import Network
from nlviz.inference.scores import class_scores, top_classes
from nlviz.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Effect:
    """What one block does to its input and to the prediction.

    Args:
        block: its name.
        size: ‖z − x‖ / ‖x‖ over all positions and channels, Eq. (6); where x is added by the
            block's caller, ‖W_z y‖ beside the size of the block's own input.
        before: the network's top classes as it is.
        after: its top classes with the block ablated, z = x.
        fall: by how much the score of the first class of ``before`` falls; 0 without classes.
    """

    block: str
    size: float
    before: tuple[Prediction, ...]
    after: tuple[Prediction, ...]
    fall: float


@contextmanager
def ablated(module: nn.Module, block: str) -> Iterator[None]:
    """While it lasts, a block puts out z = x, Eq. (6) without W_z y, for calls by this thread.

    A self-attention, or any block whose caller adds x, puts out zero, which comes to the same.

    Args:
        module: any module with the block in it; it is left as it was.
        block: the block's name as ``capture`` gives it.

    Raises:
        CaptureError: a name that is not a block of the module.
    """
    with one_call(module, block, z=_input):
        yield


def effects(
    analysis: Analysis, network: Network, *, progress: Progress | None = None
) -> tuple[Effect, ...]:
    """The effect of each block, from input to output; one pass for each and one more.

    Raises:
        CaptureError: a block that cannot be changed from outside.
        BudgetError: the machine has too little memory.
    """
    with enough_memory("passes without each block"):
        return _effects(analysis, network, progress or silent)


def _effects(analysis: Analysis, network: Network, report: Progress) -> tuple[Effect, ...]:
    found = []
    whole = class_scores(run(analysis, network), network.classes)
    for number, block in enumerate(analysis.blocks):
        report(number / len(analysis.blocks), f"without {block}")
        with one_call(network.module, block, z=_input) as call:
            output = run(analysis, network)
        after = top_classes(output, network.classes)
        scores = class_scores(output, network.classes)
        fall = 0.0 if whole is None or scores is None else float((whole - scores)[whole.argmax()])
        found.append(Effect(block, _size(call, block), analysis.prediction, after, fall))
    report(1.0, "done")
    return tuple(found)


def with_sizes(analysis: Analysis, network: Network) -> Analysis:
    """The analysis with ‖W_z g_j‖ of each key of each block, for ``rank_by="contribution"``.

    W_z is the linear part of the output projection with its batch norm: W_z g_j is what key j
    would add to a query's z if it had all the weight. Runs the network once more. Blocks whose
    parts cannot be reached from outside, or that have several heads, are left out.

    Raises:
        BudgetError: the machine has too little memory.
    """
    with enough_memory("what each place adds"):
        return _with_sizes(analysis, network)


def _with_sizes(analysis: Analysis, network: Network) -> Analysis:
    seen: dict[str, Call] = {}
    outs: dict[str, nn.Module] = {}
    with ExitStack() as hooks:
        for block in analysis.blocks:
            with suppress(CaptureError):
                out = parts_of(network.module, block).out
                if out is not None:
                    outs[block] = out
                    seen[block] = hooks.enter_context(one_call(network.module, block))
        run(analysis, network)
    sizes = {}
    with evaluating(network.module):
        for block, call in seen.items():
            out, keys = outs[block], analysis.affinity(block).key_grid
            if call.g is None or call.g[:, 0].numel() != keys.size:
                continue
            if analysis.places.get(block) == PUT_BACK:  # its keys are in another order than these
                continue
            added = (out(call.g) - out(torch.zeros_like(call.g))).float()
            sizes[block] = added.norm(dim=1).flatten().cpu().numpy()
    return replace(analysis, sizes=MappingProxyType(sizes))


def _input(call: Call) -> Tensor:
    if call.x is None or call.z is None:
        raise CaptureError("A block without one tensor in and one out cannot be ablated.")
    return call.z.new_zeros(call.z.shape) if call.adds_outside else call.x.reshape(call.z.shape)


def _size(call: Call, block: str) -> float:
    if call.x is None or call.z is None:
        raise CaptureError(f"Block {block!r} did not run.")
    added = call.z if call.adds_outside else call.z - call.x.reshape(call.z.shape)
    return float(added.float().norm() / call.x.float().norm().clamp_min(1e-30))
