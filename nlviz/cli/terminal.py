"""The terminal: one sentence for what went wrong, a parser that says no more, and -o."""

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


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """Where to write, and whether over what is there."""
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=what)
    parser.add_argument("--force", action="store_true", help="overwrite a file that already exists")
