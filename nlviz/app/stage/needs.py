"""What the viewer asks for that takes long: constants of all rows, and what each place adds."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from nlviz.app import store
from nlviz.app.choice import Choice
from nlviz.app.kept import once
from nlviz.app.shown import Shown
from nlviz.app.tabs import jobs, progress
from nlviz.app.tabs.context import VIEWER_FRAGMENT
from nlviz.app.visit import Visit
from nlviz.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """A job that the viewer waits for, in words ``name``."""

    job: jobs.Job
    about: Choice
    key: Hashable
    name: str

    def show(self) -> None:
        """How far it is; the viewer is drawn again when it ends."""
        progress.tell(self.job, self.about, self.key, name=self.name, scope=VIEWER_FRAGMENT)


def ask(visit: Visit) -> Needed | None:
    """Amend the visit with what is there; the job that still works out the rest, or failed to."""
    shown = visit.shown
    # One at a time: another analysis comes, or a file is looked through.
    if shown is None or visit.coming is not None or visit.opening is not None:
        return None
    if visit.options.needs_sizes and not shown.sizes:
        needed = _asked(shown, "sizes", once(shown, "sizes", shown.sized), "viewer-sizes")
        if not needed.job.done or needed.job.failed:
            return needed
        shown = shown.measured(needed.job.result, needed.job.problem)
        visit.amend(shown)
    block = visit.options.fitting(shown.analysis).block
    if block is None or not visit.options.needs_constants or shown.tag(block) in shown.constants:
        return None
    key = "constants", shown.tag(block)  # a tag is a hash of the block's θ and φ
    blob = store.shared().get(key)
    if blob is None:
        needed = _asked(shown, key, _constants(shown, block, key), "viewer-constants")
        if not needed.job.done or needed.job.failed or needed.job.problem is not None:
            return needed
        blob = needed.job.result
    visit.amend(shown.with_constants(block, blob))
    return None


def _asked(shown: Shown, key: Hashable, work: jobs.Work, name: str) -> Needed:
    job = jobs.current().ask(shown.choice, key, work, urgent=True)
    job.wait(progress.AT_ONCE)
    return Needed(job, shown.choice, key, name)


def _constants(shown: Shown, block: str, key: Hashable) -> jobs.Work:
    def work(report: Progress) -> bytes:
        blob = shown.constants_of(block, report)
        store.shared().put(key, blob)
        return blob

    return work
