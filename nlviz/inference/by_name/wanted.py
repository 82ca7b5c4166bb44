"""Wanted: how somebody wants a network by name, beside its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nlviz.errors import NetworkError
from nlviz.inference.user_network import Input
from nlviz.progress import Progress

RANDOM = "none"
"""The weights of a network that has random ones."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``load`` was told, and two things that only the app says.

    Args:
        device, weights, input, trust: as for ``nlviz.load``.
        download: whether what is not on this machine may be brought.
        progress: told while it is brought.
    """

    device: str = "auto"
    weights: str | Path | None = None
    input: Input | Mapping[str, Any] | None = None
    trust: tuple[str, ...] = ()
    download: bool = True
    progress: Progress | None = None

    @property
    def random(self) -> bool:
        """Whether the weights are to be random."""
        return self.weights is not None and str(self.weights) == RANDOM

    @property
    def file(self) -> Path | None:
        """A checkpoint of one's own, or None."""
        return None if self.weights is None or self.random else Path(self.weights).expanduser()

    @property
    def said(self) -> dict[str, Any]:
        """The fields of the input's record that somebody said; NetworkError for an unknown one."""
        if isinstance(self.input, Input):
            return {each.name: getattr(self.input, each.name) for each in fields(Input)}
        checked = Input.of(self.input)
        return {name: getattr(checked, name) for name in self.input or {}}

    def check_trusted(self, repository: str, why: str) -> None:
        """NetworkError for a repository whose code nobody said may run.

        Args:
            repository: as a spec names it.
            why: what its code is needed for.
        """
        if repository not in self.trust:
            raise NetworkError(
                f"{why}, and that code would run with all your rights; read it, and if you trust "
                f"it say so by its name: --trust {repository}"
            )
