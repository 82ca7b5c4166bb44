"""One non-local block of any project, alone: from its weights to a block of ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from nlviz.errors import CheckpointError
from nlviz.models.checkpoints.dialects import CHILDREN
from nlviz.models.checkpoints.fitting import fit
from nlviz.models.nonlocal_block import Function, NonLocalBlock


def block(
    weights: Mapping[str, Tensor],
    prefix: str = "",
    *,
    softmax: bool = True,
    scaled: bool = False,
    sub_sample: bool = True,
    pool_first: bool = False,
) -> NonLocalBlock:
    """The block at ``prefix`` of a state dict, in evaluation mode.

    Its widths, its dimension, and whether it is Gaussian or concatenates are read from the
    weights. The rest is in no state dict, so the caller says it; the defaults are those of
    AlexHex7/Non-local_pytorch.

    Args:
        weights: of the block, or of a network that has it.
        prefix: the block's path in it, as in "layer3.1.nl.".
        softmax: whether θ·φ goes through a softmax, Eq. (3), or is divided by the keys, Eq. (4).
        scaled: whether the logits of a softmax are divided by √C'.
        sub_sample: whether the keys are pooled.
        pool_first: whether that happens before φ and g.

    Raises:
        CheckpointError: no non-local block is there.
    """
    named: dict[str, Tensor] = {}
    for key, value in weights.items():
        child, _, leaf = key.removeprefix(prefix).rpartition(".")
        if key.startswith(prefix) and child in CHILDREN:
            named[f"{CHILDREN[child]}.{leaf}"] = value
    if "g.weight" not in named:
        raise CheckpointError(
            f"No non-local block has its weights at {prefix!r}: g is missing; "
            "give the path that its names begin with."
        )
    inner, channels = named["g.weight"].shape[:2]
    function: Function = "embedded_gaussian" if softmax else "dot_product"
    if "theta.weight" not in named:
        function = "gaussian"
    elif "concat_project.0.weight" in named:
        function = "concatenation"
    ours = NonLocalBlock(
        channels,
        function=function,
        dimension=named["g.weight"].ndim - 2,
        inner=inner,
        sub_sample=sub_sample,
        pool_first=pool_first,
        batch_norm="W.1.weight" in named,
        scale=inner**-0.5 if scaled and function == "embedded_gaussian" else 1.0,
    )
    fit(named, ours, name=f"a block at {prefix!r}")
    return ours.eval()
