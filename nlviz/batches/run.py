"""A batch: every clip of a list through the networks, once, whoever else works on the list."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from nlviz.batches.claims import Claims
from nlviz.batches.listing import Entry, Given, entries
from nlviz.batches.networks import Networks
from nlviz.batches.one_clip import Done, Work
from nlviz.batches.options import BatchOptions, digest, folder_of
from nlviz.batches.pace import Pace
from nlviz.batches.readers import Readers
from nlviz.batches.reading import KEEPING, Group, Reading, ReadingPlan, Windows, at_once
from nlviz.batches.report import BatchReport
from nlviz.batches.results import WORK, Results
from nlviz.batches.shard import Shard
from nlviz.batches.table import Columns
from nlviz.errors import BatchError, ExportError
from nlviz.geometry import Region
from nlviz.progress import Progress, silent
from nlviz.version import __version__

IN_A_ROW = 10
"""After so many clips that a network fails on, one after the other, a batch stops."""

_FRESH = 2.0  # seconds for which a look at the folder will do
_PACKAGES = ("torch", "numpy", "opencv-python-headless", "av", "pyarrow")


def batch(
    inputs: Given,
    out: str | os.PathLike[str],
    options: BatchOptions | None = None,
    *,
    shard: str | None = None,
    readers: int | None = None,
    ray: str | None = None,
    progress: Progress | None = None,
    command: str | None = None,
) -> BatchReport:
    """Ask the same of many clips, and write one row a clip, network, block, head and query.

    The same call may be made any number of times at once, on machines that share the folder: each
    clip is done once, by whichever process comes first, and a process that is killed leaves its
    clips to the others. A clip that is done (by its content, the networks and the options) is not
    done again. A clip that cannot be done costs a row of ``errors.parquet``; the next call tries it
    again.

    Args:
        inputs: a folder, a file, a glob, an address that fsspec knows, a list (``.txt``) or a table
            (``.csv``, ``.parquet``, pandas, Arrow), or several of them; see docs/batch.md.
        out: the folder of the results; a new one, or one of the same networks and options.
        options: what is asked of which networks; block statistics by ``nl-lite0`` if None.
        shard: ``"i/n"``, to do the i-th of n parts of the list alone, i from 1.
        readers: how many processes read clips ahead of the network; 0 for none, one for every four
            cores if None.
        ray: the address of a Ray cluster whose nodes do the work; ``""`` to join the one that runs
            on this machine or to start one. Needs the extra ``ray``.
        progress: called with a fraction from 0 to 1 and how fast it goes in words; what it raises
            stops the batch.
        command: what the user typed, for the manifest.

    Returns:
        how many were done, were there, and have failed; ``stopped`` says why it ended early, as
        after ten clips in a row on which a network failed.

    Raises:
        BatchError: a list that cannot be read, a folder of other options or that cannot be
            written, no Ray, or a folder of clips that is gone.
        NetworkError: as ``nlviz.load``.
        ExportError: a full disk; start again to go on.
    """
    listed = Listed.of(inputs, options or BatchOptions())
    mine = Shard.of(shard).share(listed.groups) if shard else listed.groups
    networks = Networks.of(listed.options)
    results = Results(folder_of(os.fspath(out)))
    results.begin(manifest(listed, networks, command))
    claims = Claims(results.out / WORK)
    run = _Run(listed, mine, networks, results, claims, progress or silent)
    try:
        return run.all(_usual_readers() if readers is None else readers, ray)
    finally:
        claims.close()


class Listed:
    """A list of clips, and what is asked of them in all.

    Args:
        found: the clips.
        options: the options.
    """

    def __init__(self, found: Sequence[Entry], options: BatchOptions) -> None:
        self.entries, self.options = found, options
        every = [place for entry in found for place in entry.places]
        self.ask = options.asked(
            places=any(not isinstance(place, Region) for place in every),
            regions=any(isinstance(place, Region) for place in every),
            masks=any(entry.masks for entry in found),
        )
        points = [*every, *options.at]
        for what, there in (
            ("points", any(not isinstance(place, Region) for place in points)),
            ("regions", any(isinstance(place, Region) for place in points)),
            ("masks", any(entry.masks for entry in found)),
        ):
            if what in self.ask and not there:
                raise BatchError(
                    f"The batch asks for {what}, and there are none; give them with the command or "
                    f"in a column '{what}' of the list."
                )
        if (options.figures or options.films) and self.ask == ("blocks",):
            raise BatchError("Figures and films show places; ask for points, grid:N or masks too.")
        if options.window is not None and options.arrays and self.ask == ("blocks",):
            raise BatchError(
                "Arrays of clips in windows are of the windows that places lie in; ask for points, "
                "grid:N or masks too."
            )
        self.columns = Columns(found)
        self.groups = at_once(found, options.together)

    @classmethod
    def of(cls, inputs: Given, options: BatchOptions) -> Listed:
        """From what a user gives; BatchError."""
        return cls(entries(inputs, options.masks), options)

    def plan(self, networks: Networks, results: Results) -> ReadingPlan:
        """How each clip is read, and which parts need not be."""
        parts = frozenset(part for part in results.parts() if results.has(part))
        # The rows of the same work elsewhere can be copied where rows are all that is wanted.
        files = self.options.arrays or self.options.figures or self.options.films
        alone = not files and self.options.together == 1
        options = self.options
        windows = None
        if options.window is not None:
            windows = Windows(options.window, options.frames, options.stride, options.start)
        return ReadingPlan(
            windows=windows,
            samplings=networks.samplings,
            key=digest(__version__, networks.described, self.ask, self.options.compared),
            masks="masks" in self.ask,
            parts=parts,
            works=frozenset(part.rpartition("-")[2] for part in parts) if alone else frozenset(),
        )


def manifest(listed: Listed, networks: Networks, command: str | None) -> dict[str, Any]:
    """How a folder's results are made; the first four entries must not differ between runs."""
    return {
        "nlviz": __version__,
        "networks": networks.described,
        "ask": list(listed.ask),
        "options": listed.options.compared,
        "columns": listed.columns.words,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in _PACKAGES},
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _usual_readers() -> int:
    return max(1, (os.cpu_count() or 1) // 4)


class _Run:
    """One process's part in a batch."""

    def __init__(
        self,
        listed: Listed,
        groups: list[Group],
        networks: Networks,
        results: Results,
        claims: Claims,
        progress: Progress,
    ) -> None:
        self._listed, self._groups, self._networks = listed, groups, networks
        self._results, self._claims = results, claims
        self._plan = listed.plan(networks, results)
        self._copied = bool(self._plan.works) or not (
            listed.options.arrays
            or listed.options.figures
            or listed.options.films
            or listed.options.together > 1
        )
        self._works = {part.rpartition("-")[2]: part for part in self._plan.parts}
        self._before = results.parts()
        entries = [entry for group in groups for entry in group]
        self._failed_before = {entry.id: results.failed_at(entry) for entry in entries}
        self._entries = entries
        self._pace = Pace(len(entries), progress)
        self._done = self._there = self._row_of_failures = 0
        self._looked = (-_FRESH, frozenset[str]())

    def all(self, readers: int, ray: str | None) -> BatchReport:
        """Do what is left of the list."""
        work = Work(
            self._listed.options, self._listed.ask, self._networks.loaded, self._listed.columns
        )
        stopped = None
        try:
            with closing(self._made(work, readers, ray)) as made:
                for group, done in made:
                    stopped = self._take(group, done)
                    if stopped:
                        break
            if not stopped:
                self._claims.sweep(entry.id for entry in self._entries)
                if self._claims.alone:
                    self._results.tidy()
        except BaseException:
            with suppress(ExportError):  # a full disk has been told already
                self._gather()
            raise
        self._gather()
        failed = self._results.failures()
        return BatchReport(
            out=self._results.out,
            clips=len(self._entries),
            done=self._done,
            there=self._there,
            failed=tuple(
                (failed[entry.id]["path"], failed[entry.id]["why"])
                for entry in self._entries
                if entry.id in failed
            ),
            stopped=stopped,
        )

    def _gather(self) -> None:
        self._results.gather_errors({entry.id for entry in self._listed.entries})

    def _made(
        self, work: Work, readers: int, ray: str | None
    ) -> Generator[tuple[Group, list[Done]], None, None]:
        if ray is None:
            return self._here(work, readers)
        from nlviz.batches.cluster import on_a_cluster

        return on_a_cluster(ray, self._plan, work, self._networks.described, self._claimed())

    def _here(self, work: Work, count: int) -> Generator[tuple[Group, list[Done]], None, None]:
        """Read ahead in processes, and run the networks in this one."""
        readers = Readers(self._plan, count)
        try:
            for read in readers.read(self._claimed()):
                if read is not None:
                    group, readings = read
                    yield group, work.on([self._lean(each) for each in readings])
        finally:
            readers.close()

    def _lean(self, reading: Reading) -> Reading:
        """Without its frames where its rows are there by now."""
        if reading.is_empty or len(self._listed.groups[0]) > 1:
            return reading
        known = self._copied and reading.work in self._works
        return reading.without_frames() if known or self._results.has(reading.part) else reading

    def _claimed(self) -> Iterator[Group | None]:
        """Groups that are this process's to do; None while others have all that are left."""
        left = list(self._groups)
        while left:
            others, took = [], False
            for group in left:
                if self._settled_by_others(group):
                    continue
                if not self._claims.take(group[0].id):
                    others.append(group)
                elif self._settled_by_others(group):
                    self._claims.release(group[0].id)
                else:
                    took = True
                    yield group
            left = others
            if left and not took:
                yield None

    def _settled_by_others(self, group: Group) -> bool:
        """Whether another process has done it since this one began, or has failed on it."""
        there = self._new_parts()
        failed = 0
        for entry in group:
            when = self._results.failed_at(entry)
            new = when is not None and when != self._failed_before[entry.id]
            if not new and entry.id not in there:
                return False
            failed += new
        self._there += len(group) - failed
        self._pace.worked(count=len(group) - failed)
        if failed:
            self._pace.worked(failed=True, count=failed)
        return True

    def _new_parts(self) -> frozenset[str]:
        looked, there = self._looked
        if time.monotonic() - looked > _FRESH:
            new = self._results.parts() - self._before
            there = frozenset(part.partition("-")[0] for part in new)
            self._looked = (time.monotonic(), there)
        return there

    def _take(self, group: Group, done: Sequence[Done]) -> str | None:
        """Write what became of a group; a sentence where the batch cannot go on."""
        for each in done:
            if each.failure is not None:
                self._fail(each)
            else:
                self._keep(each)
        self._claims.release(group[0].id)
        if self._row_of_failures < IN_A_ROW:
            return None
        last = done[-1].failure
        full = last is not None and last.stage == KEEPING
        what = "There was no room for the windows of" if full else "The network failed on"
        return (
            f"{what} {self._row_of_failures} clips in a row, so the batch stopped; the last said: "
            f"{last.why if last else ''}"
        )

    def _fail(self, done: Done) -> None:
        entry, failure = done.reading.entry, done.failure
        if failure is None:
            return
        if entry.root is not None and not os.path.isdir(entry.root):
            raise BatchError(
                f"The folder '{entry.root}' is gone; bring it back and start again to go on."
            )
        self._results.fail(entry, failure)
        if failure.stage in ("network", KEEPING):
            self._row_of_failures += 1
        self._pace.worked(failed=True)

    def _keep(self, done: Done) -> None:
        reading = done.reading
        entry, part = reading.entry, reading.part
        if part in self._plan.parts or (not done.rows and self._results.has(part)):
            self._results.settle(entry)
            self._there += 1
            self._pace.there()
            return
        rows = done.rows
        if not rows:  # the same was done of another clip of the list
            columns = self._listed.columns
            same = self._results.rows(self._works[reading.work])
            rows = columns.part(entry, columns.rows(same))
        self._results.keep(entry, part, rows, done.files)
        self._works[reading.work] = part
        self._row_of_failures = 0
        self._done += 1
        self._pace.worked()
