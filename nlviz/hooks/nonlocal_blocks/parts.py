"""Recognise blocks: modules whose children have the names that projects give them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from torch import Tensor, nn

Kind = Literal["non-local", "gamma", "context"]

# The names that θ, φ, g and W_z go by in the projects we know of.
_THETA = ("theta", "conv_theta", "t")
_PHI = ("phi", "conv_phi", "p")
_G = ("g", "conv_g")
_OUT = ("W", "W_z", "out", "conv_out", "z")
_CONCAT = ("concat_project",)
_GAMMA = ("query_conv", "key_conv", "value_conv")
_MASK = ("conv_mask", "conv_attn")
_CONTEXT = ("channel_add_conv", "channel_mul_conv", "mlp_add", "mlp_scale")
_WORDS: dict[Kind, str] = {
    "non-local": "non-local block",
    "gamma": "attention block with a gamma (query_conv, key_conv, value_conv)",
    "context": "global context block: one map for all queries",
}
LOOKED_FOR = (
    f"children named {' or '.join(_G)} and {' or '.join(_OUT)}, {', '.join(_GAMMA)} and gamma, or "
    f"{' or '.join(_MASK)} and {' or '.join(_CONTEXT)}"
)


class BlockParts(NamedTuple):
    """A block and the children that matter, None where it has no such child.

    ``kind`` is ``"non-local"``: z = out(y) + x; ``"gamma"``: z = γ y + x, as in CCNet and SAGAN;
    ``"context"``: one map for all queries, as in GCNet, whose ``phi`` is that map's logits and
    whose ``out`` takes y.
    """

    kind: Kind
    block: nn.Module
    theta: nn.Module | None
    phi: nn.Module | None
    g: nn.Module | None
    out: nn.Module | None
    concat: nn.Module | None = None

    @classmethod
    def of(cls, block: nn.Module) -> BlockParts | None:
        """The parts of a module whose children are named as a block's; else None."""
        children = dict(block.named_children())

        def child(*names: str) -> nn.Module | None:
            return next((children[name] for name in names if name in children), None)

        if (mask := child(*_MASK)) and (out := child(*_CONTEXT)):
            return cls("context", block, None, mask, None, out)
        if all(name in children for name in _GAMMA) and hasattr(block, "gamma"):
            query, key, value = _GAMMA
            return cls("gamma", block, child(query), child(key), child(value), None)
        theta, phi, g, out = child(*_THETA), child(*_PHI), child(*_G), child(*_OUT)
        if g is None or out is None or (theta is not None and phi is None):
            return None
        return cls("non-local", block, theta, phi, g, out, child(*_CONCAT))


@dataclass(slots=True)
class Pass:
    """What one call of one block showed.

    ``seen`` has θ, φ, g, x and y of one sample: (elements of the batch, channels, positions);
    ``shapes`` are the axes behind the channels.
    """

    name: str
    parts: BlockParts
    seen: dict[str, Tensor] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    refused: str | None = None

    @property
    def kind(self) -> str:
        """What it is, in a few words."""
        return _WORDS[self.parts.kind]
