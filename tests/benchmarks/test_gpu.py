"""The one command for a GPU: what it runs, when it stops, and what it says without one."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

TESTS = Path(__file__).resolve().parents[1]


def test_without_a_gpu_it_says_so_and_fails(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main() == 1
    assert "sees no CUDA GPU on this machine" in capsys.readouterr().err


def test_every_test_that_needs_a_gpu_is_in_a_file_that_it_runs():
    using = re.compile(r"mark\.gpu\b|\bdef test_\w+\([^)]*\bdevice\b")
    found = {
        str(path.relative_to(gpu.ROOT))
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__) and using.search(path.read_text(encoding="utf-8"))
    }
    assert found
    assert found == set(gpu.steps()["tests"]) - {"pytest", "-q", "-m", "gpu"}


def test_a_step_that_takes_too_long_is_ended_with_what_it_started(tmp_path, monkeypatch):
    (tmp_path / "lasting.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, file=open('child', 'w'), flush=True)\n"
        "child.wait()\n"
    )
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    assert gpu.run(["lasting"], 5) == "failed: it was ended after 5 s"
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _runs(child):
            return
        time.sleep(0.05)
    os.kill(child, 9)
    pytest.fail("the child outlived its step")


def _runs(process: int) -> bool:
    """Whether a process is there and has not ended; Linux."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_tells_how_each_step_ended(tmp_path, monkeypatch):
    for code in (0, 3):
        (tmp_path / f"ends{code}.py").write_text(f"raise SystemExit({code})")
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    assert re.fullmatch(r"passed in \d+ s", gpu.run(["ends0"], 60))
    assert re.fullmatch(r"failed with 3 after \d+ s", gpu.run(["ends3"], 60))
    assert gpu.run(["ends0"], 0) == "left out: no time is left"
    monkeypatch.setattr(gpu, "lacking", lambda module: "a Chromium")
    assert gpu.run(["ends0"], 60) == "left out: this machine lacks a Chromium"
