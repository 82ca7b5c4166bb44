"""Networks by name in the app: which of them a visitor may load, and the owner's last ones."""

from __future__ import annotations

import json
from contextlib import suppress

import streamlit as st

from nlviz.app import startup
from nlviz.display import printable
from nlviz.inference.by_name import kept
from nlviz.inference.by_name.spec import is_by_name
from nlviz.models.published.cache import cache

LONGEST = 300
"""Signs of a spec, at most."""

_FILE = "last-models.json"
_LAST = 8
_SECONDS = 30  # for which the look into the caches holds


def may_type() -> bool:
    """Whether a visitor may name any network: only where nobody but the owner can open the app."""
    return startup.is_own_machine() and startup.models() is None and not startup.is_demo()


def offered() -> tuple[str, ...]:
    """What the field offers: what the owner listed, else the last ones and the local caches."""
    if startup.models() is not None:
        return startup.listed_by_name()
    if startup.is_demo():
        return ()
    return tuple(dict.fromkeys((*(last() if may_type() else ()), *_in_caches(startup.trusted()))))


def may_load(spec: str) -> bool:
    """Whether this server loads that network for a visitor."""
    return is_by_name(spec) and (may_type() or spec in offered())


def may_download() -> bool:
    """Whether what is not in the caches may be brought: by the owner alone."""
    return may_type()


def last() -> tuple[str, ...]:
    """The networks that the owner loaded last, the newest first."""
    try:
        said = json.loads((cache() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    several = said if isinstance(said, list) else []
    specs = (printable(each, LONGEST) for each in several if isinstance(each, str))
    return tuple(spec for spec in specs if is_by_name(spec))[:_LAST]


def remember(spec: str) -> None:
    """Put it before the others; where that cannot be written, it is forgotten."""
    if not may_type():
        return
    specs = list(dict.fromkeys((spec, *last())))[:_LAST]
    with suppress(OSError):
        cache().mkdir(parents=True, exist_ok=True)
        (cache() / _FILE).write_text(json.dumps(specs), encoding="utf-8")


@st.cache_data(ttl=_SECONDS, show_spinner=False)
def _in_caches(trusted: tuple[str, ...]) -> tuple[str, ...]:
    hub = (f"hf:{name}" for name in kept.kept_repositories())
    folders = ((name, kept.torch_folder(name)) for name in trusted)
    entries = (
        f"torchhub:{name}:{entry}"
        for name, folder in folders
        if folder is not None
        for entry in kept.entries_of(folder)
    )
    return (*hub, *entries)
