"""How time and memory are measured: interleaved medians, and peaks of fresh processes."""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def machine() -> str:
    """One line on what this was measured on."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores{gpu}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    )


def finished(device: str) -> None:
    """Return once a GPU has done what it was given: its work does not wait to be looked at."""
    if device == "cuda":
        torch.cuda.synchronize()


def medians(
    *actions: Callable[[], Any], rounds: int = 7, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median seconds of each action, taken in turns so that a noisy minute hits all of them.

    With ``time.process_time`` as its clock they are the processor's: what else runs adds nothing.
    """
    times: list[list[float]] = [[] for _ in actions]
    for action in actions:
        action()  # warm-up
    for _ in range(rounds):
        for action, spent in zip(actions, times, strict=True):
            start = clock()
            action()
            spent.append(clock() - start)
    return [statistics.median(spent) for spent in times]


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own: its peak memory owes nothing to others."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def gpu_peak_rise(action: Callable[[], Any]) -> float:
    """MiB by which the peak of what tensors hold on the GPU rises while an action runs."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = action()
    rise = (torch.cuda.max_memory_allocated() - before) / 2**20
    del kept
    return rise


def peak_rise(action: Callable[[], Any]) -> float:
    """MiB by which peak resident memory rises above the present while an action runs; Linux."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now the present
    before = _peak()
    kept = action()
    rise = _peak() - before
    del kept
    return rise


def _peak() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
