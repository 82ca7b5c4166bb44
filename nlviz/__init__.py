"""nlviz: which places in space and time a network weighs most for the pixel you point at.

The library's names and their homes stand in ``__init__.pyi``, once; each loads on first use, so
that ``import nlviz`` stays light.
"""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

from nlviz import hosts
from nlviz.version import __version__ as __version__

_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOME_OF = {
    alias.name: node.module
    for node in _STUB.body
    if isinstance(node, ast.ImportFrom) and node.module
    for alias in node.names
}
__all__ = sorted(name for name in _HOME_OF if not name.startswith("_"))


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nlviz' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def _show(*arguments: Any) -> Any:
    return import_module("nlviz.notebook").show(*arguments)


hosts.show = _show
