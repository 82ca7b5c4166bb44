"""Analyse what was chosen: read the clip, run the network, pack what the page needs."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

from nlviz.analysis import Analysis
from nlviz.app import paces, sharing
from nlviz.app.choice import Choice
from nlviz.app.kept import called, find, keep
from nlviz.app.reading import clip_of, is_kept
from nlviz.app.running import kind_of, loaded, one_at_a_time
from nlviz.app.shown import Shown
from nlviz.clip import Clip
from nlviz.display import begun
from nlviz.progress import Progress
from nlviz.viewer.staged import packed


def make(choice: Choice, progress: Progress) -> Shown:
    """Read, analyse and pack what was chosen; a session file is packed as it is.

    ``progress`` is called between the steps; what it raises ends the work, so that a new choice
    can take its place. NlvizError for what the visitor can correct.
    """
    held = choice.material.session
    if held is None:
        work = partial(_analysed, choice)
        made: Shown = sharing.shared().once(
            _content(choice), work, progress, errors=choice.is_public
        )
        return made if made.choice == choice else called(made, choice)
    progress(0.92, "Sending it to the page")
    shown = Shown(choice, held.analysis, *packed(held.analysis))
    keep(shown)
    return shown


def _content(choice: Choice) -> Hashable:
    """What decides the numbers, and no name of a file: who asks for the same shares one pass."""
    own = choice.weights and choice.weights.checksum
    of = choice.material.content, choice.part, choice.model, own, choice.size
    return "analysis", *of, choice.asked, choice.layer


def _analysed(choice: Choice, progress: Progress) -> Shown:
    part, material = choice.part, choice.material
    progress(0.0, "Reading the clip")
    clip: Clip | None = clip_of(material, part, progress)
    if is_kept(material, part):
        clip = None  # who waits for the network holds no clip beside those that are kept for all
    with one_at_a_time(progress, kind_of("analysis", choice)) as told:
        told(0.05, f"Loading {choice.model}")
        found = loaded(choice.model, choice.weights)
        if (kept := find(choice)) is not None:  # somebody else asked for it meanwhile
            return kept
        if clip is None:
            clip = clip_of(material, part, told)
        analysis = _run(choice, clip, found.network, told)
        told(0.92, "Sending it to the page")
        shown = Shown(choice, analysis, *packed(analysis), made_with=found.fingerprint)
        keep(shown)
    return shown


def _run(choice: Choice, clip: Clip, network: Any, told: Progress) -> Analysis:
    """What the network makes of the clip, and how long that took where it may be asked again."""

    def share(fraction: float, what: str) -> None:
        told(0.15 + 0.75 * fraction, begun(what))

    if choice.asked is not None:
        from nlviz.app import asking

        return asking.words_of(clip, network, choice.asked, share)
    from nlviz.inference.forward import analyse  # torch is loaded by now
    from nlviz.inference.pace import watching

    with watching() as watch:
        analysis = analyse(clip, network, size=choice.size, progress=share, features=choice.layers)
    analysis.check_similarities(choice.layers)
    paces.note(choice, (clip.width, clip.height), watch.pace(analysis))
    return analysis
