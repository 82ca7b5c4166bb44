"""What an analysis takes where PyTorch's waiting threads soon sleep, or spin (inference/cores.py).

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
_SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_PATIENCE = 60.0  # seconds of one process
_ANALYSE = """
import sys, time
if sys.argv[2] == "asleep":
    from nlviz.inference import cores
    cores.share()
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
        taken: dict[str, list[list[float]]] = {"asleep": [], "spinning": []}
        with busy(others):
            for _ in range(ROUNDS):
                for how, found in taken.items():
                    found.append(_analysed(how, cores))
        print(f"{others} busy processes beside it")
        for what, number in (("seconds", 0), ("seconds of the processor", 1)):
            asleep, spinning = (
                statistics.median(each[number] for each in found) for found in taken.values()
            )
            print(f"  {what}: {asleep:.2f} asleep, {spinning:.2f} spinning; "
                  f"{asleep / spinning:.2f} of them")  # fmt: skip


def _analysed(how: str, threads: int) -> list[float]:
    """Seconds, and seconds of the processor; ``_PATIENCE`` for both where it takes longer."""
    kept = {name: value for name, value in os.environ.items() if name not in _SAID}
    command = [sys.executable, "-c", _ANALYSE, str(bundled()[0].path), how]
    said = {**kept, "OMP_NUM_THREADS": str(threads)}
    try:
        done = subprocess.run(
            command, env=said, capture_output=True, text=True, check=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return [_PATIENCE, _PATIENCE]
    return [float(each) for each in done.stdout.split()]


if __name__ == "__main__":
    main()
