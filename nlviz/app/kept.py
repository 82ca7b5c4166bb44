"""Analyses that are kept for everybody: by what was looked at and the weights that looked."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from nlviz.app import running, store
from nlviz.app.choice import Choice
from nlviz.app.shown import Shown
from nlviz.viewer.staged import packed


def find(choice: Choice) -> Shown | None:
    """The analysis of a choice, whoever made it; only who holds an upload's content finds it."""
    key = _key(choice)
    shown: Shown | None = None if key is None else store.shared().get(key)
    return shown if shown is None or shown.choice == choice else _called(shown, choice)


def keep(shown: Shown) -> None:
    """Keep an analysis, for as long as there is room."""
    key = _key(shown.choice, shown.made_with)
    if key is not None:
        store.shared().put(key, shown)


def _key(choice: Choice, made_with: str | None = None) -> Hashable | None:
    """None while the network has not been loaded yet, so that its weights are not known."""
    if choice.material.session is None:
        own = choice.weights.checksum if choice.weights is not None else None
        made_with = made_with or own or running.known(choice.model)
        if made_with is None:
            return None
    return "analysis", choice.material.content, choice.part, choice.model, made_with, choice.size


def _called(shown: Shown, choice: Choice) -> Shown:
    """The same under other files' names: whoever made it keeps theirs for themselves."""
    clip = replace(shown.analysis.clip, name=choice.material.name)
    analysis = replace(shown.analysis, clip=clip)
    if choice.weights is not None:
        analysis = replace(analysis, network=choice.network)
    return Shown(choice, analysis, *packed(analysis), made_with=shown.made_with)
