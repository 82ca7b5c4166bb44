"""The session that the app opens with, from these weights: ``python -m tools.first_session``.

Run it after training, and whenever the first sample, or what an analysis says of it, changes.
"""

from __future__ import annotations

import sys

import nlviz
from nlviz.app.choice import Choice
from nlviz.app.first import FILE, first_choice
from nlviz.export import Provenance, Session, save

MOST = 6_000_000
"""Bytes of the file at most: it travels in each wheel."""


def analysed(choice: Choice) -> nlviz.Analysis:
    """The fresh analysis of a choice."""
    part = choice.part
    clip = nlviz.read(choice.material.path, frames=part.frames, start=part.start)
    return nlviz.analyse(clip, nlviz.load(choice.model, device="cpu"), size=choice.size)


def content(analysis: nlviz.Analysis) -> bytes:
    """The file: slim, for the clip lies beside it."""
    return save(Session(analysis, Provenance.of(analysis, command="-")), slim=True)


def main() -> int:
    """Write the file; 1 where it is larger than it may be, and then nothing is written."""
    made = content(analysed(first_choice()))
    if len(made) > MOST:
        sys.stderr.write(f"{FILE.name} would have {len(made):,} bytes, more than {MOST:,}.\n")
        return 1
    FILE.write_bytes(made)
    sys.stdout.write(f"{FILE.name}: {len(made):,} bytes of at most {MOST:,}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
