"""The gradient of one class's score at the output of each attention layer: one backward pass.

A layer's output is y = A V, so the gradient of a weight is ∂s/∂A_ij = ∂s/∂y_i · V_j. Held are the
two factors, columns like θ's and φ's, and not the matrix. Nothing of the module is changed: no
gradient is added up in its parameters, and their flags and the training mode stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, NlvizError, QueryError
from nlviz.experiments.rerun import find_block
from nlviz.hooks.attention.calls import Attended, Watch
from nlviz.hooks.attention.module_stack import ModuleStack
from nlviz.hooks.attention.recompute import columns_of, sample_of
from nlviz.hooks.batch import Sample
from nlviz.hooks.capture import PUT_BACK, evaluating
from nlviz.hooks.fidelity import checked_queries
from nlviz.hooks.memory import enough_memory, is_out_of_memory
from nlviz.hooks.module_calls import this_thread
from nlviz.hooks.places.follow import Places
from nlviz.hooks.places.notes import on_our_own
from nlviz.inference.passes import layout_of, network_input
from nlviz.inference.protocol import Network
from nlviz.inference.scores import logits_in

Array = NDArray[np.float32]

_HALF = (torch.float16, torch.bfloat16)
_OFF = 0.02  # the greatest relative error of y, recomputed from what is drawn


@dataclass(slots=True, eq=False)
class Flow:
    """What flows through one layer, forward and back.

    Args:
        values: (heads, Dv, M) V, a column for each key as in φ.
        output: (heads, Dv, N) y, a column for each query as in θ; None where the call projected it.
        gradient: (heads, Dv, N) ∂s/∂y, likewise; 0 where nothing flows back.
    """

    values: Array
    output: Array | None
    gradient: Array


def flows(
    analysis: Analysis, network: Network, label: int | None, blocks: Sequence[str]
) -> tuple[int, Mapping[str, Flow]]:
    """What flows through some blocks for a class, from one forward and one backward pass.

    Args:
        analysis: whose clip and input size are run again.
        network: what made it.
        label: the class by its number; the one with the highest score in this pass if None.
        blocks: non-local blocks or attention layers of the analysis.

    Returns:
        the class's number, and each block's flow.

    Raises:
        QueryError: a network without classes.
        CaptureError: a pass that no gradient can flow back through, a block whose values and
            output cannot be reached, or that are not those of the analysis.
        BudgetError: the machine has too little memory.
    """
    _check_can_flow(network)
    with (
        enough_memory("a backward pass"),
        evaluating(network.module),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        frames = network_input(analysis.clip, analysis.view, network)
        given = frames.detach().clone().requires_grad_()
        inputs = given.clone()  # a module may write into what it is given
        taken, found = _taken(analysis, network, inputs, blocks)
        with _explained(network):
            with taken:
                output = network.module(inputs)
            number, score = _score(output, network, label)
            (reached,) = torch.autograd.grad(score, [given], allow_unused=True)
    if reached is None:
        raise CaptureError(_cut(network))
    missing = next((block for block in blocks if block not in found), None)
    if missing is not None:
        raise CaptureError(f"Block {missing!r} did not run in the pass with gradients.")
    with on_our_own():
        made = {block: found[block]() for block in blocks}
    for block, flow in made.items():
        _check_same(analysis.affinity(block), flow, block)
    return number, made


def _check_can_flow(network: Network) -> None:
    parameters = list(network.module.parameters())
    half = next((p.dtype for p in parameters if p.dtype in _HALF), None)
    if half is not None:
        raise CaptureError(
            f"{network.name} works in half precision ({str(half).removeprefix('torch.')}), in "
            "which small gradients vanish; load it in float32 for a class's relevance."
        )
    if any(p.is_inference() for p in parameters):
        raise CaptureError(
            f"The weights of {network.name} were made under torch.inference_mode, and no gradient "
            "flows through such tensors; load it outside of it."
        )


def _cut(network: Network) -> str:
    return (
        f"No gradient flows from the class scores of {network.name} back to the clip: it computes "
        "a part of them under torch.no_grad, or detached; relevance needs a whole path."
    )


@contextmanager
def _explained(network: Network) -> Iterator[None]:
    """A pass that torch cannot differentiate, in one sentence."""
    try:
        yield
    except NlvizError:
        raise
    except RuntimeError as fault:
        if is_out_of_memory(fault):
            raise
        first = (str(fault).strip().splitlines() or [type(fault).__name__])[0].rstrip(".")
        raise CaptureError(
            f"No gradient can be taken through {network.name} ({first}); choose another network."
        ) from fault


def _score(output: Any, network: Network, label: int | None) -> tuple[int, Tensor]:
    logits = logits_in(output, network.classes)
    if logits is None:
        raise QueryError(
            f"The network {network.name} has no classes, so nothing is relevant to one; choose a "
            "network that classifies."
        )
    number = int(logits.argmax()) if label is None else label
    if not logits.requires_grad:
        raise CaptureError(_cut(network))
    return number, logits[number]


Found = dict[str, Callable[[], Flow]]


def _taken(
    analysis: Analysis, network: Network, inputs: Tensor, blocks: Sequence[str]
) -> tuple[ExitStack, Found]:
    """Hooks that take what flows through each block; what each makes of it after the pass."""
    hooks, found = ExitStack(), Found()
    attends = [b for b in blocks if analysis.kinds.get(b, "").startswith("self-attention")]
    places = Places(network.module, (inputs,), wanted=bool(attends), layout=layout_of(network))
    if attends:
        _Attentions(network.module, places, found).attach(hooks)
    for block in blocks:
        if block not in attends:
            _take_block(analysis, network.module, block, found, hooks)
    return hooks, found


class _Attentions:
    """Takes the values of each attention as it is computed, and the gradient of its output."""

    def __init__(self, module: nn.Module, places: Places, found: Found) -> None:
        self._module, self._places, self._found = module, places, found
        self._running = ModuleStack()

    def attach(self, hooks: ExitStack) -> None:
        self._running.attach(self._module, hooks)
        hooks.enter_context(self._places.outside.hearing_scripts(self._places.holds))
        hooks.enter_context(Watch(self._attended, self._places))

    def _attended(self, call: Attended | str) -> None:
        """Under the same name as in an analysis."""
        name, count = self._running.name, 1
        numbered = name
        while numbered in self._found:
            count += 1
            numbered = f"{name}#{count}"
        try:
            with on_our_own():
                self._found[numbered] = self._take(call)
        except CaptureError as why:
            self._found[numbered] = _raising(f"Block {numbered!r} {why}.")

    def _take(self, call: Attended | str) -> Callable[[], Flow]:
        if isinstance(call, str):
            raise CaptureError(call)
        b, heads, length, _ = call.query.shape
        width = call.value.shape[-1]
        # Each query's number among all, which is put where the query is.
        slots = torch.arange(b * heads * length).reshape(b, heads, length, 1)
        numbered = replace(call, output=slots, project=None)
        mine, queries, keys = sample_of(numbered, self._places, Sample(None, b))
        values = columns_of(mine.value, keys)
        order = mine.output
        output = None
        if call.project is None:
            output = columns_of(_ordered(call.output, order, width), queries)
        gradients: list[Tensor] = []
        whole, as_output = call.put_out, call.as_output
        if whole is None or as_output is None or not whole.requires_grad:
            raise CaptureError("passes no gradient on")
        whole.register_hook(lambda gradient: gradients.append(gradient.detach()))  # type: ignore[no-untyped-call]
        project = None if call.project is None else call.project[0].detach()

        def flow() -> Flow:
            if not gradients:
                shape = (values.shape[0], values.shape[1], queries.width)
                return Flow(values, output, np.zeros(shape, np.float32))
            back = as_output(gradients[0].float())
            if project is not None:  # (b, N, E) to (b, H, N, Dv): the projection is linear
                back = (
                    (back @ project.float()).reshape(*back.shape[:2], heads, width).transpose(1, 2)
                )
            return Flow(values, output, columns_of(_ordered(back, order, width), queries))

        return flow


def _ordered(tensor: Tensor, order: Tensor, width: int) -> Tensor:
    """(S, H, length, width) of a call's (b, heads, length, width), by each slot's number."""
    flat = tensor.detach().float().cpu().reshape(-1, width)
    return flat[order[..., 0]]


def _raising(sentence: str) -> Callable[[], Flow]:
    def refuse() -> Flow:
        raise CaptureError(sentence)

    return refuse


def _take_block(
    analysis: Analysis, module: nn.Module, block: str, found: Found, hooks: ExitStack
) -> None:
    """The values g and the gradient of y of one call of a non-local block."""
    there, parts, number = find_block(module, block)
    if analysis.places.get(block) == PUT_BACK:
        raise CaptureError(
            f"Block {block!r} has its places in another order than the picture, in which its "
            "values are not followed; choose another block."
        )
    if parts is None or parts.g is None or parts.out is None or analysis.affinity(block).tokens:
        raise CaptureError(
            f"The values g and y of block {block!r} cannot be reached from outside; choose another."
        )
    affinity = analysis.affinity(block)
    calls = 0
    held: dict[str, Tensor] = {}
    gradients: list[Tensor] = []

    def enter(*_: Any) -> None:
        nonlocal calls
        calls += 1

    def after_g(_: nn.Module, __: Any, out: Tensor) -> None:
        if calls == number:
            held["g"] = out.detach()

    def before_out(_: nn.Module, args: Any) -> None:
        if calls != number:
            return
        (y, *_) = args
        held["y"] = y.detach()
        found[block] = made
        if y.requires_grad:
            y.register_hook(lambda gradient: gradients.append(gradient.detach()))

    def made() -> Flow:
        if not gradients:
            raise CaptureError(f"Block {block!r} passes no gradient on.")
        values, output, gradient = (
            _split(each, affinity.heads) for each in (held["g"], held["y"], gradients[0])
        )
        return Flow(values, output, gradient)

    hooks.callback(there.register_forward_pre_hook(this_thread(enter)).remove)
    hooks.callback(parts.g.register_forward_hook(this_thread(after_g)).remove)
    hooks.callback(parts.out.register_forward_pre_hook(this_thread(before_out)).remove)


def _split(tensor: Tensor, heads: int) -> Array:
    """(heads, C' / heads, places) of a map (clips or frames, C', …)."""
    columns = tensor.transpose(0, 1).flatten(1).float().cpu().numpy()
    return np.ascontiguousarray(columns.reshape(heads, -1, columns.shape[1]))


def _check_same(affinity: Affinity, flow: Flow, block: str) -> None:
    """CaptureError unless the drawn weights and these values give the output, for some queries."""
    keys, values = affinity.phi.shape[1], flow.values
    if values.shape[2] < keys:  # a sink has no value
        spare = ((0, 0), (0, 0), (0, keys - values.shape[2]))
        flow.values = values = np.pad(values, spare)
        more = affinity.theta.shape[1] - flow.gradient.shape[2]
        flow.gradient = np.pad(flow.gradient, ((0, 0), (0, 0), (0, more)))
    fits = (values.shape[0], values.shape[2], flow.gradient.shape[2])
    if fits != (affinity.heads, keys, affinity.theta.shape[1]):
        raise CaptureError(
            f"Block {block!r} has other heads, queries or keys in the pass with gradients than in "
            "the analysis; analyse the clip again."
        )
    if flow.output is None:
        return
    asked = checked_queries(affinity.query_grid, np.flatnonzero(affinity.has_query))
    if not asked or not affinity.has_query.any():
        return
    index = [affinity.index(query) for query in asked]
    weighed = affinity.head_weights(asked) @ values.transpose(0, 2, 1)
    y = flow.output[:, :, index].transpose(0, 2, 1)
    off = float(np.linalg.norm(weighed - y)) / max(float(np.linalg.norm(y)), 1e-30)
    if not off < _OFF:
        raise CaptureError(
            f"Block {block!r} puts out something other in the pass with gradients than its drawn "
            f"weights give (relative error {off:.2g}); analyse the clip again with this network."
        )
