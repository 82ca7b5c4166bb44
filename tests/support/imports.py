"""Who imports whom in a checkout, read from the files' own import statements."""

from __future__ import annotations

import ast
from collections.abc import Container
from pathlib import Path


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever it does; those for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = f"{node.module}." if node.level == 0 else "." * node.level
            found |= {f"{start}{alias.name}" for alias in node.names}
    return found


def modules(root: Path, *packages: str) -> dict[str, Path]:
    """Dotted name → file of all modules of some packages."""
    files = sorted(path for package in packages for path in (root / package).rglob("*.py"))
    return {_dotted(path.relative_to(root)): path for path in files}


def arrows(modules: dict[str, Path]) -> dict[str, set[str]]:
    """Module → those of the modules that it imports; a package's face leads to what it hands on."""
    return {
        name: {found for each in imports(path) if (found := _module_of(each, modules))} - {name}
        for name, path in modules.items()
    }


def circles(arrows: dict[str, set[str]]) -> set[str]:
    """Those that import each other in a circle, and those between two circles."""
    left = {name: set(targets) for name, targets in arrows.items()}
    for _ in range(2):
        while free := {name for name, targets in left.items() if not targets & left.keys()}:
            left = {name: targets for name, targets in left.items() if name not in free}
        left = {name: {other for other, on in left.items() if name in on} for name in left}
    return set(left)


def _module_of(name: str, modules: Container[str]) -> str | None:
    """The module that an import leads to: ``pkg.part`` itself, or ``pkg`` where part is a name."""
    parent = name.rpartition(".")[0]
    return name if name in modules else parent if parent in modules else None


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")
