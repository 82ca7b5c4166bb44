"""The libraries that networks by name come from: imported when asked for, or told how to get."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nlviz.errors import NetworkError

_EXTRA = 'pip install "nlviz[hub]"'


def timm() -> Any:
    """The package timm; NetworkError where it, or a torchvision that fits torch, is missing."""
    return _imported("timm")


@contextmanager
def transformers() -> Iterator[Any]:
    """The package transformers, of which each part is imported only once it is named.

    A torchvision that does not go with the torch at hand breaks the import of every network; what
    is named in here does without it.

    Raises:
        NetworkError: it, or something that one of its parts needs, is missing.
    """
    with _without_broken_torchvision():
        package = _imported("transformers")
        try:
            with _quiet(package):
                yield package
        except (ImportError, RuntimeError) as error:
            if "torchvision" in _causes(error):
                raise _torchvision(error) from error
            if isinstance(error, ImportError):
                raise NetworkError(
                    f"transformers needs more here: {_first_line(error)}."
                ) from error
            raise


@contextmanager
def _quiet(package: Any) -> Iterator[None]:
    """Without the bars and lists that it prints while it loads; nlviz says what matters of them."""
    logging = package.utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def huggingface_hub() -> Any:
    """The package huggingface_hub; NetworkError where it is missing."""
    hub = _imported("huggingface_hub")
    importlib.import_module("huggingface_hub.errors")  # the package's attribute from then on
    return hub


def version(package: str) -> str:
    """The version of an installed package."""
    return importlib.metadata.version(package)


def is_installed(package: str) -> bool:
    """Whether a package can be found, without importing it."""
    try:
        return sys.modules.get(package) is not None or bool(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return False


def _imported(package: str) -> Any:
    if not is_installed(package):
        raise NetworkError(f"{package} is not installed; {_EXTRA} brings it.")
    try:
        return importlib.import_module(package)
    except Exception as error:
        if "torchvision" in _causes(error):
            raise _torchvision(error) from error
        raise NetworkError(
            f"{package} {version(package)} cannot be imported ({_first_line(error)}); "
            f"{_EXTRA} brings versions that go together."
        ) from error


def _torchvision(error: BaseException) -> NetworkError:
    torch = version("torch")
    if not is_installed("torchvision"):
        return NetworkError(
            f"This network needs torchvision, which is not installed; {_EXTRA} brings the one that "
            f"goes with torch {torch}."
        )
    where = "https://download.pytorch.org/whl/" + (torch.partition("+")[2] or "cpu")
    return NetworkError(
        f"torchvision {version('torchvision')} does not go with torch {torch} "
        f"({_first_line(error)}); install the two from one place, for example: pip install "
        f"--force-reinstall torch torchvision --index-url {where}"
    )


def _torchvision_is_broken() -> bool:
    if not is_installed("torchvision"):
        return False
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        if isinstance(error, (MemoryError, RecursionError)):
            raise
        return True
    return False


@contextmanager
def _without_broken_torchvision() -> Iterator[None]:
    """``import torchvision`` says in here that there is none where it would fail anyway."""
    if not _torchvision_is_broken():
        yield
        return
    held = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_of(name)}
    sys.modules["torchvision"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torchvision"]
        sys.modules.update(held)


def _is_of(module: str) -> bool:
    return module.partition(".")[0] == "torchvision"


def _causes(error: BaseException | None) -> str:
    """The words of an error and of those that it came from."""
    words: list[str] = []
    while error is not None and len(words) < 10:
        words.append(f"{getattr(error, 'name', '')} {error}")
        error = error.__cause__ or error.__context__
    return "\n".join(words)


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
