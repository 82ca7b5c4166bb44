"""Recipe: how a derived block was made, which its name says and a command repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from nlviz.display import printable

Fusion = Literal["mean", "max", "min"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
RESIDUAL = 0.5

_RELEVANCE = "relevance: "
_SHUFFLED = "shuffled weights"
_WHOLE = "all layers"
_LONGEST = 120  # signs of a class in a name


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a derived block was made.

    Args:
        label: the class that relevance is of; None for rollout.
        block: the one block that relevance is of; None for all layers.
        residual: of rollout, the weight of the residual connection.
        fusion: of rollout, how heads are joined.
        first, last: the layers between which rollout goes, both with it; None for all.
        seed: of the shuffled weights; None for the network's own.
    """

    label: str | None = None
    block: str | None = None
    residual: float = RESIDUAL
    fusion: Fusion = "mean"
    first: str | None = None
    last: str | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """What the block is called.

        A class as "dog in water" says that it is of all layers, for "water" may be a block's name.
        """
        may_be_read_as_block = self.block is None and " in " in (self.label or "")
        return self._named([_WHOLE] if may_be_read_as_block else [])

    def _named(self, more: Sequence[str]) -> str:
        how = ["derived", *more]
        how += [] if self.residual == RESIDUAL else [f"residual {self.residual:g}"]
        how += [] if self.fusion == "mean" else [f"{self.fusion} of heads"]
        how += [] if self.first is None else [f"{self.first} to {self.last}"]
        where = f" in {self.block}" if self.block is not None else ""
        label = "" if self.label is None else printable(self.label, _LONGEST)
        what = "rollout" if self.label is None else f"{_RELEVANCE}{label}{where}"
        own = f"{what} ({', '.join(how)})"
        return own if self.seed is None else shuffled_name(own, self.seed)

    @classmethod
    def of(cls, name: str, blocks: Sequence[str]) -> Recipe | None:
        """The recipe of a derived block by its name, which it gives again; None for another name.

        Args:
            name: of a block.
            blocks: of the network, one of which may be named in it.
        """
        what, _, how = name.removesuffix(")").rpartition("(")
        words = how.split(", ")
        made = cls(seed=0) if _SHUFFLED in words else cls()
        for word in words:
            made = made._told(word)
        if name.startswith(_RELEVANCE):
            label = what.removeprefix(_RELEVANCE).rstrip()
            ends = () if _WHOLE in words else blocks
            where = next((each for each in ends if label.endswith(f" in {each}")), None)
            label = label if where is None else label.removesuffix(f" in {where}")
            made = replace(made, label=label, block=where)
        return made if name in (made.name, made._named([])) else None  # as older versions said it

    def _told(self, word: str) -> Recipe:
        """With what one of the words in the brackets says."""
        name, _, value = word.partition(" ")
        if name == "residual":
            return replace(self, residual=_number(value))
        if name == "seed" and value.isdigit():
            return replace(self, seed=int(value))
        fusion = next((each for each in FUSIONS if word == f"{each} of heads"), None)
        if fusion is not None:
            return replace(self, fusion=fusion)
        first, between, last = word.partition(" to ")
        return replace(self, first=first, last=last) if between else self

    @property
    def options(self) -> list[str]:
        """Of ``nlviz rollout``, beside what is asked; that of one block is ``--block``."""
        given = {
            "--class": self.label,
            "--block": self.block,
            "--residual": None if self.residual == RESIDUAL else f"{self.residual:g}",
            "--fusion": None if self.fusion == "mean" else self.fusion,
            "--from": self.first,
            "--to": self.last,
            "--shuffled": None if self.seed is None else str(self.seed),
        }
        return [
            word for name, value in given.items() if value is not None for word in (name, value)
        ]


def shuffled_name(block: str, seed: int) -> str:
    """What a derived block is called where the network's weights were shuffled."""
    return f"{block.removesuffix(')')}, {_SHUFFLED}{f', seed {seed}' if seed else ''})"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return RESIDUAL
