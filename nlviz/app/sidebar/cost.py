"""What a choice costs: a sentence under the sliders, and a question before what takes long."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from nlviz.app import paces, torch_loading
from nlviz.app.choice import Choice
from nlviz.app.guard import safely
from nlviz.app.kept import find
from nlviz.app.loading import wait
from nlviz.app.markdown import plain
from nlviz.app.running import kind_of, loaded, one_at_a_time
from nlviz.app.tabs import jobs
from nlviz.app.tabs.progress import tell
from nlviz.app.visit import Visit
from nlviz.display import bytes_in_words, seconds_in_words
from nlviz.media import MediaInfo
from nlviz.models import zoo
from nlviz.models.input_size import fitted
from nlviz.progress import Progress

if TYPE_CHECKING:
    from nlviz.inference.pace import Pace

LONG = 120.0
"""Seconds above which the visitor is asked first."""

_LARGE = 4  # times what a network is usually given: a choice above it is measured before
_USUAL = 8 * 640 * 360  # pixels of all frames together
_PROBE = "pace"


def agreed(visit: Visit, choice: Choice, place: DeltaGenerator) -> bool:
    """Say what a choice costs; whether it may run: it is quick, is there, or the visitor said so.

    A large one whose network was not measured here is measured first, in the background; ``place``
    on the page says so meanwhile.
    """
    if choice.asked is not None:  # the pass itself tells what it holds, and refuses too much
        return True
    info = visit.infos[choice.material.id]
    size = info.width, info.height
    there = (visit.shown is not None and visit.shown.choice == choice) or find(choice) is not None
    pace = paces.find(choice, size)
    if pace is None and not there and choice not in visit.agreed and _is_large(choice, info):
        if not _measured(visit, choice, place):
            return False
        pace = paces.find(choice, size)
    frames = choice.part.frames
    positions = _positions(visit, choice, info)
    if positions is None and pace is not None:
        positions = pace.positions_of(frames)
    st.caption(plain(_sentence(positions, frames, info, pace)))
    if there or choice in visit.agreed or pace is None:
        return True
    why = _question(frames, info, pace)
    if not why:
        return True
    st.warning(plain(why))
    st.button("Run it", key="run-it", on_click=safely(visit.agreed.add), args=(choice,))
    return False


def _sentence(positions: int | None, frames: int, info: MediaInfo, pace: Pace | None) -> str:
    """Positions, memory and seconds, as far as they are known."""
    said = [f"{positions:,} positions in the largest block"] if positions else []
    if pace is None:
        said += ["how long it takes here, the first run measures"]
        return f"{'; '.join(said).capitalize()}."
    memory = bytes_in_words(_memory(frames, info, pace))
    said += [f"about {memory} of memory", f"about {seconds_in_words(pace.seconds_of(frames))}"]
    return "; ".join(said) + " here (measured)."


def _question(frames: int, info: MediaInfo, pace: Pace) -> str:
    """Why the visitor should be asked, and what to lower; empty where nobody need be."""
    from nlviz.inference.pace import free_now

    seconds, memory = pace.seconds_of(frames), _memory(frames, info, pace)
    free = free_now()
    reasons = [f"takes about {seconds_in_words(seconds)}"] if seconds > LONG else []
    if free is not None and memory > free:
        needed = bytes_in_words(memory)
        reasons.append(f"needs {needed} of memory, where {bytes_in_words(free)} is free")
    if not reasons:
        return ""
    return f"This {' and '.join(reasons)}. Fewer frames or a smaller input size make it less."


def _memory(frames: int, info: MediaInfo, pace: Pace) -> int:
    """Bytes beside the network's weights: its tensors and the frames."""
    return pace.memory_of(frames) + frames * info.width * info.height * 3


def _positions(visit: Visit, choice: Choice, info: MediaInfo) -> int | None:
    """Queries of the block that has the most of them; None where that is not known before a run.

    By the analysis on screen where that is of the same network and size, else by the network's own
    record, which needs torch: the first page does not wait for that.
    """
    shown, frames = visit.shown, choice.part.frames
    if shown is not None and replace(shown.choice, part=choice.part) == choice:
        analysis = shown.analysis
        most = max(each.query_grid.size for each in analysis.affinities.values())
        return round(most * frames / len(analysis.clip.frames))
    if choice.model not in zoo.names() or not torch_loading.is_loaded():
        return None
    width, height = fitted(info.width, info.height, choice.size, zoo.side(choice.model))
    sizes = []
    for tap in zoo.record(choice.model).taps.values():
        t, down, right = tap.stride
        steps = max(round(frames / t), 1)
        sizes.append(steps * round(height / down) * round(width / right))
    return max(sizes, default=None)


def _is_large(choice: Choice, info: MediaInfo) -> bool:
    share = min(info.width, info.height) / max(info.width, info.height)
    return choice.part.frames * choice.size**2 * share > _LARGE * _USUAL


def _measured(visit: Visit, choice: Choice, place: DeltaGenerator) -> bool:
    """Whether the probe is done, or nobody wants it or could run it; else the page says so."""
    info = visit.infos[choice.material.id]
    here = jobs.current()
    job = here.ask(choice, _PROBE, partial(_probe, choice, info), urgent=True)
    wait(job, place, blocks=visit.shown is None)
    if job.done or job.stopped:
        return True
    st.caption("A short probe measures how long this takes here.")
    tell(job, choice, _PROBE, name=_PROBE, scope="app")
    return False


def _probe(choice: Choice, info: MediaInfo, progress: Progress) -> bool:
    from nlviz.inference.pace import measure

    with one_at_a_time(progress, kind_of(_PROBE, choice)) as told:
        network = loaded(choice.model, choice.weights).network
        pace = measure(
            network,
            info.width,
            info.height,
            size=choice.size,
            most=choice.part.frames,
            progress=told,
        )
    paces.note(choice, (info.width, info.height), pace)
    return True
