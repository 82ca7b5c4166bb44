"""docs/library.md from the code itself: ``python -m tools.library``."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import nlviz

PAGE = Path(__file__).resolve().parents[1] / "docs" / "library.md"

_HEAD = """# The library

Every public name with what it takes, gives and raises, made from the code by
`python -m tools.library`. The [examples](examples/1-first-figure.md) show them at work, and the
[glossary](glossary.md) has the words. What is not on this page is not public and may change.
"""

# What is told together, in the order in which one meets it: a heading, and modules of nlviz.
ROOMS = (
    ("Open a clip", ("media", "media.point_tracks", "clip")),
    ("Load a network", ("inference.loading", "inference.user_network")),
    ("Run it on the clip", ("inference.forward", "analysis", "about")),
    ("Clips of any length", ("windows",)),
    ("Capture any module", ("hooks.capture", "hooks.objects", "affinity", "groups")),
    ("Places", ("geometry", "experiments.receptive_field")),
    ("Ask", ("query", "ask.links", "ask.rows")),
    (
        "Another clip",
        ("matching.pairing", "matching.match", "matching.mutual", "matching.one_clip"),
    ),
    ("Numbers", ("statistics", "heat.scale", "tracking")),
    ("Scan", ("scans",)),
    (
        "Baselines and effects",
        (
            "experiments.baselines",
            "experiments.ablation",
            "experiments.masking",
            "experiments.verdict",
        ),
    ),
    (
        "Through all layers",
        ("experiments.rollout", "experiments.relevance", "experiments.shuffled"),
    ),
    ("Features in colour", ("features",)),
    ("Figures", ("figures",)),
    (
        "Words of an answer",
        (
            "language.run",
            "language.vision_language",
            "language.answered",
            "language.sequence",
            "language.drawing",
        ),
    ),
    (
        "Many clips",
        ("batches.options", "batches.run", "batches.report", "batches.summary"),
    ),
    ("Errors", ("errors",)),
)
# What is imported from elsewhere: a heading, a module, and its names if it has no list of them.
ELSEWHERE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Films", "nlviz.film", ()),
    ("Pages, data and session files", "nlviz.export", ()),
    ("Networks", "nlviz.models.zoo", ()),
    ("The block", "nlviz.models.nonlocal_block", ("NonLocalBlock",)),
    ("The networks of the paper", "nlviz.models.resnet", ("VideoResNet",)),
    ("Their plans", "nlviz.models.resnet_plan", ("Plan", "paper")),
)


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_contents(), *_sections()]).rstrip() + "\n"


def names() -> dict[str, list[tuple[str, Any]]]:
    """Heading → the names under it with what they are, as they are imported."""
    told = {
        title: [
            (f"nlviz.{name}", getattr(nlviz, name))
            for home in homes
            for name, where in nlviz._home_of().items()
            if where == f"nlviz.{home}" and name in nlviz.__all__
        ]
        for title, homes in ROOMS
    }
    for title, package, listed in ELSEWHERE:
        module = import_module(package)
        told[f"{title}: `{package}`"] = [
            (f"{package}.{name}", getattr(module, name)) for name in listed or module.__all__
        ]
    return told


def _contents() -> Iterator[str]:
    seen: Counter[str] = Counter()
    for title, members in names().items():
        links = []
        for name, _ in members:
            short = name.rpartition(".")[2]
            anchor = short.lower()
            number = f"-{seen[anchor]}" if seen[anchor] else ""  # as GitHub tells them apart
            seen[anchor] += 1
            links.append(f"[{short}](#{anchor}{number})")
        yield f"- {title}: {', '.join(links)}"
    yield ""


def _sections() -> Iterator[str]:
    for title, members in names().items():
        yield f"## {title}\n"
        for name, value in members:
            yield from _entry(name, value)


def _entry(name: str, value: Any) -> Iterator[str]:
    yield f"### {name.rpartition('.')[2]}\n"
    if not (inspect.isclass(value) or callable(value)):
        yield f"```python\n{name} = {value!r}\n```\n"
        return
    kind = "class " if inspect.isclass(value) else ""
    yield f"```python\n{kind}{name}{_signature(value)}\n```\n"
    yield from _document(inspect.getdoc(value) or "")
    if inspect.isclass(value) and not issubclass(value, Exception):
        yield from _members(value)


def _members(value: type) -> Iterator[str]:
    rows = []
    for name, member in vars(value).items():
        if name.startswith("_") or not (of := _callable(member)):
            continue
        called = "" if isinstance(member, property) or not callable(of) else _signature(of, 10_000)
        first, *more = _document(inspect.getdoc(of) or "")
        rows.append(f"- `.{name}{called}`: {' '.join(first.split())}")
        lines = (line.removeprefix("- ") for part in more for line in part.splitlines())
        rows += [f"  - {line}" for line in lines if line]
    if rows:
        yield "\n".join(["Properties and methods:\n", *rows]) + "\n"


def _callable(member: Any) -> Callable[..., Any] | None:
    """What a public member of a class runs; None for a field."""
    if isinstance(member, property):
        return member.fget
    if isinstance(member, (classmethod, staticmethod)):
        return member.__func__
    return member if inspect.isfunction(member) else None


def _signature(value: Any, widest: int = 88) -> str:
    if inspect.isclass(value) and issubclass(value, Exception):
        return f"({value.__base__.__name__})"
    signature = inspect.signature(value)
    told: list[str] = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            told.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        told.append(_parameter(parameter))
    gives = ""
    if not inspect.isclass(value) and signature.return_annotation is not signature.empty:
        gives = f" -> {_type(signature.return_annotation)}"
    flat = f"({', '.join(told)}){gives}"
    if len(flat) <= widest:
        return flat
    return "(\n" + "".join(f"    {each},\n" for each in told) + f"){gives}"


def _parameter(parameter: inspect.Parameter) -> str:
    text = f"{parameter.name}: {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    default = repr(parameter.default)
    if is_dataclass(parameter.default):
        default = f"{type(parameter.default).__name__}()"
    return f"{text} = {'...' if default.startswith('<') else default}"


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "Any")


_PART = re.compile(r"^(Args|Raises|Returns|Yields):\n", re.MULTILINE)
_VERB = {"Raises": "Raises", "Returns": "Gives", "Yields": "Yields"}
_ITEM = re.compile(r"^ {4}(\S[^:]*):\s+", re.MULTILINE)


def _document(text: str) -> Iterator[str]:
    """A docstring as Markdown: its text, then what it takes and raises as lists."""
    before, *parts = _PART.split(text)
    if before.strip():
        yield _plain(before.strip()) + "\n"
    for part, content in zip(parts[::2], parts[1::2], strict=True):
        if part == "Args":
            yield "\n".join(_items(content)) + "\n"
        else:
            yield f"{_VERB[part]} {_errors(' '.join(content.split()))}\n"


def _items(content: str) -> Iterator[str]:
    _, *found = _ITEM.split(content)
    for name, words in zip(found[::2], found[1::2], strict=True):
        yield f"- `{name}`: {_plain(' '.join(words.split()))}"


def _errors(text: str) -> str:
    return _plain(re.sub(r"\b([A-Z]\w*Error)\b", r"`\1`", text))


def _plain(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
