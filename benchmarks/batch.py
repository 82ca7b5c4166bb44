"""How much a batch gains from reading ahead, from a second process, and from two Ray nodes.

`python -m benchmarks.batch [--clips 24] [--size 224] [--rounds 2]`. The bundled films, each many
times with another box of nothing at its end, so that no two are of one content. Every process has
one thread. Clips a second run from the first part that is written to the last, so that starting up
does not count; the median of the rounds, taken in turns. Without Ray, its line is left out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import machine
from nlviz.resources import CLIPS

ROOT = Path(__file__).resolve().parents[1]


def make_clips(folder: Path, count: int) -> None:
    """That many films of different content, which decode alike."""
    films = sorted(CLIPS.glob("*.mp4"))
    for number in range(count):
        box = struct.pack(">I4sI", 12, b"free", number)
        content = films[number % len(films)].read_bytes() + box
        (folder / f"{number:03}.mp4").write_bytes(content)


def run(clips: Path, out: Path, *more: str, size: int, processes: int = 1) -> None:
    """The command, in one or more processes at once."""
    command = [sys.executable, "-m", "nlviz", "batch", str(clips), "-o", str(out)]
    command += ["--size", str(size), "--device", "cpu", "--ask", "grid:3", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        for _ in range(processes)
    ]
    if any(process.wait() for process in started):
        raise RuntimeError("a batch failed")


def pace(out: Path) -> float:
    """Clips a second, from the first part to the last."""
    times = sorted(path.stat().st_mtime for path in (out / "rows").iterdir())
    return (len(times) - 1) / (times[-1] - times[0])


@contextmanager
def two_nodes() -> Iterator[str]:
    """The address of a Ray cluster of two nodes of this machine, a core each."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory() as without:
        # JupyterLab brings it, Ray imports it by way of jsonschema, and it takes seconds.
        (Path(without) / "rfc3987_syntax.py").write_text("raise ImportError\n")
        os.environ["PYTHONPATH"] = os.pathsep.join((without, str(ROOT)))
        os.environ["OMP_NUM_THREADS"] = "1"
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        try:
            cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            yield cluster.address
        finally:
            cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description="A batch, measured.")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(f"{options.clips} clips at {options.size} px; {machine()}; one thread a process")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "clips").mkdir()
        make_clips(home / "clips", options.clips)
        go = partial(run, home / "clips", size=options.size)
        ways: dict[str, Callable[[Path], None]] = {
            "one process": lambda out: go(out, "--readers", "0"),
            "and one that reads ahead": lambda out: go(out, "--readers", "1"),
            "two processes": lambda out: go(out, "--readers", "0", processes=2),
        }
        if find_spec("ray"):

            def on_ray(out: Path) -> None:
                with two_nodes() as address:
                    go(out, "--ray", address)

            ways["two Ray nodes"] = on_ray
        found: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.rounds):
            for name, way in ways.items():
                out = home / f"{name}{number}"
                way(out)
                found[name].append(pace(out))
    alone = statistics.median(found["one process"])
    print(f"{'':26}{'clips/s':>8}{'ratio':>7}")
    for name, paces in found.items():
        middle = statistics.median(paces)
        print(f"{name:26}{middle:8.2f}{middle / alone:7.2f}")


if __name__ == "__main__":
    main()
