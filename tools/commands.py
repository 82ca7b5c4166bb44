"""docs/commands.md from the parser itself: ``python -m tools.commands``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from nlviz.cli import parser
from nlviz.cli.options import add_question

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"

_HEAD = """# Every command and option

`nlviz COMMAND`, or `python -m nlviz COMMAND`. This page is made from the parser by
`python -m tools.commands`.

FRAME, X and Y are the source frame's index and source pixels. INPUT may be a session (`.nlviz`)
that `export` or the app wrote; it needs no network. What each number of `stats`, `ablate` and
`track` is, with its formula and what it does not mean, is in [what the numbers are](statistics.md).

If something goes wrong, one sentence on standard error says what to do, and the exit status is 2;
it is 1 for a batch some of whose clips failed, and for a fault in nlviz, whose traceback
`NLVIZ_DEBUG=1` shows. Progress and notes go to
standard error, answers to standard output.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_shared(), *_sections()]).rstrip() + "\n"


def question() -> argparse.ArgumentParser:
    """What most commands share."""
    shared = argparse.ArgumentParser(prog="nlviz", add_help=False)
    add_question(shared)
    return shared


def _shared() -> Iterator[str]:
    shared = question()
    yield "## The question\n\nThe options that most commands take: which links of which clip.\n"
    yield from _table(shared._actions, shared)


def _sections() -> Iterator[str]:
    (commands,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    helps = {action.dest: action.help for action in commands._choices_actions}
    shared = {action.dest for action in question()._actions}
    for name, command in commands.choices.items():
        given = [a for a in command._actions if not isinstance(a, argparse._HelpAction)]
        asks = "input" in {action.dest for action in given}
        own = [a for a in given if not asks or a.dest not in shared]
        named = [str(a.metavar or a.dest) for a in given if not a.option_strings]
        needed = [
            f"{a.option_strings[0]} {a.metavar}" for a in own if a.required and a.option_strings
        ]
        usage = ["nlviz", name, *named, *needed, *(["[options]"] if given else [])]
        yield f"## {name}\n\n{_sentence(helps[name])}.\n\n```\n{' '.join(usage)}\n```\n"
        if own:
            yield from _table(own, command)
        if asks:
            yield "And the options of [the question](#the-question).\n"


def _table(actions: Sequence[argparse.Action], command: argparse.ArgumentParser) -> Iterator[str]:
    yield "| | |\n|---|---|"
    for action in actions:
        spelled = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else None
            spelled += f" {action.metavar or choices or action.dest.upper()}"
        spelled = spelled.replace("|", r"\|")  # or it would end the cell
        yield f"| `{spelled}` | {_sentence(command._get_formatter()._expand_help(action))} |"
    yield ""


def _sentence(text: str | None) -> str:
    return f"{text[:1].upper()}{text[1:]}" if text else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
