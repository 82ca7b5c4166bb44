"""Whether two checkouts of nlviz give the same: `python -m benchmarks.unchanged BEFORE AFTER`.

Each checkout is asked the same, in child processes of this interpreter that run in it and use
nothing but public names, the command line and the app in a browser:

- library: the bundled clips and stills through each bundled network and one of a user's own: θ, φ,
  rows, columns, links, paths, profiles, statistics, receptive fields, tracking, baselines, sizes,
  effects (``library.py``);
- commands: what every command prints, and what is in each file it writes (``commands.py``,
  ``files.py``); a session file of BEFORE is opened by both;
- screens: the app and an exported page as a visitor sees them, light and dark, and each tab
  (``screens.py``); an address of BEFORE is opened by both.

Numbers must be equal, every bit of them, and so must pixels. The word for the program
(`python -m nlviz` may become `nlviz`), its version and dates are made alike first. Pictures of
both, and of where they differ, lie in the output folder, with every difference in a text.

Exit status 1 where something differs. With --speed, start, hover and click are timed instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.unchanged import commands, screens, speed
from benchmarks.unchanged.differences import Facts, Line, compare

_LIBRARY = Path(__file__).with_name("library.py")
Sides = tuple[Facts, Facts]


def library(checkouts: tuple[Path, Path], out: Path) -> Sides:
    """What the library says in each."""
    told = []
    for checkout, folder in _sides(checkouts, out):
        numbers = folder / "library.npz"
        commands.run(checkout, "-P", str(_LIBRARY), str(numbers))
        with np.load(numbers) as arrays:
            told.append({name: arrays[name] for name in arrays.files})
    return told[0], told[1]


def printed_and_written(checkouts: tuple[Path, Path], out: Path) -> Sides:
    """What the commands give in each."""
    told: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as here:
        for checkout, folder in _sides(checkouts, out):
            told.append(dict(commands.facts(checkout, folder / "files", Path(here))))
            session = out / "before" / "files" / commands.SESSION
            told[-1].update(commands.opened(checkout, session))
    return told[0], told[1]


def seen(checkouts: tuple[Path, Path], out: Path) -> Sides:
    """What a browser shows of each, and of the pages that the commands wrote, if they ran."""
    told: list[dict[str, Any]] = []
    with sync_playwright() as playwright:
        browser = screens.launched(playwright)
        for checkout, folder in _sides(checkouts, out):
            asked = told[0][f"{screens.IN_THE_BAR}, light"] if told else None
            pictures = folder / "screens"
            told.append(dict(screens.of_app(checkout, browser, pictures, asked)))
            html = folder / "files" / "page.html"
            if html.is_file():
                told[-1].update(screens.of_page(html, browser, pictures))
        browser.close()
    return told[0], told[1]


PARTS: dict[str, Callable[[tuple[Path, Path], Path], Sides]] = {
    "library": library,
    "commands": printed_and_written,
    "screens": seen,
}


def _sides(checkouts: tuple[Path, Path], out: Path) -> list[tuple[Path, Path]]:
    """Each checkout and the folder of what it gives."""
    folders = (out / "before", out / "after")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return list(zip(checkouts, folders, strict=True))


def _draw_differences(sides: Sides, folder: Path) -> None:
    """A picture of each pair that differs: where, ten times as strong, over a pale first one."""
    before, after = sides
    for name in before.keys() & after.keys():
        one, two = np.asarray(before[name]), np.asarray(after[name])
        if one.dtype != np.uint8 or one.ndim != 3 or one.shape != two.shape:
            continue
        apart = cv2.absdiff(one, two)
        if apart.any():
            pale = 255 - (255 - one.mean(axis=2, keepdims=True)) * 0.15
            strong = np.clip(apart.max(axis=2, keepdims=True) * 10.0, 0, 255) / 255
            drawn = pale * (1 - strong) + np.array([0, 0, 255]) * strong
            word = name.removesuffix(": pixels").replace("/", " ")
            cv2.imwrite(str(folder / f"{word}.png"), drawn.astype(np.uint8))


def main() -> int:
    """Print the table; 1 if something differs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.unchanged", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("before", type=Path, help="a checkout")
    parser.add_argument("after", type=Path, help="another")
    parser.add_argument(
        "--out", type=Path, default=Path("build/unchanged"), help="folder of pictures"
    )
    parser.add_argument("--only", choices=tuple(PARTS), help="one part of it")
    parser.add_argument("--speed", action="store_true", help="time both in turn instead")
    parser.add_argument("--rounds", type=int, default=2, help="of --speed (default: %(default)s)")
    options = parser.parse_args()
    checkouts = (options.before.resolve(), options.after.resolve())
    if options.speed:
        speed.compare(*checkouts, options.rounds)
        return 0
    out = options.out.resolve()
    differences = out / "differences"
    shutil.rmtree(differences, ignore_errors=True)
    differences.mkdir(parents=True)
    lines: list[Line] = []
    for name in [options.only] if options.only else PARTS:
        sides = PARTS[name](checkouts, out)
        for line in compare(*sides):
            print(line, flush=True)
            lines.append(line)
        _draw_differences(sides, differences)
    told = [f"{line.thing}: {each}" for line in lines for each in line.differing]
    (differences / "all.txt").write_text("".join(f"{each}\n" for each in told), encoding="utf-8")
    print(f"{len(told)} differences; pictures and all of them in {out}")
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
