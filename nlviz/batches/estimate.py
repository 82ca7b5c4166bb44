"""What a batch would take, told before it runs: measured on the first clips of its own list."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from nlviz.batches.listing import Given
from nlviz.batches.long_clips import opened, run_for
from nlviz.batches.networks import Networks
from nlviz.batches.one_clip import Making, Work
from nlviz.batches.options import BatchOptions, folder_of
from nlviz.batches.pace import in_words
from nlviz.batches.reading import Reading
from nlviz.batches.results import Results
from nlviz.batches.run import Listed, manifest
from nlviz.batches.shard import Shard
from nlviz.batches.stores import here
from nlviz.display import bytes_in_words
from nlviz.errors import NlvizError
from nlviz.windows.estimate import Estimate as OfWindows
from nlviz.windows.estimate import estimate as of_windows

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
        size: bytes of a clip's rows and files; 0 where only clips in windows were tried, whose
            rows are not worked out before.
        memory: bytes that this process has held at most; None where that is not told.
        windows: of each clip that was tried and is longer than a window, and each network, what
            its windows cost, by a probe of a few frames; ``running`` counts these in.
    """

    clips: int
    left: int
    tried: int
    failed: tuple[str, ...]
    reading: float
    running: float
    size: float
    memory: int | None
    windows: tuple[tuple[str, OfWindows], ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The same as lines to print."""
        lines = [f"{self.clips} clips, of which {self.left} are not done."]
        lines += [f"One that was tried failed: {why}" for why in self.failed]
        if self.tried > len(self.failed):
            # Reading runs ahead in processes of its own, so the slower of the two sets the pace.
            seconds = max(self.reading, self.running) * self.left
            for clip, cost in self.windows:
                lines.append(f"{clip}: {cost.sentence}")
            lines.append(
                f"Measured here on {self.tried - len(self.failed)} of them: {self.reading:.2g} s "
                f"to read a clip and {self.running:.2g} s in the networks, so one process takes "
                f"{in_words(seconds)}."
            )
            if self.size:
                lines.append(
                    f"The results take about {bytes_in_words(self.size * self.left)} of disk."
                )
            if self.memory is not None:
                lines.append(
                    f"This process held at most {bytes_in_words(self.memory)}; each that reads "
                    "ahead holds a clip's frames more."
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
    sizes, why, tried = [], [], 0
    windows: list[tuple[str, OfWindows]] = []
    for group in islice(left, _TRIED):
        begun = clock()
        readings = plan.read(group)
        read = clock()
        reading += read - begun
        for each in (each for each in readings if each.long is not None):
            costs = _of_windows(each, work)
            tried += 1
            windows += [(each.entry.shown, cost) for cost in costs if isinstance(cost, OfWindows)]
            why += [cost for cost in costs if isinstance(cost, str)][:1]
            running += sum(cost.seconds for cost in costs if isinstance(cost, OfWindows))
        begun = clock()
        made = work.on([each for each in readings if each.long is None])
        running += clock() - begun
        why += [each.failure.why for each in made if each.failure]
        sizes += [
            len(each.rows) + sum(map(len, each.files.values())) for each in made if not each.failure
        ]
        tried += len(made)
    return Estimate(
        clips=sum(map(len, groups)),
        left=sum(map(len, left)),
        tried=tried,
        failed=tuple(why),
        reading=reading / max(tried, 1),
        running=running / max(tried, 1),
        size=sum(sizes) / max(len(sizes), 1),
        memory=_most_held(),
        windows=tuple(windows),
    )


def _of_windows(reading: Reading, work: Work) -> list[OfWindows | str]:
    """What the windows of a clip cost in each network, or why it cannot be done."""
    found: list[OfWindows | str] = []
    making = Making(reading, work)
    entry = reading.entry
    for loaded in work.networks:
        try:
            making.check(loaded.clip)
            with here(entry.path) as path:
                long = opened(path, entry.name, loaded.network, work.options)
                asked = making.asked(loaded.clip)
                cost = of_windows(long, run_for(long, asked, work.options, work.ask))
        except NlvizError as error:
            return [str(error)]
        if cost is None:
            continue
        # Where there are masks, the network runs once more for the cosine of its blocks' inputs.
        passes = 2 if any(each.kind == "object" for each in asked) else 1
        found.append(replace(cost, seconds=passes * cost.seconds))
    return found


def _most_held() -> int | None:
    """Bytes of memory that this process has held at most; Windows does not tell."""
    if sys.platform == "win32":
        return None
    import resource

    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024
