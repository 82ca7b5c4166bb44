"""``nlviz track`` of points: where they begin, where they go, and TAP-Vid's scores."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nlviz.analysis import Analysis
from nlviz.cli.long import tell
from nlviz.cli.question import Question
from nlviz.cli.subject import Subject
from nlviz.cli.terminal import progress
from nlviz.clip import Clip
from nlviz.errors import QueryError
from nlviz.geometry import Point
from nlviz.query import where
from nlviz.writing import write

if TYPE_CHECKING:
    from nlviz.media.point_tracks import PointTracks
    from nlviz.tracking import FollowedPoints, Protocol

_SIDE = 256  # pixels of TAP-Vid's picture


def follow(options: argparse.Namespace, question: Question, protocol: Protocol) -> None:
    """Run it, write what was asked for, and print the report."""
    if any(not isinstance(place, Point) for place in question.at):
        raise QueryError("Points are followed from places; give --at FRAME,X,Y and no --region.")
    run = _in_windows if question.window is not None else _in_one_piece
    analysis, clip, found, truth = run(options, question, protocol)
    report = _report(analysis, clip, found, truth, windows=question.window is not None)
    if options.output:
        _write(options, question, analysis, clip, found)
    print(json.dumps(report, indent=2)) if options.json else _print(report, protocol)


_Run = tuple[Analysis, Clip, "FollowedPoints", "PointTracks | None"]


def _in_one_piece(options: argparse.Namespace, question: Question, protocol: Protocol) -> _Run:
    from nlviz.tracking import track_points

    subject = Subject.run(question)
    analysis = subject.analysis
    points, truth = _begin(options, question, analysis.clip)
    found = track_points(analysis, subject.block, points, protocol=protocol, progress=progress)
    return analysis, analysis.clip, found, truth


def _in_windows(options: argparse.Namespace, question: Question, protocol: Protocol) -> _Run:
    from nlviz.windows import track_points_windows

    long = Subject.long(question)
    points, truth = _begin(options, question, long.whole)
    tell(long, question)
    long.run(progress)
    first = long.at(points[0].frame)
    found = track_points_windows(
        long,
        question.block or first.default_block,
        points,
        protocol=protocol,
        baseline=question.baseline,
        progress=progress,
    )
    return first, long.whole, found, truth


def _begin(
    options: argparse.Namespace, question: Question, clip: Clip
) -> tuple[list[Point], PointTracks | None]:
    """Where the points begin: as given, or each where the file first shows it."""
    if options.tracks is None:
        return [place for place in question.at if isinstance(place, Point)], None
    from nlviz.media.point_tracks import PointTracks, read_point_tracks

    pixels = (clip.width, clip.height) if options.tracks_in_pixels else (_SIDE, _SIDE)
    truth = read_point_tracks(options.tracks, size=pixels).of(clip)
    shown = truth.visible.any(axis=1)
    if not shown.any():
        raise QueryError(f"'{truth.name}' shows no point on a sampled frame; sample others.")
    truth = PointTracks(truth.name, truth.tracks[shown], truth.visible[shown])
    points = []
    for each, first in zip(truth.tracks, truth.visible.argmax(axis=1), strict=True):
        x, y = each[first] * (clip.width / _SIDE, clip.height / _SIDE)
        inside = min(max(x, 0.0), clip.width - 1e-6), min(max(y, 0.0), clip.height - 1e-6)
        points.append(Point(clip.indices[first], *inside))
    return points, truth


def _report(
    analysis: Analysis,
    clip: Clip,
    found: FollowedPoints,
    truth: PointTracks | None,
    *,
    windows: bool,
) -> dict[str, Any]:
    from nlviz.export.report import seen
    from nlviz.tracking.points import HOW
    from nlviz.windows.points import POINTS_HANDED_ON

    confidence, visible = found.confidence, found.visible
    handed = f" {POINTS_HANDED_ON}" if windows else ""
    words = f"{found.protocol.words} {HOW}{handed}"
    report = {
        **seen(analysis),
        "block": found.block,
        "protocol": {**asdict(found.protocol), "words": words},
        "points": [
            {
                **where(point),
                "places": [
                    {
                        "frame": frame,
                        "x": float(found.places[i, at, 0]),
                        "y": float(found.places[i, at, 1]),
                        "confidence": float(confidence[i, at]),
                        "visible": bool(visible[i, at]),
                    }
                    for at, frame in enumerate(found.frames)
                ],
            }
            for i, point in enumerate(found.points)
        ],
    }
    report["input"]["sampled_frames"] = list(clip.indices)
    if truth is not None:
        from nlviz.tracking import point_scores

        scale = np.array([_SIDE / clip.width, _SIDE / clip.height])
        scores = point_scores(
            found.places * scale, truth.tracks, visible=truth.visible, found_visible=visible
        )
        report["scores"] = asdict(scores)
    return report


def _print(report: dict[str, Any], protocol: Protocol) -> None:
    print(f"{report['model']}, block {report['block']}: {protocol.numbers}")
    print(f"{'point':>5}  {'frame':>6}  {'x':>7}  {'y':>7}  confidence")
    for number, point in enumerate(report["points"]):
        for each in point["places"]:
            print(
                f"{number:>5}  {each['frame']:>6}  {each['x']:>7.1f}  {each['y']:>7.1f}  "
                f"{each['confidence']:>10.2f}"
            )
    scores = report.get("scores")
    if scores:
        from nlviz.tracking import THRESHOLDS

        pairs = zip(THRESHOLDS, scores["delta"], strict=True)
        print("δ at " + ", ".join(f"{pixels}: {share:.3f}" for pixels, share in pairs))
        print(
            f"δ_avg {scores['average']:.3f}, AJ {scores['average_jaccard']:.3f}, OA "
            f"{scores['occlusion_accuracy']:.3f} over {scores['positions']} positions"
        )


def _write(
    options: argparse.Namespace,
    question: Question,
    analysis: Analysis,
    clip: Clip,
    found: FollowedPoints,
) -> None:
    from nlviz.provenance import Provenance

    path = Path(options.output)
    made = Provenance.of(analysis, (), command=question.typed)
    words = f"{analysis.network} {found.block}"
    if path.suffix.lower() == ".csv":
        from nlviz.export.tables import points_csv

        write(path, points_csv(found))
    elif path.suffix.lower() in (".mp4", ".gif"):
        from nlviz.film import TrackStyle, points_film

        style = TrackStyle(options.width, options.fps, comment=made.json)
        points_film(clip, found, words, style).save(path, progress=progress)
    else:
        from nlviz.figures.tracks import Tracked, track_strip

        names = [f"point {number}" for number in range(len(found.points))]
        tracked = Tracked(
            clip,
            f"{words} · {found.protocol.numbers} · hollow: confidence below one half",
            names,
            places=found.places,
            visible=found.visible,
        )
        track_strip(tracked).signed(made).save(path)
    print(f"Wrote {path}.", file=sys.stderr)
