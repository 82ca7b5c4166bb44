"""What a batch would take, told before it runs: measured on the first clips of its own list."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from nlviz.batches.listing import Given
from nlviz.batches.networks import Networks
from nlviz.batches.one_clip import Work
from nlviz.batches.options import BatchOptions, folder_of
from nlviz.batches.pace import in_words
from nlviz.batches.results import Results
from nlviz.batches.run import Listed, manifest
from nlviz.batches.shard import Shard

_TRIED = 3  # groups that are tried out


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch would take on this machine.

    Args:
        clips: how many there are in the list, or in this shard of it.
        left: how many of them are not done.
        tried: how many clips of the list were read and run to measure the rest.
        failed: why some of those could not be done.
        reading: seconds of a clip, to read it.
        running: seconds of a clip, networks and numbers.
        size: bytes of a clip's rows and files.
        memory: bytes that this process has held at most; None where that is not told.
    """

    clips: int
    left: int
    tried: int
    failed: tuple[str, ...]
    reading: float
    running: float
    size: float
    memory: int | None

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same as lines to print."""
        lines = [f"{self.clips} clips, of which {self.left} are not done."]
        lines += [f"One that was tried failed: {why}" for why in self.failed]
        if self.tried > len(self.failed):
            # Reading runs ahead in processes of its own, so the slower of the two sets the pace.
            seconds = max(self.reading, self.running) * self.left
            lines.append(
                f"Measured here on {self.tried - len(self.failed)} of them: {self.reading:.2g} s "
                f"to read a clip and {self.running:.2g} s in the networks, so one process takes "
                f"{in_words(seconds)}."
            )
            lines.append(f"The results take about {_bytes(self.size * self.left)} of disk.")
            if self.memory is not None:
                lines.append(
                    f"This process held at most {_bytes(self.memory)}; each that reads ahead "
                    "holds a clip's frames more."
                )
        return tuple(lines)


def estimate(
    inputs: Given,
    out: str | os.PathLike[str],
    options: BatchOptions | None = None,
    *,
    shard: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Estimate:
    """Read and run the first clips that are not done, and write nothing.

    Args:
        inputs, out, options, shard: as for ``nlviz.batch``.
        clock: seconds.

    Raises:
        BatchError, NetworkError: as ``nlviz.batch``.
    """
    listed = Listed.of(inputs, options or BatchOptions())
    groups = Shard.of(shard).share(listed.groups) if shard else listed.groups
    networks = Networks.of(listed.options)
    results = Results(folder_of(os.fspath(out)))
    results.check(manifest(listed, networks, None))
    plan = listed.plan(networks, results)
    work = Work(listed.options, listed.ask, networks.loaded, listed.columns)
    done = {part.partition("-")[0] for part in plan.parts}
    left = [group for group in groups if any(entry.id not in done for entry in group)]
    reading = running = 0.0
    sizes, why = [], []
    for group in islice(left, _TRIED):
        begun = clock()
        readings = plan.read(group)
        read = clock()
        made = work.on(readings)
        reading, running = reading + read - begun, running + clock() - read
        why += [each.failure.why for each in made if each.failure]
        sizes += [
            len(each.rows) + sum(map(len, each.files.values())) for each in made if not each.failure
        ]
    tried = len(sizes) + len(why)
    return Estimate(
        clips=sum(map(len, groups)),
        left=sum(map(len, left)),
        tried=tried,
        failed=tuple(why),
        reading=reading / max(tried, 1),
        running=running / max(tried, 1),
        size=sum(sizes) / max(len(sizes), 1),
        memory=_most_held(),
    )


def _most_held() -> int | None:
    """Bytes of memory that this process has held at most; Windows does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.2g} {unit}"
    return f"{count / 1e3:.2g} kB"
