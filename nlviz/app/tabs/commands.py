"""The command and the Python lines that repeat what is on screen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from nlviz import command as command_line
from nlviz.app import startup, whole_clip
from nlviz.app.choice import Asked, Choice
from nlviz.command import Run, number, typed
from nlviz.experiments.recipe import Recipe
from nlviz.geometry import Region
from nlviz.media.sampling import Sampling
from nlviz.query import Query, layer_of, origin
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Place

_SESSION, _DERIVED = "words.nlviz", "derived.nlviz"


def command(
    verb: str,
    choice: Choice,
    points: Sequence[Place],
    options: Options,
    *more: str,
    whole: bool = False,
    recipe: Recipe | None = None,
) -> str:
    """``python -m nlviz links`` or another command for these points, one option a line.

    With ``whole`` it is of the whole clip in windows as long as the part. Of words, and of a block
    that was derived by a recipe, there are two: the first writes a session, of which the other
    asks. The links of a recipe's block are printed by the one that makes it, but for those of
    "who looks here".
    """
    queries = [_query(point, options) for point in points]
    if recipe is not None and choice.runs_again:
        made = _derived(choice, queries, recipe)
        if verb == "links" and not options.reverse:
            return " \\\n    ".join([*made, *more])
        parts = command_line.command(verb, _DERIVED, queries)
        before = [*made, f"-o {_DERIVED}"]
    else:
        run = _in_windows(choice) if whole else _run(choice)
        path = choice.material.path if choice.asked is None else _SESSION
        parts = command_line.command(verb, path, queries, run)
        before = [] if choice.asked is None else _words(choice, choice.asked)
    lines = (" \\\n    ".join(each) for each in (before, [*parts, *more]) if each)
    return " \\\n    && ".join(lines)


def _derived(choice: Choice, queries: Sequence[Query], recipe: Recipe) -> list[str]:
    """``python -m nlviz rollout`` in parts; it takes no head and nothing in reverse."""
    path, run = choice.material.path, _run(choice)
    asked = [replace(each, head=None, reverse=False, rank_by="affinity") for each in queries]
    parts = command_line.command("rollout", path, asked, run, blocks=False)
    return [*parts, *([shlex.join(recipe.options)] if recipe.options else [])]


def python(
    choice: Choice,
    points: Sequence[Place],
    options: Options,
    recipe: Recipe | None = None,
) -> str:
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
    block, deriving = options.block or "", ""
    if recipe is not None and choice.runs_again:
        block, deriving = replace(recipe, seed=None).name, _deriving(choice, recipe)
    return f"""import nlviz
{needs}
{analysis}
points = [
{places}]
{deriving}links = [
    nlviz.top_links(
        analysis,
        nlviz.Query(point, {block!r}, {question}),
    )
    for point in points
]
nlviz.film_strip(analysis, links).save("figure.svg")
"""


def _deriving(choice: Choice, recipe: Recipe) -> str:
    """The lines that make the derived block of ``analysis``."""
    if recipe.label is not None:
        of_block = "" if recipe.block is None else f", block={recipe.block!r}"
        call = f"nlviz.relevance(analysis, network, {recipe.label!r}, points{of_block})"
    else:
        named = {"residual": recipe.residual, "fusion": recipe.fusion}
        usual = Recipe()
        given = [f"{n}={v!r}" for n, v in named.items() if v != getattr(usual, n)]
        given += [] if recipe.first is None else ["blocks=layers"]
        call = f"nlviz.rollout({', '.join(['analysis', 'points', *given])})"
    lines = [f"analysis = {call}"]
    if recipe.first is not None:
        some = f"every[every.index({recipe.first!r}) : every.index({recipe.last!r}) + 1]"
        lines = ["every = analysis.network_blocks", f"layers = {some}", *lines]
    if recipe.seed is not None:
        again = f"analysis = nlviz.analyse(clip, network, size={choice.size})"
        inside = "".join(f"    {line}\n" for line in [again, *lines])
        return f"with nlviz.shuffled_weights(network, seed={recipe.seed}):\n{inside}"
    return "".join(f"{line}\n" for line in lines)


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


def pca(choice: Choice, *more: str) -> str:
    """``python -m nlviz pca`` for what is on screen, one option a line."""
    parts = command_line.command("pca", choice.material.path, [], _run(choice))
    return " \\\n    ".join([*parts, *more])


def _run(choice: Choice) -> Run | None:
    """How the network was run; a session file says that itself."""
    if not choice.runs_again:
        return None
    part = choice.part
    sampling = Sampling(part.frames, part.stride, part.start)
    return Run(sampling, choice.model, choice.size, _weights(choice))


def _words(choice: Choice, asked: Asked) -> list[str]:
    """``python -m nlviz words`` in parts, which writes the session that is asked afterwards."""
    part = choice.part
    sampled = ["--frames", str(part.frames)]
    sampled += ["--stride", str(part.stride)] if part.stride else []
    sampled += ["--start", str(part.start)] if part.start else []
    parts = [
        ["python", "-m", "nlviz", "words", typed(choice.material.path)],
        ["--model", choice.model],
        [f"--ask={asked.question}"],
        [f"--answer={asked.answer}"],
        sampled,
        ["-o", _SESSION],
    ]
    return [shlex.join(part) for part in parts]


def _in_windows(choice: Choice) -> Run:
    frames, stride, start = whole_clip.sampled(choice.part)
    sampling = Sampling(frames, stride, start)
    return Run(sampling, choice.model, choice.size, _weights(choice), window=frames)


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
    if choice.asked is not None:
        asked = f"ask={choice.asked.question!r}, answer={choice.asked.answer!r}"
        lines = [
            f"clip = nlviz.read({path!r}, {_sampling(choice)})",
            f"words = nlviz.words(clip, {choice.model!r}, {asked})",
            "analysis = words.analysis((*range(len(words.layers)), None))",
        ]
        return "", "\n".join(lines)
    weights = f", weights={given!r}" if (given := _weights(choice)) else ""
    layer = layer_of(options.block or "")
    features = "" if layer is None else f", features=[{layer!r}]"
    lines = [
        f"clip = nlviz.read({path!r}, {_sampling(choice)})",
        f"network = nlviz.load({choice.model!r}{weights})",
        f"analysis = nlviz.analyse(clip, network, size={choice.size}{features})",
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
