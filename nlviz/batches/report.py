"""BatchReport: what became of the clips of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nlviz.display import table


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of the clips of a batch, or of one shard of it.

    Args:
        out: the folder of the results.
        clips: how many there are in the list.
        done: how many this call has done.
        there: how many were done before, or by another process meanwhile.
        failed: (path, why) of those that could not be done, by whoever tried.
        stopped: why the run ended before its end, in a sentence; None where it did not.
    """

    out: Path
    clips: int
    done: int
    there: int
    failed: tuple[tuple[str, str], ...]
    stopped: str | None = None

    @property
    def words(self) -> str:
        """All of it on one line."""
        parts = [f"{self.done} done", f"{self.there} there already", f"{len(self.failed)} failed"]
        return f"{self.clips} clips: {', '.join(parts)}"

    def _repr_html_(self) -> str:
        """In a notebook: the words, and what failed."""
        return table(("clip", "why it failed"), self.failed, self.words)
