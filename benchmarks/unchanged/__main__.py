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

Exit status 1 where something differs. What BEFORE gives is kept in the output folder, and --again
takes it from there, so that a mended AFTER is soon compared. With --speed, start, hover and click
are timed instead.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.unchanged import commands, screens, speed
from benchmarks.unchanged.differences import Facts, Line, compare

_LIBRARY = Path(__file__).with_name("library.py")


def library(checkout: Path, folder: Path, before: Facts) -> Facts:
    """What the library says."""
    numbers = folder / "numbers.npz"
    commands.run(checkout, "-P", str(_LIBRARY), str(numbers))
    return _kept(numbers)


def printed_and_written(checkout: Path, folder: Path, before: Facts) -> Facts:
    """What the commands give, and what a session file of before says."""
    written = folder / "files"
    told = dict(commands.facts(checkout, written, here=folder.parent))
    session = folder.parent / "before" / "files" / commands.SESSION
    return told | dict(commands.opened(checkout, session))


def seen(checkout: Path, folder: Path, before: Facts) -> Facts:
    """What a browser shows of the app, and of the page that the commands wrote, if they ran."""
    asked = before.get(f"{screens.IN_THE_BAR}, light")
    html, pictures = folder / "files" / "page.html", folder / "screens"
    with sync_playwright() as playwright:
        browser = screens.launched(playwright)
        told = dict(
            screens.of_app(checkout, browser, pictures, None if asked is None else str(asked))
        )
        if html.is_file():
            told |= dict(screens.of_page(html, browser, pictures))
        browser.close()
    return told


PARTS: dict[str, Callable[[Path, Path, Facts], Facts]] = {
    "library": library,
    "commands": printed_and_written,
    "screens": seen,
}
"""Each takes a checkout, the folder for what it gives, and the facts of before, if any."""


def both(part: str, before: Path, after: Path, out: Path, *, again: bool) -> tuple[Facts, Facts]:
    """The facts of both; those of before as they were kept, if that is asked for."""
    kept = out / "before" / f"{part}.npz"
    if not again or not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **PARTS[part](before, kept.parent, {}))
    told = _kept(kept)
    (out / "after").mkdir(exist_ok=True)
    return told, PARTS[part](after, out / "after", told)


def _kept(file: Path) -> dict[str, Any]:
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _draw_differences(sides: tuple[Facts, Facts], folder: Path) -> None:
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
    parser.add_argument("--again", action="store_true", help="what BEFORE gave the last time")
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
        sides = both(name, *checkouts, out, again=options.again)
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
