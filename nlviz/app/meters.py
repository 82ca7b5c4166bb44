"""What the server counts of itself, as Prometheus reads it; nothing in it tells of a visitor."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

Sample = tuple[str, float]
"""Labels as they are written, such as ``stage="load"`` or nothing, and a number."""


class Meters:
    """Counters that only grow. Their labels are words of ours, never a name of a visitor's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._times: Counter[str] = Counter()
        self._jobs: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._errors = 0

    def stage(self, name: str, seconds: float) -> None:
        """One stage of some work took that long."""
        with self._lock:
            self._seconds[name] += seconds
            self._times[name] += 1

    def turn(self, name: str, waited: float, took: float) -> None:
        """One turn to run a network went to its end."""
        self.stage("wait", waited)
        self.stage(name, took)

    def times(self, name: str) -> int:
        """How often a stage went to its end."""
        with self._lock:
            return self._times[name]

    def job(self, outcome: str) -> None:
        """A job ended: "done", "refused", "failed", "stopped" or "too long"."""
        with self._lock:
            self._jobs[outcome] += 1

    def refused(self, what: str) -> None:
        """Somebody or something was not let in: "visitor", "upload", "analysis"."""
        with self._lock:
            self._refused[what] += 1

    def error(self) -> None:
        """Something unexpected was logged."""
        with self._lock:
            self._errors += 1

    def text(self) -> str:
        """All of them in Prometheus's text format."""
        with self._lock:
            return "".join(
                (
                    _metric(
                        "nlviz_stage_seconds_total",
                        "counter",
                        "Seconds spent in each stage.",
                        _labelled("stage", self._seconds),
                    ),
                    _metric(
                        "nlviz_stage_total",
                        "counter",
                        "How often each stage went to its end.",
                        _labelled("stage", self._times),
                    ),
                    _metric(
                        "nlviz_jobs_total",
                        "counter",
                        "Jobs that ended, by how.",
                        _labelled("outcome", self._jobs),
                    ),
                    _metric(
                        "nlviz_refused_total",
                        "counter",
                        "What was not let in, as the server was full.",
                        _labelled("what", self._refused),
                    ),
                    _metric(
                        "nlviz_errors_total",
                        "counter",
                        "Unexpected errors, each with its traceback in the log.",
                        [("", self._errors)],
                    ),
                )
            )


def gauge(name: str, about: str, samples: Iterable[Sample]) -> str:
    """One number that goes up and down, in Prometheus's text format."""
    return _metric(name, "gauge", about, samples)


def _labelled(label: str, counted: Mapping[str, float]) -> list[Sample]:
    return [(f'{label}="{name}"', number) for name, number in sorted(counted.items())]


def _metric(name: str, kind: str, about: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {about}\n", f"# TYPE {name} {kind}\n"]
    lines += [
        f"{name}{{{labels}}} {number:.10g}\n" if labels else f"{name} {number:.10g}\n"
        for labels, number in samples
    ]
    return "".join(lines)


METERS = Meters()
"""The server's."""
