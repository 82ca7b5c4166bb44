"""The command line, ``nlviz COMMAND`` or ``python -m nlviz COMMAND``: a module for each."""

from __future__ import annotations

import argparse
import errno
import io
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nlviz.cli import (
    ablate,
    app,
    batch,
    export,
    fetch,
    figure,
    film,
    html,
    links,
    match,
    models,
    pca,
    rollout,
    scan,
    stats,
    summary,
    track,
    words,
)
from nlviz.cli.terminal import Parser, refuse
from nlviz.display import as_text
from nlviz.errors import NlvizError
from nlviz.inference import cores
from nlviz.version import __version__

_COMMANDS = (
    *(links, figure, film, html, match, pca, stats, scan, ablate, rollout, track, words, export),
    *(batch, summary, models, fetch, app),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: 0 if it went well, 2 after one sentence for what the user can mend.

    1 is for a batch some of whose clips failed, and for a fault in nlviz.
    """
    _open_what_is_closed()
    cores.share()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ×
    given = sys.argv[1:] if arguments is None else list(arguments)
    typed = as_text(shlex.join(["python", "-m", "nlviz", *given]))
    options = parser().parse_args(given, argparse.Namespace(typed=typed))
    command: Callable[[argparse.Namespace], int | None] = options.command
    code = 0
    try:
        code = command(options) or 0
        sys.stdout.flush()
    except NlvizError as error:
        return refuse(str(error))
    except BrokenPipeError:
        # The reader has seen enough; keep Python from complaining as it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return refuse("Stopped.", code=130)
    except OSError as error:
        return refuse(_told(error))
    except Exception as error:
        if os.environ.get("NLVIZ_DEBUG"):
            raise
        return refuse(
            f"This is a fault in nlviz, not in what you gave it ({type(error).__name__}: {error}); "
            "set NLVIZ_DEBUG=1 to see where.",
            code=1,
        )
    return code


def _told(error: OSError) -> str:
    """A full disk is told as one, anything else by the file that it is about."""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Nothing more can be written ({why}); free some space."
    file = f"'{error.filename}'" if error.filename else "A file"
    return f"{file} cannot be used ({why}); check where it lies, and its permissions."


def _open_what_is_closed() -> None:
    """Python has None for a stream that whoever called closed; words go nowhere then."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = Parser(
        prog="nlviz" if Path(sys.argv[0]).stem == "nlviz" else "python -m nlviz",
        description="Point at a pixel and see which places in space and time a network weighs most "
        "for it.",
    )
    whole.add_argument("--version", action="version", version=f"nlviz {__version__}")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return whole
