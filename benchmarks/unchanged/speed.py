"""Start, hover and click of two checkouts, in turn: before, after, before, after.

Each checkout's own benchmark runs in it. A median of medians stands for each number that a
benchmark prints, and their ratio says what became slower.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.unchanged.commands import environment

_BENCHMARKS = ("start", "hover", "click")
_MEDIAN = re.compile(r"\bmedian (\d+(?:\.\d+)?)")
_HOVER = re.compile(r"^(.*?\S) {2,}(\d+\.\d) / (\d+\.\d) +(\d+\.\d) / (\d+\.\d)$")


def medians(name: str, printed: str) -> dict[str, float]:
    """What a benchmark printed: name of each number → its median."""
    found = {}
    for line in printed.splitlines():
        if of_hover := _HOVER.match(line):
            case, drawn, _, painted, _ = of_hover.groups()
            found[f"{name}, {case}, compute + draw, ms"] = float(drawn)
            found[f"{name}, {case}, painted, ms"] = float(painted)
        elif of_other := _MEDIAN.search(line):
            found[f"{name}, {'s' if name == 'start' else 'ms'}"] = float(of_other.group(1))
    return found


def run(checkout: Path, name: str) -> dict[str, float]:
    """The numbers of one run; a benchmark that misses its limit still counts."""
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"],
        cwd=checkout,
        env=environment(checkout),
        capture_output=True,
        text=True,
        check=False,
    )
    found = medians(name, ended.stdout)
    if not found:
        raise RuntimeError(f"benchmarks.{name} in {checkout} printed no median: {ended.stderr}")
    return found


def compare(before: Path, after: Path, rounds: int) -> None:
    """Print the table."""
    print(f"medians of {rounds} runs in turn\n{'':58}{'before':>9}{'after':>9}{'ratio':>8}")
    for name in _BENCHMARKS:
        turns = [(run(before, name), run(after, name)) for _ in range(rounds)]
        for number in turns[0][0]:
            one, two = (statistics.median(turn[side][number] for turn in turns) for side in (0, 1))
            print(f"{number:58}{one:>9.2f}{two:>9.2f}{two / one:>8.3f}", flush=True)
