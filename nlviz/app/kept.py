"""Analyses that are kept for everybody: by what was looked at and the weights that looked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from nlviz.app import running, sharing, store
from nlviz.app.choice import Choice
from nlviz.app.shown import Shown
from nlviz.progress import Progress
from nlviz.viewer.staged import packed


def find(choice: Choice) -> Shown | None:
    """The analysis of a choice, whoever made it; only who holds an upload's content finds it."""
    key = _key(choice)
    shown: Shown | None = None if key is None else store.shared().get(key)
    if shown is None or (shown.choice == choice and choice.is_public):
        return shown
    return replace(shown, choice=choice) if shown.choice == choice else called(shown, choice)


def keep(shown: Shown) -> None:
    """Keep an analysis, for as long as there is room; not the file of whoever gave it."""
    key = _key(shown.choice, shown.made_with)
    if key is not None:
        material = replace(shown.choice.material, held=None)
        kept = (
            shown
            if material.is_public
            else replace(shown, choice=replace(shown.choice, material=material))
        )
        store.shared().put(key, kept)


def once(shown: Shown, key: Hashable, work: Callable[[Progress], Any]) -> Callable[[Progress], Any]:
    """Work that is done once for all who ask it of a public clip, and kept while there is room.

    ``key`` tells what is asked, and is the same for all. Of what is a visitor's own it is worked
    out for them alone: a result may hold its name.
    """
    of = _key(shown.choice, shown.made_with) if shown.choice.is_public else None
    if of is None:
        return work
    whole = "result", of, key

    def kept_or_made(progress: Progress) -> Any:
        found = store.shared().get(whole)
        if found is None:
            found = work(progress)
            store.shared().put(whole, found)
        return found

    return lambda progress: sharing.shared().once(whole, kept_or_made, progress)


def _key(choice: Choice, made_with: str | None = None) -> Hashable | None:
    """None while the network has not been loaded yet, so that its weights are not known."""
    if choice.material.session is None:
        own = choice.weights.checksum if choice.weights is not None else None
        made_with = made_with or own or running.known(choice.model)
        if made_with is None:
            return None
    of = choice.material.content, choice.part, choice.model, made_with, choice.size
    return "analysis", *of, choice.asked, choice.layer


def called(shown: Shown, choice: Choice) -> Shown:
    """The same under other files' names: whoever made it keeps theirs for themselves."""
    clip = replace(shown.analysis.clip, name=choice.material.name)
    analysis = replace(shown.analysis, clip=clip)
    if choice.weights is not None:
        analysis = replace(analysis, network=choice.network)
    return Shown(choice, analysis, *packed(analysis), made_with=shown.made_with)
