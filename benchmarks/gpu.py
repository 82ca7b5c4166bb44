"""All that needs a GPU, tests and benchmarks, in at most ten minutes: ``python -m benchmarks.gpu``.

The tests are those of every file called ``test_devices.py``. A step for which this machine lacks a
program, or for which no time is left, is left out and says so; every other step must succeed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.measure import machine

BUDGET = 600.0  # seconds
ROOT = Path(__file__).resolve().parents[1]


def steps() -> dict[str, tuple[str, ...]]:
    """Modules to run and their arguments, by what they are."""
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_devices.py"))
    capture = ("--device", "cuda", "--frames", "8", "32", "--rounds", "5")
    return {
        "tests": ("pytest", "-q", "-m", "gpu", *map(str, files)),
        "analyse against the bare pass": ("benchmarks.capture", *capture),
        "clicks in the app": ("benchmarks.click", "--clicks", "10"),
    }


def lacking(module: str) -> str | None:
    """What a step needs and this machine does not have; None where all is there."""
    if module != "benchmarks.click":
        return None
    if find_spec("playwright") is None:
        return "Playwright"
    from tests.support.setup_programs import has_browser

    return None if has_browser() else "a Chromium"


def run(step: Sequence[str], seconds: float) -> str:
    """One step in a process of its own, ended with all that it started after so many seconds.

    Says in a few words how it ended.
    """
    if seconds <= 0:
        return "left out: no time is left"
    if (missing := lacking(step[0])) is not None:
        return f"left out: this machine lacks {missing}"
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *step], cwd=ROOT, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"failed: it was ended after {seconds:.0f} s"
    took = time.monotonic() - begun
    return f"passed in {took:.0f} s" if code == 0 else f"failed with {code} after {took:.0f} s"


def main() -> int:
    """Run each step and print how it ended; 1 without a GPU or if one failed."""
    if not torch.cuda.is_available():
        why = f"torch {torch.__version__} sees no CUDA GPU on this machine"
        print(f"{why}; run this on one that has a GPU and CUDA's torch.", file=sys.stderr)
        return 1
    print(machine(), flush=True)
    end = time.monotonic() + BUDGET
    told = {}
    for name, step in steps().items():
        print(f"\n## {name}: python -m {' '.join(step)}", flush=True)
        told[name] = run(step, end - time.monotonic())
    print("", *(f"{name}: {words}" for name, words in told.items()), sep="\n")
    return int(any(words.startswith("failed") for words in told.values()))


if __name__ == "__main__":
    sys.exit(main())
