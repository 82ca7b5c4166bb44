"""The command and the Python lines that give what is on screen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from nlviz.geometry import Point
from nlviz.ui.material import Choice
from nlviz.ui.messages import Options


def command(
    verb: str, choice: Choice, points: Sequence[Point], options: Options, *more: str
) -> str:
    """``python -m nlviz links`` or ``figure`` for these points, one option a line."""
    places = [f"--at {_place(point)}" for point in points]
    lines = [
        f"python -m nlviz {verb} {shlex.quote(_path(choice))}",
        *places,
        f"--block {options.block} --k {options.k} --exclude {options.exclude}",
        " ".join(f"--{name} {value}" for name, value in _sampling(choice)),
        f"--model {choice.model} --size {choice.size}",
        *more,
    ]
    return " \\\n    ".join(lines)


def python(choice: Choice, points: Sequence[Point], options: Options) -> str:
    """The same as Python."""
    sampling = ", ".join(f"{name}={value}" for name, value in _sampling(choice))
    places = "".join(f"    {_constructor(point)},\n" for point in points)
    return f"""import nlviz
from models import zoo

clip = nlviz.read({_path(choice)!r}, {sampling})
analysis = nlviz.analyse(clip, zoo.load({choice.model!r}), size={choice.size})
points = [
{places}]
links = [
    nlviz.top_links(
        analysis,
        nlviz.Query(point, {options.block!r}, k={options.k}, exclude={options.exclude!r}),
    )
    for point in points
]
nlviz.film_strip(analysis, links).save("figure.svg")
"""


def _sampling(choice: Choice) -> list[tuple[str, int]]:
    """As both spell it."""
    part = choice.part
    named = [("frames", part.frames), ("stride", part.stride), ("start", part.start or None)]
    return [(name, value) for name, value in named if value is not None]


def _place(point: Point) -> str:
    return f"{point.frame},{point.x:.10g},{point.y:.10g}"


def _constructor(point: Point) -> str:
    return f"nlviz.Point(frame={point.frame}, x={point.x:.10g}, y={point.y:.10g})"


def _path(choice: Choice) -> str:
    """A name that starts with a dash would be taken for an option."""
    path = choice.material.path
    return f"./{path}" if path.startswith("-") else path
