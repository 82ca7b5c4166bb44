"""The terminal: one sentence for what went wrong, a parser that says no more, and progress."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


def refuse(sentence: str, code: int = 2) -> int:
    """Say what was wrong on standard error; gives the exit status."""
    print(sentence, file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """argparse, saying what is wrong in one sentence and without the usage above it."""

    def error(self, message: str) -> NoReturn:
        """End with the sentence."""
        sys.exit(refuse(f"{self.prog}: {message}; see {self.prog} --help."))


class _Progress:
    """One line on standard error for each step, and for each tenth of a long one."""

    def __init__(self) -> None:
        self._said = ("", -1)

    def __call__(self, fraction: float, what: str) -> None:
        if (what, int(fraction * 10)) != self._said:
            self._said = (what, int(fraction * 10))
            print(f"{fraction:4.0%} {what}", file=sys.stderr)


progress = _Progress()
