"""Object stores: what lies at an address, listed and brought here through fsspec."""

from __future__ import annotations

import os
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


def listed_at(address: str, endings: Sequence[str]) -> list[str]:
    """The addresses of the clips at an address: a file, a folder, or a glob.

    Raises:
        BatchError: it cannot be listed, or nothing with one of the endings is there.
    """
    inner = address.partition("::")[2]
    try:
        import fsspec

        store, path = fsspec.core.url_to_fs(address)
        if any(sign in path for sign in "*?["):
            found = sorted(store.glob(path))
        elif store.isdir(path):
            found = sorted(store.find(path))
        else:
            return [address]
    except Exception as error:  # noqa: BLE001 (each store has errors of its own)
        raise BatchError(f"'{address}' cannot be listed ({_said(error)}).") from None
    paths = map(PurePosixPath, found)
    kept = [
        str(each)
        for each in paths
        if each.suffix.lower() in endings and not each.name.startswith(".")
    ]
    if not kept:
        raise BatchError(f"There are no clips at '{address}'; check the address.")
    named = (str(store.unstrip_protocol(each)) for each in kept)
    return [f"{each}::{inner}" if inner else each for each in named]


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
    ending = PurePosixPath(address.partition("::")[0]).suffix
    handle, path = tempfile.mkstemp(suffix=ending, dir=own_folder())
    try:
        with os.fdopen(handle, "wb") as here:
            _copy(address, here)
        yield path
    finally:
        os.unlink(path)


def _copy(address: str, here: Any) -> None:
    try:
        import fsspec

        with fsspec.open(address, "rb") as there:
            shutil.copyfileobj(there, here, 1 << 20)
    except Exception as error:  # noqa: BLE001 (each store has errors of its own)
        raise MediaError(f"'{address}' cannot be read ({_said(error)}).") from None


def _said(error: Exception) -> str:
    first = str(error).strip().partition("\n")[0].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
