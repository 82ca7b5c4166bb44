"""The terminal: one sentence for what went wrong, a parser that says no more, and progress."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

_PLACES = ("--at", "--region")
_NEGATIVE = re.compile(r"-[\d.,e+-]+")


def refuse(sentence: str, code: int = 2) -> int:
    """Say what was wrong on standard error; gives the exit status."""
    print(sentence, file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """argparse, saying what is wrong in one sentence and without the usage above it."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self._given: Sequence[str] = ()

    # The overloads of argparse say no more than that a namespace of one's own comes back.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """As argparse does it, but an option that no command has ends here, with what is meant."""
        self._given = _with_values(args)
        found, left = super().parse_known_args(self._given, namespace)
        if left:
            self.error(f"unrecognized arguments: {shlex.join(left)}{self._meant(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        """End with the sentence."""
        dashed = [each for each in self._given if each.startswith("-") and os.path.exists(each)]
        if dashed and "--" not in self._given:
            name = shlex.quote(f"./{dashed[0]}")
            message = f"'{dashed[0]}' begins like an option; write it as {name}"
        sys.exit(refuse(f"{self.prog}: {message}; see {self.prog} --help."))

    def _meant(self, left: Sequence[str]) -> str:
        """The nearest option there is, for one that is misspelt."""
        for each in left:
            near = difflib.get_close_matches(each.partition("=")[0], self._option_string_actions)
            if each.startswith("-") and near:
                return f" (is {near[0]} meant?)"
        return ""


def _with_values(arguments: Sequence[str]) -> list[str]:
    """The arguments, a negative place joined to its option, as in --at=-1,20,30.

    argparse takes what begins with a dash for an option, unless it is a number.
    """
    joined: list[str] = []
    for each in arguments:
        if joined and joined[-1] in _PLACES and _NEGATIVE.fullmatch(each):
            joined[-1] += f"={each}"
        else:
            joined.append(each)
    return joined


class _Progress:
    """One line on standard error for each step, and for each tenth of a long one."""

    def __init__(self) -> None:
        self._said = ("", -1)

    def __call__(self, fraction: float, what: str) -> None:
        if (what, int(fraction * 10)) != self._said:
            self._said = (what, int(fraction * 10))
            print(f"{fraction:4.0%} {what}", file=sys.stderr)


progress = _Progress()
