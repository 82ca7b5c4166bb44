"""``python -m nlviz links``: the top-weighted links of places in a clip, as a table or JSON."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nlviz.cli.question import add_question, ask
from nlviz.geometry import Point, Region
from nlviz.links import Link, Query

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
        covered = f"{answer['covered']:.1%} of the {'column' if options.reverse else 'row'}"
        print(f"\n{_words(answer)}: these {len(links)} links cover {covered}")
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
                **_asked(links[0].query),
                "covered": sum(link.share for link in links),
                "links": [
                    {"rank": link.rank, "weight": link.weight, **_place(link.target)}
                    for link in links
                ],
            }
            for links in answers
        ],
    }


def _asked(query: Query) -> dict[str, Any]:
    """What was asked; the keys that say how are there only where they were used."""
    point = query.point
    if isinstance(point, str):
        where: dict[str, Any] = {"token": point}
    elif isinstance(point, Region):
        where = {"region": {"frame": point.frame, "outline": [list(xy) for xy in point.outline]}}
    else:
        where = {"at": _place(point)}
    head = {} if query.head is None else {"head": query.head}
    return {**where, **head, **({"reverse": True} if query.reverse else {})}


def _words(answer: dict[str, Any]) -> str:
    head = f", head {answer['head']}" if "head" in answer else ""
    if "token" in answer:
        return f"token {answer['token']}{head}"
    if "region" in answer:
        x0, y0 = answer["region"]["outline"][0]
        x1, y1 = answer["region"]["outline"][2]
        frame = answer["region"]["frame"]
        return f"frame {frame}, region {x0:g},{y0:g} to {x1:g},{y1:g}{head}"
    return "frame {frame}, x {x:g}, y {y:g}".format(**answer["at"]) + head


def _place(point: Point) -> dict[str, float]:
    return {"frame": point.frame, "x": point.x, "y": point.y}
