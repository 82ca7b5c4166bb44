"""Object stores: what lies at an address, listed and brought here through fsspec."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from nlviz.errors import BatchError, MediaError
from nlviz.media.own_folder import own_folder


def is_address(path: str) -> bool:
    """Whether a path is an address, as ``s3://bucket/clip.mp4``, and not one of this machine."""
    return "://" in path or "::" in path


def is_web(address: str) -> bool:
    """Whether an address is a web server's, where ``?`` begins a query and is no sign of a glob."""
    return address.startswith(("http://", "https://"))


def file_name(address: str) -> str:
    """The name of what lies at an address: without its folders, and without a web page's query."""
    return _place(address).rstrip("/").rpartition("/")[2]


def ending_of(address: str) -> str:
    """The ending of a file's name, as ``".mp4"``; ``""`` for none."""
    return PurePosixPath(file_name(address)).suffix.lower()


def beside(address: str, path: str) -> str:
    """The address of a path that counts from the folder of what lies at an address."""
    _, chain, inner = address.partition("::")
    return f"{_place(address).rpartition('/')[0]}/{path}{chain}{inner}"


def _place(address: str) -> str:
    first = address.partition("::")[0]
    return re.split(r"[?#]", first, maxsplit=1)[0] if is_web(first) else first


def listed_at(address: str, endings: Sequence[str]) -> list[str]:
    """The addresses of the clips at an address: a file, a folder, or a glob.

    Raises:
        BatchError: it cannot be listed, or nothing with one of the endings is there.
    """
    inner = address.partition("::")[2]
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(address)
        found = _found(store, path, is_file=ending_of(address) in endings)
    except FileNotFoundError as error:
        why = f" ({_said(error.__cause__)})" if isinstance(error.__cause__, Exception) else ""
        raise BatchError(f"Nothing lies at '{address}'{why}; check the address.") from None
    except ImportError as error:
        raise BatchError(_without_package(address, error)) from None
    except Exception as error:  # noqa: BLE001 (each store has errors of its own)
        raise BatchError(f"'{address}' cannot be listed ({_said(error)}).") from None
    if found is None:
        return [address]
    kept = [
        each
        for each in sorted(found)
        if ending_of(each) in endings and not file_name(each).startswith(".")
    ]
    if not kept:
        raise BatchError(f"There are no clips at '{address}'; check the address.")
    named = (str(store.unstrip_protocol(each)) for each in kept)
    return [f"{each}::{inner}" if inner else each for each in named]


def _found(store: Any, path: str, *, is_file: bool) -> list[str] | None:
    """What matches or lies in a folder, as the store names it; None for a file."""
    signs = "*[" if is_web(path) else "*?["
    if any(sign in path for sign in signs) and not store.isfile(path):
        return list(store.glob(path))
    if not is_file and store.isdir(path):
        return list(store.find(path))
    store.info(path)  # raises where nothing is there
    return None


@contextmanager
def here(path: str) -> Iterator[str]:
    """A path of this machine with what lies at a path or an address; MediaError."""
    if is_address(path):
        with brought(path) as local:
            yield local
    else:
        yield path


@contextmanager
def brought(address: str) -> Iterator[str]:
    """A file of this machine with what lies at an address, for as long as the context lasts.

    Raises:
        MediaError: it cannot be read.
    """
    safe = re.sub(r"[^\w.-]", "_", file_name(address))[-100:] or "file"  # messages call it so
    with tempfile.TemporaryDirectory(dir=own_folder()) as folder:
        path = os.path.join(folder, safe)
        with open(path, "wb") as file:
            _copy(address, file)
        yield path


def _copy(address: str, here: Any) -> None:
    try:
        import fsspec

        with fsspec.open(address, "rb") as there:
            shutil.copyfileobj(there, here, 1 << 20)
    except ImportError as error:
        raise MediaError(_without_package(address, error)) from None
    except Exception as error:  # noqa: BLE001 (each store has errors of its own)
        raise MediaError(f"'{address}' cannot be read ({_said(error)}).") from None


def _without_package(address: str, error: ImportError) -> str:
    return f"'{address}' cannot be read without another package: {_first_line(error)}."


def _said(error: Exception) -> str:
    first = _first_line(error)
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
