"""Session files as INPUT: an analysis made before, opened in place of running a network."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.query import Query

if TYPE_CHECKING:
    from nlviz.export import Provenance, Session

_UNUSED = ("frames", "stride", "size")


def is_session(name: str) -> bool:
    """Whether an INPUT is a session file, by its ending."""
    return name.lower().endswith(".nlviz")


def opened(options: argparse.Namespace) -> Session:
    """The session that INPUT is; opened once."""
    from nlviz.export import open_session

    if "session" not in options:
        if options.baseline:
            raise QueryError(
                f"'{options.input}' has no network to run again; give the clip itself for "
                "--baseline."
            )
        options.session = open_session(options.input)
        if any(getattr(options, name) is not None for name in _UNUSED):
            print(
                "note: A session keeps the frames and the size it was made with.", file=sys.stderr
            )
    session: Session = options.session
    return session


def settings(options: argparse.Namespace) -> Mapping[str, Any]:
    """What a session keeps of the view, where its own pins are asked about; else nothing."""
    return opened(options).settings if is_session(options.input) and not options.at else {}


def provenance(
    options: argparse.Namespace, analysis: Analysis, queries: Sequence[Query]
) -> Provenance:
    """How an export of this command was made: what was typed, and the weights of then."""
    from nlviz.export import Provenance

    made = Provenance.of(analysis, queries, command=options.typed)
    if not is_session(options.input):
        return replace(made, weights=_digest(options.weights)) if options.weights else made
    before = opened(options).provenance
    return replace(made, weights=before.weights, model=before.model)


def _digest(file: str) -> str:
    """The checksum of the user's own weights, which have just been loaded."""
    with open(file, "rb") as content:
        return "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
