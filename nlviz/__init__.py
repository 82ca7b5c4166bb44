"""nlviz: which places in space and time a network weighs most for the pixel you point at.

The library's names and their homes stand in ``__init__.pyi``, once; each loads on first use, so
that ``import nlviz`` stays light.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from nlviz import hosts
from nlviz.version import __version__ as __version__


@cache
def _home_of() -> dict[str, str]:
    """Public name → the module that it stands in."""
    import ast

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.name: node.module
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if not alias.name.startswith("_")
    }


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(_home_of())
    if name.startswith("_") or name not in _home_of():
        raise AttributeError(f"module 'nlviz' has no attribute {name!r}")
    return getattr(import_module(_home_of()[name]), name)


def _show(*arguments: Any) -> Any:
    return import_module("nlviz.notebook").show(*arguments)


hosts.show = _show
