"""FILE.py:FUNCTION as a network: that function is run, and nothing else of the file's."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlviz.errors import NetworkError
from nlviz.inference.checkpoint_into import load_into
from nlviz.inference.own_modules import keep_own_modules, own_modules
from nlviz.inference.to_device import move
from nlviz.inference.tracebacks import is_users, sentence, user_traceback
from nlviz.inference.user_network import Input, UserNetwork


def load_user_network(
    name: str, *, weights: str | Path | None = None, device: str = "auto"
) -> UserNetwork:
    """Run FUNCTION of FILE.py, and nothing else, and take the module that it returns.

    FUNCTION returns a module, or a module and its ``Input`` (or a mapping of its fields), or as a
    third also ``UserNetwork``'s ``blocks``: which children of its blocks are θ, φ, g and W. The
    file may import what lies beside it, as for ``python FILE.py``, and so may the module in its
    forward pass. It runs with all the rights of who starts nlviz: name your own.

    Args:
        name: ``FILE.py:FUNCTION``, as in ``net.py:build``.
        weights: a checkpoint of the module, safetensors or PyTorch, that is loaded into it; what
            is in it cannot run.
        device: where to put the module: "cuda", "mps", "cpu", or "auto" for the first available.

    Raises:
        NetworkError: no such file or function, one that raises (with its traceback), something
            other than a module, weights of another network, a device that is not available.
    """
    file, _, function = name.rpartition(":")
    if not file.endswith(".py"):
        raise NetworkError(f"{name!r} does not say which function; give FILE.py:FUNCTION.")
    path = Path(file).resolve()
    if not path.is_file():
        raise NetworkError(f"The file {file!r} does not exist; give FILE.py:FUNCTION.")
    build = function_of(path, function)
    with running(path, f"{function}()"):
        built = build()
    several = isinstance(built, tuple) and len(built) in (2, 3)
    module, said, blocks = (*built, {})[:3] if several else (built, None, {})
    from torch import nn

    if not isinstance(module, nn.Module):
        raise NetworkError(
            f"{function}() in {path.name} returned a {type(module).__name__}; return a "
            "torch.nn.Module, or one and its input's record."
        )
    if not (said is None or isinstance(said, (Input, Mapping))):
        raise NetworkError(
            f"{function}() in {path.name} returned a module and a {type(said).__name__}; the "
            "second must be an nlviz.Input or a mapping of its fields."
        )
    called = f"{path.name}:{function}"
    network = UserNetwork(module, Input.of(said), called, path=str(path), blocks=blocks)
    if weights is not None:
        network = replace(network, weights=load_into(module, weights))
    move(module, device)
    keep_own_modules(module, str(path.parent))
    return network


def function_of(path: Path, name: str) -> Callable[..., Any]:
    """The function of a file, which is run for it; NetworkError where that fails or has none."""
    called = f"nlviz_user_{path.stem}_{zlib.crc32(bytes(path)):08x}"  # two may be net.py
    spec = importlib.util.spec_from_file_location(called, path)
    if spec is None or spec.loader is None:
        raise NetworkError(f"{path.name} is not a Python file; give FILE.py:FUNCTION.")
    namespace = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = namespace  # dataclasses and pickles look themselves up there
    with running(path, "it"):
        spec.loader.exec_module(namespace)
    build = getattr(namespace, name, None)
    if not callable(build):
        there = [key for key, value in vars(namespace).items() if _is_own(value, spec.name)]
        raise NetworkError(
            f"{path.name} has no function {name!r}; "
            + (f"it has {', '.join(there)}." if there else "it has none.")
        )
    made: Callable[..., Any] = build
    return made


def _is_own(value: Any, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module


@contextmanager
def running(path: Path, what: str) -> Iterator[None]:
    """The user's own code, with its folder's modules; what it raises is reported as its own."""
    try:
        with own_modules(str(path.parent)):
            yield
    except NetworkError:
        raise
    except (Exception, SystemExit) as error:
        if not is_users(error):
            raise
        wanted = (getattr(error, "name", None) or "").partition(".")
        if isinstance(error, ModuleNotFoundError) and wanted[1] and wanted[0] == path.stem:
            raise NetworkError(
                f"{path.name} hides the folder {path.stem!r} beside it from import; give the file "
                "another name, or the folder an __init__.py."
            ) from error
        lines = user_traceback(error, str(path))
        raise NetworkError(
            f"{path.name} could not be used: {what} raised {type(error).__name__}: "
            f"{sentence(error, str(path))}." + (f"\n{lines}" if lines else "")
        ) from error
