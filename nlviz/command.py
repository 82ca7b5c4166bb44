"""The command line that asks the same questions again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nlviz.display import as_text
from nlviz.geometry import Region
from nlviz.media.sampling import Sampling
from nlviz.query import Query, layer_of, origin


@dataclass(frozen=True, slots=True)
class Run:
    """How an analysis was made of its file.

    Args:
        sampling: which frames were taken.
        model: the network's name, or FILE.py:FUNCTION.
        size: longer side of the network's input, in pixels.
        weights: a checkpoint that the network was given, or None.
        window: frames of a window, of which the sampling then tells stride and start alone; None
            for a clip without windows.
    """

    sampling: Sampling
    model: str
    size: int
    weights: str | None = None
    window: int | None = None


def command(
    verb: str,
    path: str,
    queries: Sequence[Query],
    run: Run | None = None,
    *,
    excluding: bool = True,
    blocks: bool = True,
) -> list[str]:
    """``python -m nlviz VERB PATH …`` in parts, each fit for a line; joined they are for a shell.

    Args:
        verb: ``"links"``, ``"figure"`` or another command that takes a question.
        path: of the clip or of a session file.
        queries: what is asked; they may differ in their places only, as the first says the rest.
        run: how the network was run; None for a session file, which holds that itself.
        excluding: whether the command takes ``--exclude``.
        blocks: whether the block is named; a command that derives its block names it itself.
    """
    parts = [["python", "-m", "nlviz", verb, typed(path)]]
    parts += [_place(query) for query in queries]
    for query in queries[:1]:
        named = _block(query, baseline=run is not None) if blocks else []
        parts.append([*named, *_question(query, excluding=excluding)])
    if run is not None:
        layer = layer_of(queries[0].block) if queries else None
        features = [] if layer is None else ["--features", layer]
        parts += [_sampling(run), [*_network(run), *features]]
    return [shlex.join(part) for part in parts]


def can_be_asked(queries: Sequence[Query]) -> bool:
    """Whether one command asks them all: there are some, and they differ in their places only.

    A baseline counts as its block with an option; one that no option makes, such as a shuffled
    block of another seed, cannot be asked again.
    """
    if not queries:
        return False
    _, *others = queries
    rest = replace(queries[0], point="")
    block, kind = origin(rest.block)
    made = kind is not None or not block.endswith(")") or layer_of(block) is not None
    return made and all(replace(query, point="") == rest for query in others)


def typed(path: str) -> str:
    """A path as one types it: a name that starts with a dash would be taken for an option."""
    return as_text(f"./{path}" if path.startswith("-") else path)


def number(value: float) -> str:
    """A coordinate in as few digits as say it."""
    return f"{value:.10g}"


def _place(query: Query) -> list[str]:
    place = query.point
    if isinstance(place, str):
        return ["--token", place]
    if isinstance(place, Region):
        return ["--region", ",".join([str(place.frame), *map(number, _corners(place))])]
    return ["--at", f"{place.frame},{number(place.x)},{number(place.y)}"]


def _corners(region: Region) -> list[float]:
    """Two opposite corners of a box, all corners of another outline."""
    if region.is_box:
        return list(region.bounds)
    return [value for corner in region.outline for value in corner]


def _block(query: Query, *, baseline: bool) -> list[str]:
    """Which block is asked; the command makes a baseline from its block."""
    block, kind = origin(query.block) if baseline else (query.block, None)
    return ["--block", block, *([] if kind is None else ["--baseline", kind])]


def _question(query: Query, *, excluding: bool) -> list[str]:
    """What it is asked for."""
    words = ["--k", str(query.k)]
    words += ["--exclude", query.exclude] if excluding else []
    words += [] if query.head is None else ["--head", str(query.head)]
    words += ["--reverse"] if query.reverse else []
    return words + ([] if query.rank_by == "affinity" else ["--rank", query.rank_by])


def _sampling(run: Run) -> list[str]:
    sampling = run.sampling
    whole = ["--window", str(run.window)]
    words = ["--frames", str(sampling.frames)] if run.window is None else whole
    words += ["--stride", str(sampling.stride)] if sampling.stride else []
    return words + (["--start", str(sampling.start)] if sampling.start else [])


def _network(run: Run) -> list[str]:
    weights = ["--weights", run.weights] if run.weights else []
    return ["--model", run.model, *weights, "--size", str(run.size)]
