"""Clips are read a few at a time, and once: what was read is kept for all, by its content."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st

from nlviz.app import sharing, store
from nlviz.app.choice import ClipPart, Material
from nlviz.app.meters import METERS
from nlviz.app.sidebar import timeline
from nlviz.app.turns import counted_wait
from nlviz.clip import Clip
from nlviz.media.reel import Reel, look_through
from nlviz.media.sampling import Sampling
from nlviz.progress import Progress

_AT_ONCE = 2  # each may need two gigabytes
_PATIENCE = 0.1  # seconds between two checks whether it is still wanted


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A material that was looked through.

    Args:
        reel: its size, length and frames.
        pictures: a few of them for the timeline, as data addresses.
    """

    reel: Reel
    pictures: tuple[str, ...]


def opened(material: Material) -> Opened | None:
    """What is known of a material, whoever gave it; None where nobody has looked yet."""
    found: Opened | None = store.shared().get(_key(material))
    return None if found is None else _called(found, material)


def _called(found: Opened, material: Material) -> Opened:
    """Whoever looked first keeps the file's name for themselves."""
    info = replace(found.reel.info, name=material.name)
    return replace(found, reel=replace(found.reel, info=info))


def look(material: Material, progress: Progress) -> Opened:
    """Look through a material, once for all; MediaError where it cannot be read.

    Most visitors then ask for the frames that it starts with, so these are kept as well.
    """
    work = partial(_look, material)
    found: Opened = sharing.shared().once(_key(material), work, progress, errors=material.is_public)
    return _called(found, material)


def _look(material: Material, progress: Progress) -> Opened:
    with a_turn(progress) as told:
        if (known := opened(material)) is not None:  # somebody else looked meanwhile
            return known
        usual = ClipPart()
        sampling = Sampling(usual.frames, usual.stride, usual.start)
        with material.open() as source:
            reel, clip = look_through(source, sampling, material.name, told)
        shown = Sampling(timeline.COUNT).indices(len(clip.frames), material.name)
        found = Opened(reel, tuple(timeline.thumbnail(clip.frames[i]) for i in shown))
        store.shared().put(_key(material), found)
        # A shorter clip is asked for by the frames that it has, and there is nothing to note then.
        part = replace(usual, frames=min(usual.frames, reel.info.total))
        short = sampling.notes(reel.info.total)
        notes = tuple(note for note in clip.notes if note not in short)
        store.shared().put(_key(material, part), replace(clip, notes=notes))
    return found


def clip_of(material: Material, part: ClipPart, progress: Progress) -> Clip:
    """A part of a material, decoded where it is not kept; MediaError where it cannot be read."""
    if (kept := _kept(material, part)) is not None:
        return kept
    work = partial(_read, material, part)
    clip: Clip = sharing.shared().once(
        _key(material, part), work, progress, errors=material.is_public
    )
    return replace(clip, name=material.name)


def _read(material: Material, part: ClipPart, progress: Progress) -> Clip:
    with a_turn(progress) as told:
        if (kept := _kept(material, part)) is not None:
            return kept
        sampling = Sampling(part.frames, part.stride, part.start)
        known = opened(material)
        with material.open() as source:
            if known is None:
                _, clip = look_through(source, sampling, material.name, told)
            else:
                clip = known.reel.read(source, sampling, told)
        store.shared().put(_key(material, part), clip)
    return clip


def is_kept(material: Material, part: ClipPart) -> bool:
    """Whether a clip need not be decoded again."""
    return _kept(material, part) is not None


def _kept(material: Material, part: ClipPart) -> Clip | None:
    clip: Clip | None = store.shared().get(_key(material, part))
    return None if clip is None else replace(clip, name=material.name)


def _key(material: Material, part: ClipPart | None = None) -> Hashable:
    return "clip", material.content, part


@contextmanager
def a_turn(progress: Progress) -> Iterator[Progress]:
    """Hold this to read what takes memory; it gives the progress that says so meanwhile."""
    turns = _turns()
    with counted_wait() as goes_on:
        while not turns.acquire(timeout=_PATIENCE):
            goes_on()
            progress(0.0, "Waiting for other files to be read")
    began = time.monotonic()
    try:
        yield progress
        METERS.stage("read", time.monotonic() - began)
    finally:
        turns.release()


@st.cache_resource(show_spinner=False)
def _turns() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(_AT_ONCE)
