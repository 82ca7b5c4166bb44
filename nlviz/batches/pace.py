"""Pace: how many clips a second, and how long until all are done."""

from __future__ import annotations

import time
from collections.abc import Callable

from nlviz.progress import Progress


class Pace:
    """Tells of each clip that is settled.

    Args:
        total: how many clips there are.
        progress: is told the share that is settled, and the numbers in words.
        clock: seconds.
    """

    def __init__(
        self, total: int, progress: Progress, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total, self._progress, self._clock = total, progress, clock
        self._begun = clock()
        self._there = self._worked = self._failed = 0

    def there(self, count: int = 1) -> None:
        """Clips were done before."""
        self._there += count
        self._tell()

    def worked(self, *, failed: bool = False, count: int = 1) -> None:
        """Clips were done, here or by another process meanwhile, or have failed."""
        self._worked += count
        self._failed += count * failed
        self._tell()

    @property
    def words(self) -> str:
        """How many are settled, at which pace, and how long the rest takes at that."""
        settled = self._there + self._worked
        words = [f"{settled} of {self._total} clips"]
        if self._failed:
            words.append(f"{self._failed} failed")
        seconds = self._clock() - self._begun
        if self._worked and seconds > 0:
            rate = self._worked / seconds
            words.append(f"{rate:.3g} clips/s")
            if settled < self._total:
                words.append(f"{in_words((self._total - settled) / rate)} left")
        return ", ".join(words)

    def _tell(self) -> None:
        self._progress((self._there + self._worked) / max(self._total, 1), self.words)


def in_words(seconds: float) -> str:
    """A length of time to read."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(seconds, 1):.0f} s"
