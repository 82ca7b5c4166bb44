"""Does a block matter: the size of what it adds, and what the network says without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.analysis import Analysis, Prediction
from nlviz.errors import CaptureError
from nlviz.experiments.rerun import Call, Change, one_call, parts_of, run
from nlviz.hooks.capture import PUT_BACK, evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.inference.protocol import Network
from nlviz.inference.score_passes import class_output, mean_logits, windows_of
from nlviz.inference.scores import class_scores, top_classes
from nlviz.progress import Progress, part_of, silent


@dataclass(frozen=True, slots=True)
class Effect:
    """What one block does to its input and to the prediction.

    Args:
        block: its name.
        size: ‖z − x‖ / ‖x‖ over all positions and channels, Eq. (6); where x is added by the
            block's caller, ‖W_z y‖ beside the size of the block's own input.
        before: the network's top classes as it is; their scores come from what those of
            ``analyse`` come from, which is not always the pass that the picture is drawn from.
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
    """The effect of each block, from input to output.

    The sizes come from one more pass of what is drawn, the classes from what the network's class
    scores come from (that pass, or square windows): as it is, and once without each block, which
    is then ablated in every window.

    Raises:
        CaptureError: a block that cannot be changed from outside.
        BudgetError: the machine has too little memory.
    """
    with enough_memory("passes without each block"):
        return _effects(analysis, network, progress or silent)


def _effects(analysis: Analysis, network: Network, report: Progress) -> tuple[Effect, ...]:
    clip, view, classes = analysis.clip, analysis.view, network.classes
    blocks = analysis.network_blocks
    if not blocks:
        raise CaptureError(
            f"{analysis.network} has no block that could be left out: the similarity of features "
            "is no part of it."
        )
    steps = 2 + len(blocks)
    report(0.0, "measuring what each block adds")
    sizes, output = _sizes(analysis, network)
    if windows := windows_of(clip, network):
        told = part_of(report, 1 / steps, 2 / steps, "with all blocks, ")
        output = mean_logits(windows, clip, network, progress=told)
    whole, before, found = class_scores(output, classes), top_classes(output, classes), []
    for number, block in enumerate(blocks, start=2):
        report(number / steps, f"without {block}")
        told = part_of(report, number / steps, (number + 1) / steps, f"without {block}, ")
        with ablated(network.module, block):
            output = class_output(clip, view, network, progress=told)
        after, scores = top_classes(output, classes), class_scores(output, classes)
        fall = 0.0 if whole is None or scores is None else float((whole - scores)[whole.argmax()])
        found.append(Effect(block, sizes[block], before, after, fall))
    report(1.0, "done")
    return tuple(found)


def _sizes(analysis: Analysis, network: Network) -> tuple[dict[str, float], Any]:
    """‖z − x‖ / ‖x‖ of each block in one pass of what is drawn, and what the network put out."""
    sizes: dict[str, float] = {}

    def measuring(block: str) -> Change:
        def measure(call: Call) -> None:
            sizes[block] = _size(call, block)
            call.forget()  # so that no more than one block's tensors are held at a time

        return measure

    with ExitStack() as hooks:
        for block in analysis.network_blocks:
            hooks.enter_context(one_call(network.module, block, z=measuring(block)))
        output = run(analysis, network)
    for block in analysis.network_blocks:
        if block not in sizes:
            raise CaptureError(f"Block {block!r} did not run.")
    return sizes, output


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
        raise CaptureError(f"Block {block!r} has not one tensor in and one out to measure.")
    added = call.z if call.adds_outside else call.z - call.x.reshape(call.z.shape)
    return float(added.float().norm() / call.x.float().norm().clamp_min(1e-30))
