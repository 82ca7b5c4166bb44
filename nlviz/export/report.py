"""The links of some queries as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nlviz.analysis import Analysis
from nlviz.display import as_text
from nlviz.query import Link, place, where


def report(analysis: Analysis, answers: Sequence[Sequence[Link]]) -> dict[str, Any]:
    """The clip, the network, the block and the links of each query, ready for ``json.dumps``.

    Args:
        analysis: what was asked.
        answers: the links of each query, as ``top_links`` gives them, at least one each; all of
            the first one's block.
    """
    block = answers[0][0].block
    return {
        **seen(analysis),
        "block": block,
        "grid": grids(analysis, block),
        "fidelity": analysis.fidelity[block],
        "places": analysis.places.get(block),
        "queries": [
            {
                **place(links[0].query),
                "covered": sum(link.share for link in links),
                "links": [
                    {
                        "rank": link.rank,
                        "weight": link.weight,
                        **({} if link.contribution is None else {"contribution": link.drawn}),
                        **where(link.target),
                    }
                    for link in links
                ],
            }
            for links in answers
        ],
    }


def seen(analysis: Analysis) -> dict[str, Any]:
    """The clip and the network."""
    clip = analysis.clip
    return {
        "input": {
            "path": None if clip.path is None else as_text(clip.path),
            "width": clip.width,
            "height": clip.height,
            "total_frames": clip.total,
            "sampled_frames": list(clip.indices),
        },
        "model": analysis.network,
        "weights": analysis.weights,
    }


def grids(analysis: Analysis, block: str) -> dict[str, Any]:
    """The query grid and the key grid of a block, and how many of their cells are there."""
    affinity = analysis.affinity(block)
    both = {
        "query": (affinity.query_grid, affinity.has_query),
        "key": (affinity.key_grid, affinity.has_key),
    }
    return {
        kind: {
            "cells": str(grid),
            "t": grid.t,
            "rows": grid.rows,
            "cols": grid.cols,
            "there": int(there.sum()),
        }
        for kind, (grid, there) in both.items()
    }
