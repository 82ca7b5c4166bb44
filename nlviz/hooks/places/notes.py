"""What became of the places of one tensor: a note of the operation, read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.hooks.places.coordinates import Conflict


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the elements of a tensor lie.

    Args:
        cores: one core; two of a product of queries and keys, whose rows and columns have places
            of their own.
    """

    cores: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A tensor whose places were lost.

    Args:
        by: the operation that lost them, in a few words.
    """

    by: str


Known = Placed | Unknown


def on_the_cpu() -> AbstractContextManager[object]:
    """New tensors lie on the CPU, also where the user's default is another device."""
    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


Rule = Callable[..., Known]


class Note:
    """What one operation did to the places of what it was given; read once, when asked for."""

    __slots__ = ("given", "known", "rule", "shape", "what")

    def __init__(
        self, what: str, shape: tuple[int, ...], rule: Rule | None, given: tuple[Note, ...] = ()
    ) -> None:
        self.what, self.shape, self.rule, self.given = what, shape, rule, given
        self.known: Known | None = None

    def read(self) -> Known:
        """The places, those of everything on the way read first."""
        waiting = [self]
        while waiting:
            note = waiting[-1]
            missing = [each for each in note.given if each.known is None]
            if note.known is None and missing:
                waiting += missing
                continue
            waiting.pop()
            if note.known is None:
                with torch.inference_mode(False), torch.no_grad(), on_the_cpu():
                    note.known = note._apply()
                note.rule, note.given = None, ()
        if self.known is None:
            raise RuntimeError("a note was not read")
        return self.known

    def _apply(self) -> Known:
        lost = next((n.known for n in self.given if isinstance(n.known, Unknown)), None)
        if lost is not None:
            return lost
        if self.rule is None:
            return Unknown(self.what)
        try:
            known = (note.known for note in self.given)
            return self.rule(*(each.cores for each in known if isinstance(each, Placed)))
        except Conflict:
            return Unknown(f"{self.what} of different places")
        except Exception as fault:  # noqa: BLE001 — what is not understood has no place
            return Unknown(f"{self.what} in a way that nlviz does not know ({fault})")
