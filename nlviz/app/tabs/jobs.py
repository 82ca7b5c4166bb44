"""A visitor's long computations, one at a time in the background, and their results."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from nlviz.app import sessions, startup, store, turns
from nlviz.app.meters import METERS
from nlviz.display import begun
from nlviz.errors import NlvizError
from nlviz.progress import Progress

logger = logging.getLogger("nlviz")

Work = Callable[[Progress], Any]

PATIENCE = 20.0
"""Seconds after which a computation ends whose visitor is gone."""

_LOOK = 1.0  # seconds between two looks whether the visitor is still there
_HELD = 5  # results that can be on the page at once
_KEY = "nlviz-jobs"


class _Stopped(BaseException):
    """Ends a computation that nobody waits for; no ``except Exception`` on its way may take it."""


class _TooLongError(BaseException):
    """Ends a computation that took too long; no ``except Exception`` on its way may take it."""


class Job:
    """One computation; what it says of itself changes while its thread works.

    ``result`` is there when ``done``, unless a sentence in ``problem`` says why not, or ``failed``
    that the fault is ours, or it was ``stopped``: by the visitor, or ``alone``, as they were gone.
    """

    def __init__(
        self,
        work: Work,
        *,
        after: Job | None = None,
        ended: Callable[[Job], None] | None = None,
        urgent: bool = False,
        owner: turns.Visitor | None = None,
    ) -> None:
        self.fraction, self.status = 0.0, "Waiting its turn"
        self.result: Any = None
        self.problem: str | None = None
        self.done = self.failed = self.stopped = self.left = self.alone = False
        self.urgent = urgent
        self._work: Work | None = work
        self._after, self._ended = after, ended
        self._owner, self._visitor = owner, sessions.own()
        self._longest = startup.longest()
        self._began = time.monotonic()
        self._seen = self._looked = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def runs(self) -> bool:
        """Whether it works and somebody wants it."""
        return not (self.done or self.stopped or self.left)

    @property
    def gave(self) -> bool:
        """Whether its result is there."""
        return self.done and not self.failed and self.problem is None

    def wait(self, seconds: float) -> None:
        """Until it is done, but not longer."""
        self._thread.join(seconds)

    def keep_alive(self) -> None:
        """Somebody still waits for it."""
        self._seen = time.monotonic()

    def stop(self) -> None:
        """The visitor no longer wants it."""
        self.stopped = True

    def leave(self) -> None:
        """The visitor wants something else now; asking for it again starts it again."""
        self.left = not self.done

    def _report(self, fraction: float, what: str) -> None:
        now = time.monotonic()
        if now - self._looked > _LOOK:
            self._looked = now
            if self._visitor is not None and sessions.is_connected(self._visitor):
                self._seen = now  # behind a hidden tab browsers ask once a minute, if at all
        if now - self._seen > PATIENCE and not self.left:
            self.stopped = self.alone = True
        if self.left or self.stopped:
            raise _Stopped
        if now - self._began - turns.waited() > self._longest:
            raise _TooLongError
        self.fraction, self.status = min(max(fraction, 0.0), 1.0), begun(what)

    def _run(self) -> None:
        try:
            turns.VISITOR.set(self._owner)
            while self._after is not None and self._after._thread.is_alive():
                self._report(0.0, "waiting for the one before to stop")
                self._after.wait(0.05)
            self._after, self._began = None, time.monotonic()
            if self._work is not None:
                self.result = self._work(self._report)
            METERS.job("done")
        except _Stopped:
            METERS.job("stopped")
            return
        except _TooLongError:
            METERS.job("too long")
            self.problem = (
                f"This took longer than {self._longest:g} s, the most that this server gives to "
                "one computation; choose fewer frames or a smaller input."
            )
        except NlvizError as error:
            METERS.job("refused")
            self.problem = str(error)
        except Exception:
            logger.exception("a computation in the background failed")
            METERS.job("failed")
            METERS.error()
            self.failed = True
        finally:
            self._work = self._after = None  # they hold what the visitor looked at
        self.done = True
        if self._ended is not None:
            self._ended(self)


class Jobs:
    """One visitor's jobs, of which one runs; their results are kept in the store of all.

    The last few are held here as well: they may be on the page.
    """

    def __init__(self, kept: store.Store | None = None) -> None:
        self._store = kept or store.Store(store.usual())
        self._owner = turns.Visitor()
        self._lock = threading.RLock()
        self._held: OrderedDict[Hashable, Job] = OrderedDict()
        self._stopped: dict[Hashable, Job] = {}
        self._latest: Job | None = None
        self._asked: list[Job] = []
        weakref.finalize(self, self._store.forget, self._owner)

    def ask(self, about: Hashable, key: Hashable, work: Work, *, urgent: bool = False) -> Job:
        """The job of that key: begun if it is new, which stops whatever else runs.

        Args:
            about: what decides the analysis.
            key: tells the jobs of one analysis apart.
            work: called in another thread with a report, which raises where it is to end.
            urgent: the viewer waits for it, so that no tab may put another in its place.
        """
        whole = (self._owner, about, key)
        with self._lock:
            job = self._held.get(whole) or self._stopped.get(whole) or self._store.get(whole)
            if job is None or job.left:
                self.rest()
                keep = self._keeper(whole)
                job = Job(work, after=self._latest, ended=keep, urgent=urgent, owner=self._owner)
                self._latest = job
            self._hold(whole, job)
            self._asked.append(job)
        job.keep_alive()
        return job

    def _keeper(self, whole: Hashable) -> Callable[[Job], None]:
        kept, mine = self._store, weakref.ref(self)

        def keep(job: Job) -> None:
            here = mine()  # held, so that whatever is put is forgotten when the visitor has gone
            if here is not None:
                kept.put(whole, job, (job.result,))

        return keep

    def _hold(self, whole: Hashable, job: Job) -> None:
        self._held[whole] = job
        self._held.move_to_end(whole)
        if job.stopped:
            self._stopped[whole] = job
        while len(self._held) > _HELD:
            key, oldest = self._held.popitem(last=False)
            if oldest.stopped:
                self._stopped[key] = oldest

    @property
    def urgent(self) -> bool:
        """Whether the viewer waits for the job that runs."""
        latest = self._latest
        return latest is not None and latest.urgent and latest.runs

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A drawing of the open tab: what runs and is not asked for in it is left."""
        self._asked = []
        yield
        latest = self._latest
        if latest is not None and not latest.urgent and latest not in self._asked:
            latest.leave()

    def rest(self) -> None:
        """End whatever runs; asking for it again starts it again."""
        if self._latest is not None and not self._latest.stopped:
            self._latest.leave()

    def forget_all(self) -> None:
        """Forget all that is done or runs, for the analysis has better numbers now."""
        with self._lock:
            self.rest()
            self._held.clear()
            self._stopped.clear()
            self._store.forget(self._owner)

    def forget(self, about: Hashable, key: Hashable) -> None:
        """Forget a job, so that asking for it again starts it again."""
        whole = (self._owner, about, key)
        with self._lock:
            self._held.pop(whole, None)
            self._stopped.pop(whole, None)
            self._store.drop(whole)


def current() -> Jobs:
    """This visitor's jobs."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Jobs(store.shared())
    jobs: Jobs = st.session_state[_KEY]
    return jobs
