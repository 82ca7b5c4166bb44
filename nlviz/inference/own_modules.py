"""The user's own modules: found beside their file, whatever else is called the same.

``models``, ``utils``, ``training`` and ``tests`` are what half of all research code calls its
packages. While code of a user's folder runs, these names mean what lies in that folder, as they do
for ``python FILE.py``: not what lies where nlviz was started, in nlviz's own clone, or in the
folder of another network in the same process.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

from nlviz.resources import HOME

if TYPE_CHECKING:
    from torch import nn

_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@contextmanager
def own_modules(folder: str) -> Iterator[None]:
    """While this runs, ``import`` looks in a folder first, and finds no other network's modules."""
    _enter(folder)
    try:
        yield
    finally:
        _leave(folder)


def keep_own_modules(module: nn.Module, folder: str) -> None:
    """Let a module find its folder's modules whenever nlviz runs it: it may import late."""
    from nlviz.hooks.capture import surroundings

    surroundings[module] = partial(own_modules, folder)


@dataclass(slots=True, eq=False)
class _Project:
    """One folder of a user's.

    Args:
        folder: where their file lies.
        added: what their code put on the path itself.
        modules: what was imported from these folders.
        displaced: what bore the same names before, while code of this folder runs.
        path: the path as it was before.
    """

    folder: str
    added: list[str] = field(default_factory=list)
    modules: dict[str, Any] = field(default_factory=dict)
    displaced: dict[str, Any] = field(default_factory=dict)
    path: list[str] = field(default_factory=list)

    def enter(self, others: Sequence[_Project]) -> None:
        here = os.getcwd()
        elsewhere = {here, str(HOME)} - {self.folder}
        foreign = {id(module) for other in others for module in other.modules.values()}
        offered = self._offered()
        for name, module in list(sys.modules.items()):
            top = name.partition(".")[0]
            if self._owns(name, module):
                continue
            shadows = top in offered and not _stays(top, module)
            if shadows and not offered[top]:  # a bare folder yields to an installed package
                shadows = os.path.dirname(_place(top, sys.modules.get(top))) in elsewhere
            if shadows or id(module) in foreign:
                self.displaced[name] = sys.modules.pop(name)
        for name, module in self.modules.items():
            sys.modules.setdefault(name, module)
        self.path = list(sys.path)
        rest = [each for each in sys.path if os.path.abspath(each) not in elsewhere]
        sys.path[:] = [self.folder, *self.added, *rest]
        _last_resort.path = [here] if len(rest) < len(self.path) and here != str(HOME) else []

    def leave(self) -> None:
        usual = {self.folder, *self.path}
        self.added = [each for each in sys.path if each not in usual]
        self.modules |= {n: m for n, m in list(sys.modules.items()) if self._owns(n, m)}
        names = {name.partition(".")[0] for name in self.displaced}
        for name in self.modules:
            if name.partition(".")[0] in names:
                sys.modules.pop(name, None)
        sys.modules.update(self.displaced)
        self.displaced = {}
        sys.path[:] = self.path
        _last_resort.path = []

    def _offered(self) -> dict[str, bool]:
        """The names that these folders offer, and whether as a file or a package with a file."""
        found: dict[str, bool] = {}
        for folder in (self.folder, *self.added):
            for each in os.scandir(folder) if os.path.isdir(folder) else ():
                name = each.name.partition(".")[0]
                if each.name.endswith((".py", ".so", ".pyd")):
                    found[name] = True
                elif each.is_dir():
                    whole = os.path.isfile(os.path.join(each.path, "__init__.py"))
                    found[name] = found.get(name, False) or whole
        return found

    def _owns(self, name: str, module: Any) -> bool:
        if self.modules.get(name) is module:
            return True
        place = _place(name.partition(".")[0], module)
        inside = (os.path.join(each, "") for each in (self.folder, *self.added))
        return place.startswith(tuple(inside)) and not place.startswith(_INSTALLED)


def _place(top: str, module: Any) -> str:
    """The file of a module; for one without, the first folder that it was found in."""
    known = getattr(module, "__dict__", {})
    file = known.get("__file__")
    if isinstance(file, str):
        whole = os.path.basename(file) == "__init__.py" and known.get("__name__") == top
        return os.path.dirname(file) if whole else file
    try:
        return str(next(iter(known.get("__path__") or ()), ""))
    except (KeyError, TypeError):  # a bare folder whose parent was displaced
        return ""


def _stays(top: str, module: Any) -> bool:
    """Whether a module is Python's, an installed package's or ours, on which all of this runs."""
    # What a package's compiled part holds has no file of its own, as torch._C._dynamo.
    place = _place(top, module) or _place(top, sys.modules.get(top))
    return top == "nlviz" or top in sys.stdlib_module_names or place.startswith(_INSTALLED)


class _LastResort:
    """Finds what is nowhere else in the folder where nlviz was started."""

    path: Sequence[str] = ()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As importlib asks of a finder."""
        return PathFinder.find_spec(name, self.path) if self.path and path is None else None


_last_resort = _LastResort()
_lock = threading.RLock()
_projects: dict[str, _Project] = {}
_running: list[_Project] = []  # the last is the one whose names are in force


def _enter(folder: str) -> None:
    with _lock:
        if _last_resort not in sys.meta_path:
            sys.meta_path.append(_last_resort)
        project = _projects.setdefault(folder, _Project(folder))
        _running.append(project)
        _put_in_force(project, instead_of=_running[-2] if len(_running) > 1 else None)


def _leave(folder: str) -> None:
    with _lock:
        before = _running[-1]
        place = max(i for i, each in enumerate(_running) if each.folder == folder)
        del _running[place]
        _put_in_force(_running[-1] if _running else None, instead_of=before)


def _put_in_force(project: _Project | None, instead_of: _Project | None) -> None:
    if project is instead_of:
        return
    if instead_of is not None:
        instead_of.leave()
    if project is not None:
        project.enter([each for each in _projects.values() if each is not project])
