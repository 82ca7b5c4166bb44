"""Settings: the viewer's pins and options as a session file keeps them, written and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from itertools import zip_longest
from typing import Any

from nlviz.heat.colormap import PALETTE
from nlviz.query import Query
from nlviz.viewer.options import Options
from nlviz.viewer.pins import MOST, Pin, Pins

_ASKED = {each.name for each in fields(Options)} & {each.name for each in fields(Query)}


def settings(pins: Iterable[Pin], options: Options) -> dict[str, Any]:
    """What a session file keeps beside the queries: the options, and how each pin looks."""
    return {**asdict(options), "pins": [{"name": p.name, "color": p.color} for p in pins]}


def options(queries: Sequence[Query], settings: Mapping[str, Any]) -> Options:
    """The options that were kept; without them those of the first query."""
    first = {name: getattr(q, name) for q in queries[:1] for name in _ASKED}
    return Options().changed(first).changed(settings)


def pins(queries: Sequence[Query], settings: Mapping[str, Any]) -> tuple[Pins, tuple[str, ...]]:
    """A pin for each query, and a sentence where there are more than pins can be."""
    looks = settings.get("pins")
    listed = looks if isinstance(looks, list) else []
    found = Pins()
    for query, look in zip_longest(queries[:MOST], listed[:MOST]):
        if query is None:
            break
        found = found.add(query.point)
        if isinstance(look, Mapping):
            found = found.rename(found.shown[-1].id, str(look.get("name", "")))
    shown = _coloured(found.shown, listed)
    count = len(queries)
    problem = f"The session has {count} queries; the first {MOST} are pinned."
    return Pins.of(shown), (problem,) if count > MOST else ()


def _coloured(shown: tuple[Pin, ...], looks: list[Any]) -> tuple[Pin, ...]:
    colours = [str(look.get("color")) for look in looks if isinstance(look, Mapping)][: len(shown)]
    if len(set(colours) & set(PALETTE)) != len(shown):
        return shown
    return tuple(replace(p, color=c) for p, c in zip(shown, colours, strict=True))
