"""Published checkpoints on this machine: downloaded or given, checked, converted once and kept."""

from __future__ import annotations

import glob
import hashlib
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from nlviz.errors import FetchError, ZooError
from nlviz.models import checkpoints
from nlviz.models.published.cache import kept_file
from nlviz.models.published.download import ByteProgress, download
from nlviz.models.published.file_lock import alone_with
from nlviz.models.published.record import Published
from nlviz.models.resnet import VideoResNet

_CHECKSUM = "checkpoint"  # what the kept file calls that of the file it was made from
_LEFT = 3600.0  # seconds without a change


def fetch(
    record: Published,
    *,
    source: Path | str | None = None,
    folder: Path | str | None = None,
    progress: ByteProgress | None = None,
) -> Path:
    """The file of a published network's weights under our names; made if it does not exist yet.

    Args:
        record: which one.
        source: its checkpoint, if you have it already; else nlviz downloads it.
        folder: see ``nlviz.models.published.cache``.
        progress: see ``download``.

    Raises:
        FetchError: a download that fails, a full disk, a file with another hash, or a ``source``
            for a network that is here already, which is never overwritten.
        CheckpointError: a file that is not a checkpoint, holds code, or is for another network.
    """
    kept = kept_file(record, folder)
    if kept.is_file() and source is None:
        return kept
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        if source is None:
            _download(record, kept, progress or _silent)
        else:
            _take(record, kept, Path(source))
    except OSError as error:
        raise FetchError(
            f"{kept.parent} cannot be written to ({error.strerror}); free some space, or set "
            "NLVIZ_CACHE to another folder."
        ) from error
    return kept


def _take(record: Published, kept: Path, source: Path) -> None:
    with alone_with(kept):
        if kept.is_file():
            raise FetchError(
                f"{record.name} is on this machine already and is not overwritten; to take "
                f"{source.name} instead, remove {kept} first, or run it alone with --weights."
            )
        _convert(record, source, kept)


def _download(record: Published, kept: Path, progress: ByteProgress) -> None:
    """The network, whoever brings it; others wait while it is converted, never while it comes."""
    file = kept.with_name(record.url.rpartition("/")[2])
    while not kept.is_file():
        if not file.is_file():
            download(record.url, file, progress=progress)
        with alone_with(kept):
            if not kept.is_file() and file.is_file():  # else somebody else was first
                try:
                    _convert(record, file, kept)
                except ZooError:
                    file.unlink(missing_ok=True)  # it would be wrong again
                    raise
            if kept.is_file():
                file.unlink(missing_ok=True)


def module(record: Published, folder: Path | str | None = None) -> VideoResNet:
    """A fetched network; ZooError with how to fetch it if it is not."""
    kept = kept_file(record, folder)
    if not kept.is_file():
        raise ZooError(
            f"Model {record.name!r} is not fetched yet; run: python -m nlviz fetch {record.name}"
        )
    with torch.device("meta"):
        network = VideoResNet(record.plan)
    try:
        network.load_state_dict(load_file(kept), assign=True)
    except (SafetensorError, RuntimeError, OSError) as error:
        raise ZooError(
            f"The fetched weights of {record.name!r} are damaged; remove {kept} and fetch it again."
        ) from error
    return network


def module_from(record: Published, file: Path | str) -> VideoResNet:
    """A network of the same plan with your own weights, and as many classes as they have.

    Raises:
        CheckpointError: a file that is not a checkpoint, holds code, or is for another network.
    """
    weights = checkpoints.read(file)
    _, ours = checkpoints.translate(weights)
    scores = ours.get("classifier.weight")
    plan = record.plan if scores is None else replace(record.plan, classes=len(scores))
    with torch.device("meta"):
        network = VideoResNet(plan)
    checkpoints.fit(weights, network, name=record.name)
    return network


def checksum(record: Published, folder: Path | str | None = None) -> str | None:
    """Of the checkpoint that a fetched network was converted from, as ``"sha256:…"``.

    Networks that an older nlviz kept do not say it: then as much of its hash as is published, as
    ``Published.digest``, or None.
    """
    with safe_open(kept_file(record, folder), "pt") as held:
        said = (held.metadata() or {}).get(_CHECKSUM)
    return said or record.digest or None


def _convert(record: Published, file: Path, kept: Path) -> None:
    """Whole or not at all."""
    weights = checkpoints.read(file)  # first, so that a web page is called one
    found = _checked(record, file)
    with torch.device("meta"):
        network = VideoResNet(record.plan)
    checkpoints.fit(weights, network, name=record.name)
    _remove_left_parts(kept)
    part = kept.with_name(f"{kept.name}.{os.getpid()}.part")
    weights = {key: value.contiguous() for key, value in network.state_dict().items()}
    said = {"model": record.name, "url": record.url, "licence": record.licence, _CHECKSUM: found}
    try:
        save_file(weights, part, metadata=said)
        part.replace(kept)
    except SafetensorError as error:
        raise FetchError(
            f"{kept.parent} cannot be written to ({error}); free some space, or set NLVIZ_CACHE to "
            "another folder."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _remove_left_parts(kept: Path) -> None:
    """What processes that were killed left half written; a living one writes for seconds."""
    for part in kept.parent.glob(f"{glob.escape(kept.name)}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _LEFT:
                part.unlink()


def _checked(record: Published, file: Path) -> str:
    """Its checksum; FetchError where the digits of the hash that are published say another."""
    kind, _, wanted = record.digest.partition(":")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, kind).hexdigest() if kind else ""
    if not found.startswith(wanted):
        raise FetchError(
            f"{file.name} is not the published file: its {kind} begins with {found[:8]} and not "
            f"with {wanted[:8]}; download it again."
        )
    return checkpoints.checksum(file)


def _silent(done: int, total: int | None) -> None:
    """Progress for those who did not ask for any."""
