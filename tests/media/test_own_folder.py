"""A process's temporary files go with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MAKE = """
import os, sys, tempfile
tempfile.tempdir = sys.argv[1]
from nlviz.media.own_folder import new_folder
folder = new_folder("windows-")
(folder / "frames.rgb").write_bytes(b"x")
if sys.argv[2] == "kill":
    os.kill(os.getpid(), 9)
if sys.argv[2] == "wait":
    print("here", flush=True)
    sys.stdin.read()
"""


def command(home: Path, what: str) -> list[str]:
    return [sys.executable, "-c", MAKE, str(home), what]


def test_what_a_killed_process_left_goes_with_the_next_and_a_living_one_keeps_its_own(tmp_path):
    lives = subprocess.Popen(
        command(tmp_path, "wait"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with lives:
        assert lives.stdout is not None
        lives.stdout.readline()
        (own,) = tmp_path.iterdir()
        assert subprocess.run(command(tmp_path, "kill")).returncode == -9
        assert len(list(tmp_path.iterdir())) == 2
        stranger = tmp_path / "nlviz-own-of-nobody"
        stranger.mkdir()  # without a lock: nothing tells that its process is dead
        subprocess.run(command(tmp_path, "end"), check=True)
        assert sorted(tmp_path.iterdir()) == sorted([own, stranger])
        assert [path.name for path in own.iterdir() if path.is_dir()]
        lives.communicate()
    assert list(tmp_path.iterdir()) == [stranger]
