"""The command and the Python lines that give what is on screen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from nlviz.app import startup
from nlviz.app.choice import Choice
from nlviz.experiments.baselines import origin
from nlviz.geometry import Region
from nlviz.viewer.messages import Options
from nlviz.viewer.pins import Place


def command(
    verb: str, choice: Choice, points: Sequence[Place], options: Options, *more: str
) -> str:
    """``python -m nlviz links`` or ``figure`` for these points, one option a line."""
    places = [_asked(point) for point in points]
    head = "" if options.head is None else f" --head {options.head}"
    question = f"--k {options.k} --exclude {options.exclude}{head}{' --reverse' * options.reverse}"
    if options.rank_by != "affinity":
        question += f" --rank {options.rank_by}"
    lines = [
        f"python -m nlviz {verb} {shlex.quote(_path(choice))}",
        *places,
        f"{_block(choice, options)} {question}",
        *_run(choice),
        *more,
    ]
    return " \\\n    ".join(lines)


def python(choice: Choice, points: Sequence[Place], options: Options) -> str:
    """The same as Python."""
    question = f"k={options.k}, exclude={options.exclude!r}"
    if options.head is not None:
        question += f", head={options.head}"
    if options.reverse:
        question += ", reverse=True"
    if options.rank_by != "affinity":
        question += f", rank_by={options.rank_by!r}"
    places = "".join(f"    {_constructor(point)},\n" for point in points)
    needs, analysis = _analysis(choice, options)
    return f"""import nlviz
{needs}
{analysis}
points = [
{places}]
links = [
    nlviz.top_links(
        analysis,
        nlviz.Query(point, {options.block!r}, {question}),
    )
    for point in points
]
nlviz.film_strip(analysis, links).save("figure.svg")
"""


def _analysis(choice: Choice, options: Options) -> tuple[str, str]:
    """What has to be imported, and the lines that make the analysis."""
    if choice.material.session is not None:
        opening = f"analysis = export.open_session({_path(choice)!r}).analysis"
        return "from nlviz import export\n", opening
    sampling = ", ".join(f"{name}={value}" for name, value in _sampling(choice))
    network, needs = f"zoo.load({choice.model!r})", "from nlviz.models import zoo\n"
    if startup.is_user_model(choice.model):
        weights = (
            f", weights={given.weights!r}"
            if (given := startup.user_model()) and given.weights
            else ""
        )
        network, needs = f"nlviz.load_user_network({choice.model!r}{weights})", ""
    lines = [
        f"clip = nlviz.read({_path(choice)!r}, {sampling})",
        f"network = {network}",
        f"analysis = nlviz.analyse(clip, network, size={choice.size})",
    ]
    if options.rank_by != "affinity":
        lines.append("analysis = nlviz.with_sizes(analysis, network)")
    block, kind = origin(options.block or "")
    if kind is not None:
        lines.append(f"analysis = nlviz.baseline(analysis, network, {block!r}, {kind!r})")
    return needs, "\n".join(lines)


def _run(choice: Choice) -> list[str]:
    """How the network was run; a session file says that itself."""
    if choice.material.session is not None:
        return []
    return [
        " ".join(f"--{name} {value}" for name, value in _sampling(choice)),
        f"--model {shlex.quote(choice.model)}{_weights(choice)} --size {choice.size}",
    ]


def _block(choice: Choice, options: Options) -> str:
    """A baseline is made of its block; a session file holds it as it is."""
    block, kind = origin(options.block or "")
    if choice.material.session is not None:
        block, kind = options.block or "", None
    return f"--block {shlex.quote(block)}" + (f" --baseline {kind}" if kind else "")


def _weights(choice: Choice) -> str:
    given = startup.user_model() if startup.is_user_model(choice.model) else None
    return f" --weights {shlex.quote(given.weights)}" if given and given.weights else ""


def _sampling(choice: Choice) -> list[tuple[str, int]]:
    """As both spell it."""
    part = choice.part
    named = [("frames", part.frames), ("stride", part.stride), ("start", part.start or None)]
    return [(name, value) for name, value in named if value is not None]


def _asked(place: Place) -> str:
    if isinstance(place, str):
        return f"--token {shlex.quote(place)}"
    if isinstance(place, Region):
        return f"--region {place.frame},{','.join(map(_short, _corners(place)))}"
    return f"--at {place.frame},{_short(place.x)},{_short(place.y)}"


def _corners(region: Region) -> list[float]:
    """Two opposite corners of a box, all corners of another outline."""
    x0, y0, x1, y1 = region.bounds
    box = {(x0, y0), (x1, y0), (x1, y1), (x0, y1)}
    if len(region.outline) == 4 and set(region.outline) == box:
        return [x0, y0, x1, y1]
    return [number for corner in region.outline for number in corner]


def _constructor(place: Place) -> str:
    if isinstance(place, str):
        return repr(place)
    if isinstance(place, Region):
        corners = ", ".join(f"({_short(x)}, {_short(y)})" for x, y in place.outline)
        return f"nlviz.Region(frame={place.frame}, outline=({corners}))"
    return f"nlviz.Point(frame={place.frame}, x={_short(place.x)}, y={_short(place.y)})"


def _short(number: float) -> str:
    return f"{number:.10g}"


def _path(choice: Choice) -> str:
    """A name that starts with a dash would be taken for an option."""
    path = choice.material.path
    return f"./{path}" if path.startswith("-") else path
