"""Class relevance: gradient times attention, carried through the layers for one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.errors import CaptureError
from nlviz.experiments.classes import class_name, class_number
from nlviz.experiments.derived import Place, beside, without_derived
from nlviz.experiments.gradients import Flow, flows
from nlviz.experiments.head_rows import HeadRows
from nlviz.experiments.layers import (
    Chain,
    Layer,
    Mixing,
    Weights,
    attention_layers,
    check_one_window,
)
from nlviz.experiments.recipe import Recipe
from nlviz.experiments.rollout import rows_of
from nlviz.inference.protocol import Network
from nlviz.progress import Progress, part_of, silent

Array = NDArray[np.float32]

PREDICTION = "prediction"
"""The token for what the class's score is read from: the mean of these places' rows."""


def relevance(
    analysis: Analysis,
    network: Network,
    label: str | None = None,
    places: Sequence[Place] | None = None,
    *,
    block: str | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """What counts for a class, as one more block (Chefer, Gur and Wolf, 2021).

    Each layer's matrix becomes Ā, the heads' mean of (∂s/∂A ⊙ A)⁺, s being the class's logit in the
    pass that is drawn; R is the product of I + Ā over all attention layers, last to first. What is
    drawn is a row of R − I: the identities alone say of each place that it is its own. It is no
    weight of the network, and its name and kind say so. The gradient of A is the product of two
    factors that are held like θ and φ, so no matrix is; one backward pass makes them, which leaves
    the module's gradients, flags and training mode as they were.

    Args:
        analysis: what the layers weigh.
        network: the network that made it; it must classify, in float32.
        label: a class by its name; the one with the highest score if None.
        places: points, regions and tokens whose rows are worked out; all that can be asked if None.
            The tokens ``"prediction"``, the mean over the places that the score is read from, and
            ``"all places"`` are always among them.
        block: one layer or non-local block alone, whose Ā is drawn; all attention layers if None.
        progress: called with a fraction from 0 to 1 and a word; what it raises stops the work.

    Returns:
        the analysis with the block "relevance: CLASS (derived)" after its own, or "relevance:
        CLASS in BLOCK (derived)"; a class as "dog in water", which might be read so, has "(derived,
        all layers)".

    Raises:
        QueryError: an unknown class, block or place, or a network without classes.
        CaptureError: no attention layers, layers whose places do not fit, windows that were joined,
            half precision, a network that no gradient flows through, or gradients that are not
            finite.
        BudgetError: rows that would take more than 64 MiB, or too little memory.
    """
    report = progress or silent
    own = without_derived(analysis)
    number = None if label is None else class_number(label, network.classes)
    names = _layers(own, block)
    report(0.0, "running the network forward and back")
    number, found = flows(own, network, number, names)
    chain = Chain(
        [Layer(name, own.affinity(name), partial(_weighed, own, found, name)) for name in names]
    )
    reads = {PREDICTION: _read(chain, own.affinity(names[-1]), found[names[-1]], names[-1])}
    told = part_of(report, 0.2, 1.0)
    called = class_name(number, network.classes)
    with np.errstate(over="ignore", invalid="ignore"):
        made = rows_of(chain, own, places, Mixing(1, 1, False), told, reads)
    if not np.isfinite(made.phi).all():
        raise CaptureError(
            f"The gradients of the class {called} are so large, or no numbers, that nothing can be "
            "said of what counts for it; choose another class, clip or network."
        )
    through = f"{len(names)} layers, {names[0]} to {names[-1]}" if block is None else block
    kind = f"gradient × attention for the class {called} through {through}"
    return beside(analysis, Recipe(called, block).name, made, kind)


def _layers(analysis: Analysis, block: str | None) -> tuple[str, ...]:
    if block is not None:
        analysis.affinity(block)
        check_one_window(analysis)
        return (block,)
    return attention_layers(analysis, None)


def _weighed(analysis: Analysis, found: Mapping[str, Flow], name: str) -> Weights:
    """The rows of Ā of a layer: the heads' mean of (∂s/∂A ⊙ A)⁺."""
    flow = found[name]
    each = HeadRows(analysis.affinity(name))
    values = torch.from_numpy(flow.values)
    gradient = torch.from_numpy(flow.gradient).mT.contiguous()

    def rows(index: NDArray[np.intp]) -> Array:
        queries, keys = torch.from_numpy(index), values.shape[-1]
        joined = values.new_zeros(len(index), keys)
        of_weights = torch.empty_like(joined)
        for weights, back, value in zip(each(index), gradient, values, strict=True):
            torch.mm(back[queries], value, out=of_weights)
            joined += weights.mul_(of_weights).clamp_(min=0)
        joined /= len(values)
        made: Array = joined.numpy()
        return made

    return rows


def _read(chain: Chain, affinity: Affinity, flow: Flow, name: str) -> Array:
    """(cells + tokens,) a mixture of the places whose output the score's gradient reaches."""
    reached = np.any(flow.gradient, axis=(0, 1)).reshape(-1)
    cells = affinity.query_grid.size
    mixture = np.zeros(cells + len(chain.tokens), np.float32)
    mixture[:cells] = reached[:cells]
    for at, token in enumerate(chain.canonical[-1]):
        if reached[cells + at] and token in chain.tokens:
            mixture[cells + chain.tokens.index(token)] += 1
    if not mixture.any():
        raise CaptureError(
            f"The class's score does not depend on what layer {name!r} puts out, so nothing flows "
            "back through it."
        )
    mean: Array = mixture / mixture.sum()
    return mean
