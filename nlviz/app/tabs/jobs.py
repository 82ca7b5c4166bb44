"""A visitor's long computations, one at a time in the background, and their results."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from nlviz.errors import NlvizError
from nlviz.progress import Progress

logger = logging.getLogger("nlviz")

Work = Callable[[Progress], Any]

PATIENCE = 20.0
"""Seconds without anybody looking after which a computation ends."""

_KEPT = 48
_KEY = "nlviz-jobs"


class _Stopped(Exception):
    """Ends a computation that nobody waits for."""


class Job:
    """One computation; what it says of itself changes while its thread works.

    ``result`` is there when ``done``, unless a sentence in ``problem`` says why not, or ``failed``
    that the fault is ours, or the visitor has ``stopped`` it.
    """

    def __init__(self, work: Work) -> None:
        self.fraction, self.status = 0.0, "Waiting its turn"
        self.result: Any = None
        self.problem: str | None = None
        self.done = self.failed = self.stopped = self.left = False
        self._work = work
        self._seen = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

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
        if time.monotonic() - self._seen > PATIENCE:
            self.left = True
        if self.left or self.stopped:
            raise _Stopped
        self.fraction, self.status = min(max(fraction, 0.0), 1.0), what[:1].upper() + what[1:]

    def _run(self) -> None:
        try:
            self.result = self._work(self._report)
        except _Stopped:
            return
        except NlvizError as error:
            self.problem = str(error)
        except Exception:
            logger.exception("a computation in the background failed")
            self.failed = True
        self.done = True


class Jobs:
    """One visitor's jobs; those of the last analysis only."""

    def __init__(self) -> None:
        self._about: Hashable = None
        self._jobs: dict[Hashable, Job] = {}

    def ask(self, about: Hashable, key: Hashable, work: Work) -> Job:
        """The job of that key: begun if it is new, which stops whatever else runs.

        Args:
            about: what decides the analysis; another one forgets all jobs.
            key: tells the jobs of one analysis apart.
            work: called in another thread with a report, which raises where it is to end.
        """
        if about != self._about:
            self.rest()
            self._about, self._jobs = about, {}
        if key not in self._jobs or self._jobs[key].left:
            self.rest()
            kept = list(self._jobs.items())[-_KEPT:]
            self._jobs = {other: job for other, job in kept if not job.left}
            self._jobs[key] = Job(work)
        job = self._jobs[key]
        job.keep_alive()
        return job

    def rest(self) -> None:
        """End whatever runs; asking for it again starts it again."""
        for job in self._jobs.values():
            job.leave()

    def forget(self, key: Hashable) -> None:
        """Forget a job, so that asking for it again starts it again."""
        self._jobs.pop(key, None)


def current() -> Jobs:
    """This visitor's jobs."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Jobs()
    jobs: Jobs = st.session_state[_KEY]
    return jobs
