"""Recognise blocks: modules whose children have the names that projects give them, or you do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from nlviz.errors import NetworkError
from nlviz.hooks.places.notes import Note

Kind = Literal["non-local", "disentangled", "gamma", "context"]

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
    "disentangled": (
        "disentangled non-local block: its pairwise term, without the one map for all queries"
    ),
    "gamma": "attention block with a gamma (query_conv, key_conv, value_conv)",
    "context": "global context block: one map for all queries",
}
_ROLES = ("theta", "phi", "g", "W", "concat")
LOOKED_FOR = (
    f"children named {' or '.join(_G)} and {' or '.join(_OUT)}, {', '.join(_GAMMA)} and gamma, or "
    f"{' or '.join(_MASK)} and {' or '.join(_CONTEXT)} (or others that build() names)"
)

_named: WeakKeyDictionary[nn.Module, Mapping[str, str]] = WeakKeyDictionary()


class BlockParts(NamedTuple):
    """A block and the children that matter, None where it has no such child.

    ``kind`` is ``"non-local"``: z = out(y) + x; ``"disentangled"``: z = out(y + u) + x, where u is
    the same for all queries, the mean of g by a softmax of what ``mask`` puts out, and θ and φ may
    lose their means; ``"gamma"``: z = γ y + x, as in CCNet and SAGAN; ``"context"``: one map for
    all queries, as in GCNet, whose ``phi`` is that map's logits and whose ``out`` takes y. Without
    ``out`` it is z = γ y + x, or z = y + x if the block has no ``gamma``.
    """

    kind: Kind
    block: nn.Module
    theta: nn.Module | None
    phi: nn.Module | None
    g: nn.Module | None
    out: nn.Module | None
    concat: nn.Module | None = None
    mask: nn.Module | None = None

    @classmethod
    def of(cls, block: nn.Module) -> BlockParts | None:
        """The parts of a module whose children bear a block's names or the user's; else None."""
        if block in _named:
            theta, phi, g, out, concat = (
                None if role not in _named[block] else block.get_submodule(_named[block][role])
                for role in _ROLES
            )
            return cls("non-local", block, theta, phi, g, out, concat)
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
        mask = child(*_MASK) if theta is not None else None
        kind: Kind = "non-local" if mask is None else "disentangled"
        return cls(kind, block, theta, phi, g, out, child(*_CONCAT), mask)


def name_children(module: nn.Module, blocks: Mapping[str, Mapping[str, str]]) -> None:
    """Say which children of a module's blocks are θ, φ, g and W, for as long as it lives.

    Args:
        module: the module.
        blocks: a block's path in the module, or the name of a class for all blocks of that class →
            ``theta``, ``phi``, ``g``, ``W`` and ``concat`` → the child's path in the block. Without
            θ and φ the block is Gaussian; without W it puts out γ y + x, or y + x if it has no
            ``gamma``.

    Raises:
        NetworkError: a block, a role or a child that does not exist, or one that is missing.
    """
    if not isinstance(blocks, Mapping):
        raise NetworkError(
            f"The blocks' children came as a {type(blocks).__name__}; give a mapping such as "
            "{'layer3.nl': {'theta': 'query', 'phi': 'key', 'g': 'value', 'W': 'project'}}."
        )
    modules = dict(module.named_modules())
    found: dict[nn.Module, Mapping[str, str]] = {}
    for name, children in blocks.items():
        of_class = [part for part in modules.values() if type(part).__name__ == name]
        meant = [modules[name]] if name in modules else of_class
        if not meant:
            known = [path for path, part in modules.items() if path and any(part.children())]
            raise NetworkError(
                f"The module has no block {name!r}; name one by its path, such as "
                f"{', '.join(known[:8]) or 'layer3.nl'}, or all of a class by its name."
            )
        for block in meant:
            _check_children(name, block, children)
            found[block] = dict(children)
    _named.update(found)


def _check_children(name: str, block: nn.Module, children: Mapping[str, str]) -> None:
    if not isinstance(children, Mapping) or not {*children} <= {*_ROLES}:
        said = ", ".join(map(str, children)) if isinstance(children, Mapping) else repr(children)
        raise NetworkError(
            f"The children of block {name!r} are named by {said}; name them by {', '.join(_ROLES)}."
        )
    if "g" not in children or ("theta" in children) != ("phi" in children):
        raise NetworkError(
            f"Block {name!r} needs a child for g, and one each for theta and phi unless it is "
            f"Gaussian; named are {', '.join(children) or 'none'}."
        )
    there = {path for path, _ in block.named_modules() if path}
    for role, child in children.items():
        if child not in there:
            own = ", ".join(path for path, _ in block.named_children()) or "none"
            raise NetworkError(
                f"Block {name!r} has no child {child!r} for {role}; its children are {own}."
            )


@dataclass(slots=True)
class Pass:
    """What one call of one block showed.

    ``seen`` has θ, φ, g, x and y of one sample: (elements of the batch, channels, positions);
    ``shapes`` are the axes behind the channels, ``notes`` what is known of where they lie.
    """

    name: str
    parts: BlockParts
    seen: dict[str, Tensor] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    refused: str | None = None

    @property
    def kind(self) -> str:
        """What it is, in a few words."""
        return _WORDS[self.parts.kind]
