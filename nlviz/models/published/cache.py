"""Where fetched networks lie on this machine, and which do; nothing here needs torch."""

from __future__ import annotations

import os
from pathlib import Path

from nlviz.models.published.record import Published


def cache(folder: Path | str | None = None) -> Path:
    """The folder of fetched networks: ``folder``, else NLVIZ_CACHE, else ~/.cache/nlviz."""
    if folder is not None:
        return Path(folder)
    if chosen := os.environ.get("NLVIZ_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nlviz"


def kept_file(record: Published, folder: Path | str | None = None) -> Path:
    """The file of a published network's weights under our names, whether it is there or not."""
    return cache(folder) / f"{record.name}.safetensors"


def is_fetched(record: Published, folder: Path | str | None = None) -> bool:
    """Whether a published network is on this machine."""
    return kept_file(record, folder).is_file()
