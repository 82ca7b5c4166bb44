"""What an analysis takes where PyTorch's waiting threads sleep, as in the app, or spin.

`python -m benchmarks.busy_cores`. Beside it runs nothing, and then one process for each core that
never rests, as other visitors' work does. Each round is a fresh process of each kind, in turns; it
analyses the first sample twice, and the second counts. Both kinds have a thread for each core.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.measure import machine
from nlviz.app.choice import bundled

ROUNDS = 5
_POLICIES = ("passive", "active")
_ANALYSE = """
import sys, time
import nlviz
network, clip = nlviz.load("nl-lite0"), nlviz.read(sys.argv[1], frames=8)
nlviz.analyse(clip, network)
began, spent = time.perf_counter(), time.process_time()
nlviz.analyse(clip, network)
print(time.perf_counter() - began, time.process_time() - spent)
"""


@contextmanager
def busy(cores: int) -> Iterator[None]:
    """So many processes that never rest."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def main() -> None:
    """Print the medians and their ratio."""
    cores = os.cpu_count() or 1
    print(f"the first sample at its own size, 8 frames; {machine()}")
    for others in (0, cores):
        taken: dict[str, list[list[float]]] = {policy: [] for policy in _POLICIES}
        with busy(others):
            for _ in range(ROUNDS):
                for policy, found in taken.items():
                    found.append(_analysed(policy, cores))
        print(f"{others} busy processes beside it")
        for what, number in (("seconds", 0), ("seconds of the processor", 1)):
            asleep, spinning = (
                statistics.median(each[number] for each in taken[policy]) for policy in _POLICIES
            )
            print(f"  {what}: {asleep:.2f} asleep, {spinning:.2f} spinning; "
                  f"{asleep / spinning:.2f} of them")  # fmt: skip


def _analysed(policy: str, threads: int) -> list[float]:
    said = {"OMP_WAIT_POLICY": policy, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", _ANALYSE, str(bundled()[0].path)]
    done = subprocess.run(
        command, env={**os.environ, **said}, capture_output=True, text=True, check=True
    )
    return [float(each) for each in done.stdout.split()]


if __name__ == "__main__":
    main()
