"""Ten minutes of 1080p in windows: opened, asked and filmed, and the memory that takes.

`python -m benchmarks.long_clip`. A bundled clip is looped to ten minutes of 1920×1080 at 30 frames
a second, H.264 (needs ``ffmpeg``), in a temporary folder. Then the commands themselves run, each in
a process of its own: `links` asks a place in the middle, which runs one window, and `film` draws
the whole clip. Memory is the sum over the process and all its children, looked at 20 times a
second, and what the system says was the most of the process itself; it must stay below 2 GB.
`--stride`, `--size` and `--seconds` choose another part of the work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import av

import nlviz
from benchmarks.measure import machine
from nlviz.resources import CLIPS

RATE = 30
LIMIT = 2e9  # bytes
EVERY = 0.05  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")


def made(path: Path, seconds: int) -> None:
    """A bundled clip in 1080p, encoded once and put behind itself again and again."""
    once = path.with_name(f"once-{path.name}")
    quietly = ["ffmpeg", "-loglevel", "error"]
    how = ["-vf", f"fps={RATE},scale=1920:1080", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    subprocess.run([*quietly, "-i", str(CLIPS / "court.mp4"), *how, str(once)], check=True)
    again = ["-stream_loop", "-1", "-i", str(once), "-t", str(seconds), "-c", "copy", str(path)]
    subprocess.run([*quietly, *again], check=True)


def resident(pid: int) -> int:
    """Bytes of a process and all below it."""
    try:
        held = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = {int(c) for task in tasks for c in (task / "children").read_text().split()}
    except (OSError, ValueError, IndexError):
        return 0  # it has ended meanwhile
    return held + sum(map(resident, children))


def run(arguments: list[str]) -> tuple[float, int, int]:
    """Seconds, and the most bytes of the tree and of the process alone, of one command."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "nlviz", *arguments])
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(EVERY):
            most = max(most, resident(process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    _, status, used = os.wait4(process.pid, 0)
    ended.set()
    watching.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"nlviz {arguments[0]} ended with {process.returncode}.")
    return time.monotonic() - begun, most, used.ru_maxrss << 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="of the clip")
    parser.add_argument("--stride", type=int, default=60, help="every n-th frame is sampled")
    parser.add_argument("--size", type=int, default=640, help="longer side of the input")
    parser.add_argument("--window", type=int, default=8, help="frames of a window")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nlviz-long-") as home:
        folder = Path(home)
        clip, film = folder / "long.mp4", folder / "film.mp4"
        begun = time.monotonic()
        made(clip, options.seconds)
        total = nlviz.probe(clip).total
        size = clip.stat().st_size / 1e6
        print(f"{machine()}\n{total:,} frames of 1920×1080 in {size:,.0f} MB, made in "
              f"{time.monotonic() - begun:.0f} s", flush=True)  # fmt: skip
        middle = total // 2 // options.stride * options.stride
        question = [str(clip), "--at", f"{middle},960,540", "--window", str(options.window)]
        question += ["--stride", str(options.stride), "--size", str(options.size)]
        question += ["--windows-in", str(folder / "windows"), "--yes"]
        for verb, more in (("links", ["--k", "3"]), ("film", ["-o", str(film)])):
            seconds, tree, alone = run([verb, *question, *more])
            print(f"{verb}: {seconds:.0f} s, at most {tree / 1e6:,.0f} MB in all processes, "
                  f"{alone / 1e6:,.0f} MB by the system", flush=True)  # fmt: skip
            if max(tree, alone) > LIMIT:
                sys.exit(f"{verb} took more than {LIMIT / 1e9:g} GB.")
        about = json.loads((folder / "windows" / "long.json").read_text())
        sampled = about["choice of frames"]
        held = sum(each.stat().st_size for each in (folder / "windows").iterdir())
        windows = len(list((folder / "windows").glob("window-*")))
        with av.open(str(film)) as file:
            pictures = file.streams.video[0].frames
        print(f"{len(sampled)} frames sampled, {windows} windows, {held / 1e9:.1f} GB on disk; "
              f"a film of {pictures} pictures, {film.stat().st_size / 1e6:.0f} MB")  # fmt: skip
        if pictures != len(sampled):
            sys.exit("The film does not show every sampled frame.")


if __name__ == "__main__":
    main()
