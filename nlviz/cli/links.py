"""``python -m nlviz links``: the top-weighted links of places in a clip, as a table or JSON."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nlviz.cli.question import add_question, ask
from nlviz.geometry import Point
from nlviz.links import Link

if TYPE_CHECKING:
    from nlviz.analysis import Analysis


def add(commands: Any) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("links", help="the top-weighted links of places in a clip")
    add_question(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=_links)


def _links(options: argparse.Namespace) -> None:
    analysis, answers = ask(options)
    report = _report(analysis, answers)
    if options.json:
        print(json.dumps(report, indent=2))
        return
    grid = {kind: grid["cells"] for kind, grid in report["grid"].items()}
    print(
        f"{report['model']}, block {report['block']}, queries {grid['query']}, "
        f"keys {grid['key']}, fidelity {report['fidelity']:.1e}"
    )
    for answer in report["queries"]:
        links = answer["links"]
        print(
            "\nframe {frame}, x {x:g}, y {y:g}:".format(**answer["at"]),
            f"these {len(links)} links cover {answer['covered']:.1%} of the row",
        )
        print(f"{'rank':>4}  {'weight':>10}  {'frame':>6}  {'x':>7}  {'y':>7}")
        for link in links:
            print("{rank:>4}  {weight:>10.4g}  {frame:>6}  {x:>7.1f}  {y:>7.1f}".format(**link))


def _report(analysis: Analysis, answers: list[tuple[Link, ...]]) -> dict[str, Any]:
    clip = analysis.clip
    block = answers[0][0].block
    affinity = analysis.affinity(block)
    grids = {"query": affinity.query_grid, "key": affinity.key_grid}
    return {
        "input": {
            "path": clip.path,
            "width": clip.width,
            "height": clip.height,
            "total_frames": clip.total,
            "sampled_frames": list(clip.indices),
        },
        "model": analysis.network,
        "block": block,
        "grid": {
            kind: {"cells": str(grid), "t": grid.t, "rows": grid.rows, "cols": grid.cols}
            for kind, grid in grids.items()
        },
        "fidelity": analysis.fidelity[block],
        "queries": [
            {
                "at": _place(links[0].source),
                "covered": sum(link.share for link in links),
                "links": [
                    {"rank": link.rank, "weight": link.weight, **_place(link.target)}
                    for link in links
                ],
            }
            for links in answers
        ],
    }


def _place(point: Point) -> dict[str, float]:
    return {"frame": point.frame, "x": point.x, "y": point.y}
