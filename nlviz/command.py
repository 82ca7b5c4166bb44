"""The command line that asks the same questions again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nlviz.geometry import Region
from nlviz.media.sampling import Sampling
from nlviz.query import Query, origin


@dataclass(frozen=True, slots=True)
class Run:
    """How an analysis was made of its file.

    Args:
        sampling: which frames were taken.
        model: the network's name, or FILE.py:FUNCTION.
        size: longer side of the network's input, in pixels.
        weights: a checkpoint that the network was given, or None.
    """

    sampling: Sampling
    model: str
    size: int
    weights: str | None = None


def command(verb: str, path: str, queries: Sequence[Query], run: Run | None = None) -> list[str]:
    """``python -m nlviz VERB PATH …`` in parts, each fit for a line; joined they are for a shell.

    Args:
        verb: ``"links"``, ``"figure"`` or another command that takes a question.
        path: of the clip or of a session file.
        queries: what is asked; they may differ in their places only, as the first says the rest.
        run: how the network was run; None for a session file, which holds that itself.
    """
    parts = [["python", "-m", "nlviz", verb, typed(path)]]
    parts += [_place(query) for query in queries]
    parts += [_question(query, baseline=run is not None) for query in queries[:1]]
    if run is not None:
        parts += [_sampling(run.sampling), _network(run)]
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
    made = kind is not None or not block.endswith(")")
    return made and all(replace(query, point="") == rest for query in others)


def typed(path: str) -> str:
    """A path as one types it: a name that starts with a dash would be taken for an option."""
    return f"./{path}" if path.startswith("-") else path


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


def _question(query: Query, *, baseline: bool) -> list[str]:
    """Which block is asked for what; the command makes a baseline from its block."""
    block, kind = origin(query.block) if baseline else (query.block, None)
    words = ["--block", block]
    words += [] if kind is None else ["--baseline", kind]
    words += ["--k", str(query.k), "--exclude", query.exclude]
    words += [] if query.head is None else ["--head", str(query.head)]
    words += ["--reverse"] if query.reverse else []
    return words + ([] if query.rank_by == "affinity" else ["--rank", query.rank_by])


def _sampling(sampling: Sampling) -> list[str]:
    words = ["--frames", str(sampling.frames)]
    words += ["--stride", str(sampling.stride)] if sampling.stride else []
    return words + (["--start", str(sampling.start)] if sampling.start else [])


def _network(run: Run) -> list[str]:
    weights = ["--weights", run.weights] if run.weights else []
    return ["--model", run.model, *weights, "--size", str(run.size)]
