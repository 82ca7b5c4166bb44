"""The ``match`` command that gives the same matches again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from nlviz.command import Run, can_be_asked, command, typed
from nlviz.matching.match import Match
from nlviz.models import zoo
from nlviz.models.input_size import fitted, size_for
from nlviz.provenance import sampling_of


def match_command(matches: Sequence[Match]) -> str | None:
    """``python -m nlviz match …`` that gives matches of one pairing again; None where none can.

    That is so for a clip given as bytes, a network that is not of the zoo, frames or sizes that no
    options give for both clips, matches that differ in more than their places, and no match.
    """
    if not matches:
        return None
    pairing = matches[0].pairing
    here, there = pairing.here, pairing.there
    queries = [replace(each.query, block=pairing.block) for each in matches]
    ours = sampling_of(here.clip)
    if here.clip.path is None or there.clip.path is None or here.network not in zoo.names():
        return None
    if ours is None or not can_be_asked(queries):
        return None
    start = there.clip.indices[0]
    theirs = replace(ours, start=start)
    if theirs.indices(there.clip.total, there.clip.name) != there.clip.indices:
        return None
    side = zoo.side(here.network)
    size = size_for(here.view.source, here.view.input, side)
    if size is None or fitted(*there.view.source, size, side) != there.view.input:
        return None
    run = Run(ours, here.network, size)
    parts = command("match", here.clip.path, queries, run, excluding=False)
    more = ["--in", typed(there.clip.path)]
    more += ["--in-start", str(start)] if start else []
    more += ["--of", pairing.of] if pairing.of != "weights" else []
    return " ".join([*parts, shlex.join(more)])
