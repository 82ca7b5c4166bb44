"""What became of the places of one tensor: a note of the operation, read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from nlviz.errors import CaptureError
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


def on_our_own() -> AbstractContextManager[object]:
    """What torch is asked here is nlviz's own work, not the network's.

    It is not followed as the network's calls are, and new tensors lie on the CPU, also where the
    user's default is another device: both are modes, which torch leaves out.
    """
    aside: AbstractContextManager[object] = torch._C.DisableTorchFunction()
    return aside


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
        with torch.inference_mode(False), torch.no_grad(), on_our_own():
            waiting = [self]
            while waiting:
                note = waiting[-1]
                missing = [each for each in note.given if each.known is None]
                if note.known is None and missing:
                    waiting += missing
                    continue
                waiting.pop()
                if note.known is None:
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


def cores_of(note: Note | None, what: str) -> tuple[tuple[int, ...], tuple[Tensor, ...]]:
    """The shape and the cores of a tensor that a block works on.

    Args:
        note: the tensor's; None if nothing is known of it.
        what: what the block takes it for: "queries".

    Raises:
        CaptureError: its places are not known.
    """
    if note is None:
        raise CaptureError(
            f"has {what} that do not come from the input, or by a way that nlviz cannot follow"
        )
    known = note.read()
    if isinstance(known, Unknown):
        raise CaptureError(
            f"has {what} whose places are lost on the way: nlviz cannot follow {known.by!r}"
        )
    return note.shape, known.cores
