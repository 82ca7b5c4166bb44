"""The command and the Python lines that repeat what is on screen."""

from __future__ import annotations

from collections.abc import Sequence

from nlviz import command as command_line
from nlviz.app import startup
from nlviz.app.choice import Choice
from nlviz.command import Run, number, typed
from nlviz.geometry import Region
from nlviz.media.sampling import Sampling
from nlviz.query import Query, origin
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Place


def command(
    verb: str, choice: Choice, points: Sequence[Place], options: Options, *more: str
) -> str:
    """``python -m nlviz links`` or another command for these points, one option a line."""
    queries = [_query(point, options) for point in points]
    parts = command_line.command(verb, choice.material.path, queries, _run(choice))
    return " \\\n    ".join([*parts, *more])


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


def _query(point: Place, options: Options) -> Query:
    return Query(
        point,
        options.block or "",
        options.k,
        options.exclude,
        options.head,
        options.reverse,
        options.rank_by,
    )


def _run(choice: Choice) -> Run | None:
    """How the network was run; a session file says that itself."""
    if choice.material.session is not None:
        return None
    part = choice.part
    sampling = Sampling(part.frames, part.stride, part.start)
    return Run(sampling, choice.model, choice.size, _weights(choice))


def _weights(choice: Choice) -> str | None:
    """The visitor's own checkpoint, or the one that the app was started with."""
    if choice.weights is not None:
        return typed(choice.weights.file)
    started = startup.user_model()
    return started.weights if started and started.name == choice.model else None


def _analysis(choice: Choice, options: Options) -> tuple[str, str]:
    """What has to be imported, and the lines that make the analysis."""
    path = typed(choice.material.path)
    if choice.material.session is not None:
        opening = f"analysis = export.open_session({path!r}).analysis"
        return "from nlviz import export\n", opening
    weights = f", weights={given!r}" if (given := _weights(choice)) else ""
    lines = [
        f"clip = nlviz.read({path!r}, {_sampling(choice)})",
        f"network = nlviz.load({choice.model!r}{weights})",
        f"analysis = nlviz.analyse(clip, network, size={choice.size})",
    ]
    if options.rank_by != "affinity":
        lines.append("analysis = nlviz.with_sizes(analysis, network)")
    block, kind = origin(options.block or "")
    if kind is not None:
        lines.append(f"analysis = nlviz.baseline(analysis, network, {block!r}, {kind!r})")
    return "", "\n".join(lines)


def _sampling(choice: Choice) -> str:
    part = choice.part
    named = {"frames": part.frames, "stride": part.stride, "start": part.start or None}
    return ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)


def _constructor(place: Place) -> str:
    if isinstance(place, str):
        return repr(place)
    if isinstance(place, Region):
        corners = ", ".join(f"({number(x)}, {number(y)})" for x, y in place.outline)
        return f"nlviz.Region(frame={place.frame}, outline=({corners}))"
    return f"nlviz.Point(frame={place.frame}, x={number(place.x)}, y={number(place.y)})"
