"""What the command line prints and writes, in a checkout: every command but fetch and app."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.unchanged import files

_FILM, _PICTURE = "assets/clips/ball.mp4", "assets/clips/orchard.jpg"
_QUICK = ("--size", "160", "--frames", "4", "--device", "cpu")
_PLACES = ("--at", "0,200,150", "--region", "0,100,60,300,200")
_BALL = (_FILM, *_PLACES, "--k", "7", *_QUICK)
_ORCHARD = (_PICTURE, "--at", "0,200,150", "--size", "160", "--device", "cpu")

PRINTED = {
    "links --json": ("links", *_BALL, "--json"),
    "links --receptive-field": ("links", *_BALL, "--receptive-field"),
    "links --path --reverse": ("links", *_BALL, "--path", "--reverse", "--json"),
    "links --rank contribution": ("links", *_BALL, "--rank", "contribution", "--json"),
    "links --baseline cosine": ("links", *_BALL, "--baseline", "cosine", "--json"),
    "links of a picture": ("links", *_ORCHARD, "--json"),
    "stats --json": ("stats", *_BALL, "--json"),
    "ablate --json": ("ablate", *_BALL, "--draws", "1", "--json"),
    "track --json": ("track", _FILM, "--region", "0,100,60,300,200", *_QUICK, "--json"),
    "models --json": ("models", "--json"),
}
"""Name → what is typed; what is printed on standard output is compared."""

_STYLED = ("--heat", "row", "--curve", "log", "--colours", "cividis", "--columns", "2")
WRITTEN = {
    "figure.png": ("figure", *_BALL, "--dpi", "150"),
    "figure, heat.png": ("figure", *_BALL, *_STYLED, "--rows", "all", "--dpi", "100"),
    "figure.svg": ("figure", *_BALL, "--heat", "block"),
    "film.mp4": ("film", *_BALL, "--width", "480"),
    "film.gif": ("film", *_BALL, "--width", "320"),
    "film, follow.mp4": ("film", *_BALL, "--follow", "2", "--width", "320"),
    "page.html": ("html", *_BALL),
    "export.npz": ("export", *_BALL),
    "export.safetensors": ("export", *_BALL),
    "export.json": ("export", *_BALL),
    "links.csv": ("export", *_BALL),
    "profile.csv": ("export", *_BALL, "--table", "profile"),
    "blocks.csv": ("export", *_BALL, "--table", "blocks"),
    "session.nlviz": ("export", *_BALL),
}
"""Name of the file → what is typed but for its output; what is in the file is compared."""

SESSION = "session.nlviz"

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Sums in the same order every time, however many cores are free."""


def environment(checkout: Path) -> dict[str, str]:
    """A child's: it finds the checkout's modules first, and leaves nothing there."""
    return {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}


def run(checkout: Path, *words: str) -> str:
    """What a command of Python prints in a checkout; RuntimeError if it fails."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=checkout,
        env=environment(checkout) | ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)} in {checkout}: {ended.stderr[-2000:]}")
    return ended.stdout


def facts(checkout: Path, folder: Path, here: Path) -> Iterator[tuple[str, Any]]:
    """What every command gives; its files lie in ``folder`` afterwards.

    ``here`` is where they are written first, the same path for both checkouts: files hold it.
    """
    for name, words in PRINTED.items():
        yield f"{name}: printed", files.alike(run(checkout, "-m", "nlviz", *words))
    folder.mkdir(exist_ok=True)
    for name, words in WRITTEN.items():
        run(checkout, "-m", "nlviz", *words, "-o", str(here / name))
        (here / name).rename(folder / name)
        for said, value in files.facts(folder / name):
            yield f"{words[0]} {name}: {said}", value


def opened(checkout: Path, session: Path) -> Iterator[tuple[str, Any]]:
    """What a session file that was written by another checkout says in this one."""
    name = "a session of before"
    for command in (("links", "--json"), ("stats", "--json")):
        printed = run(checkout, "-m", "nlviz", command[0], str(session), *command[1:])
        yield f"{name}: {command[0]}", files.alike(printed)
