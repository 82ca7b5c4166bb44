"""The floor plan in numbers: ``python -m benchmarks.house [CHECKOUT …]``, this one by default.

Open modules of ``nlviz/``, floors, files that import each other in a circle (imports for type
checkers count), and the wing that holds the most lines. A wing is a folder or an open module of
``nlviz/``, and ``models/`` where it holds code; it stands one floor above the highest wing that it
imports.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.support.imports import arrows, circles, modules

HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.house")
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE])
    for checkout in parser.parse_args().checkouts:
        print("\n".join(report(checkout)))


def report(checkout: Path) -> list[str]:
    """The numbers of one checkout, a line each."""
    found = modules(checkout, "nlviz", "models")
    faces = {"nlviz", "models"}  # they hand names on, by name
    files = {name: targets - faces for name, targets in arrows(found).items() if name not in faces}
    lines: dict[str, int] = {}
    for name in files:
        wing = wing_of(name)
        lines[wing] = lines.get(wing, 0) + len(found[name].read_text(encoding="utf-8").splitlines())
    wings: dict[str, set[str]] = {wing: set() for wing in lines}
    for name, targets in files.items():
        wings[wing_of(name)] |= {wing_of(target) for target in targets} - {wing_of(name)}
    open_modules = len([p for p in (checkout / "nlviz").glob("*.py") if p.stem[:2] != "__"])
    biggest = max(lines, key=lambda wing: lines[wing])
    return [
        f"open modules in nlviz/: {open_modules}",
        f"wings: {len(wings)}, on {floors(wings)} floors",
        f"files in a circle: {len(circles(files))}",
        f"biggest wing: {biggest}, {lines[biggest] / sum(lines.values()):.0%} of the lines",
    ]


def wing_of(name: str) -> str:
    """``nlviz.ask.rows`` → ``ask``; ``models.zoo`` → ``models``."""
    return "models" if name.startswith("models") else name.split(".")[1]


def floors(wings: dict[str, set[str]]) -> int:
    """How many floors there are; what a circle ties, and all above it, counts as one."""
    left, count = wings, 0
    while left:
        free = {wing for wing, targets in left.items() if not targets & left.keys()}
        left = {wing: left[wing] for wing in left.keys() - free} if free else {}
        count += 1
    return count


if __name__ == "__main__":
    main()
