"""A strip of what was tracked: objects tinted on the frames, or points with their whole way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from numpy.typing import NDArray
from PIL import Image

from nlviz.clip import Clip
from nlviz.errors import FigureError
from nlviz.figures.figure import Figure
from nlviz.figures.marks import GREY, SMALL, dot, outline, text
from nlviz.figures.strip import CAPTION, CM_PER_INCH, Strip, check_width, columns_for
from nlviz.heat.colormap import PALETTE
from nlviz.heat.tint import tinted

Numbers = NDArray[np.uint16]
Places = NDArray[np.float64]

_DPI = 300
_LETTERS = 0.115  # centimetres of a letter, on average


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What a strip of tracks shows.

    Args:
        clip: the frames.
        words: of the legend: what carried it, and how.
        names: of the objects or points, in order.
        numbers: (H, W) of a sampled frame by its position: 0 on the background, k on an object;
            None for points.
        places: (P, T, 2) of points in source pixels; None for objects.
        visible: (P, T), True where a point is believed.
    """

    clip: Clip
    words: str
    names: Sequence[str]
    numbers: Callable[[int], Numbers] | None = None
    places: Places | None = None
    visible: NDArray[np.bool_] | None = None


def track_strip(
    tracked: Tracked,
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    frames: Sequence[int] | None = None,
    palette: Sequence[str] = PALETTE,
) -> Figure:
    """The clip's frames in a strip with what was tracked on them.

    A point is a dot on each frame, hollow where it is not believed, and behind it the line of all
    places that it had before.

    Args:
        tracked: what is shown.
        width_cm: width of the figure, 8 to 100.
        columns: frames in a row; all in one row up to eight if None.
        frames: source frames to draw; all that were sampled if None.
        palette: the colours; they begin again after the last.

    Raises:
        FigureError: a frame that was not sampled, or a width out of range.
    """
    check_width(width_cm)
    clip = tracked.clip
    for frame in frames or ():
        if frame not in clip.indices:
            raise FigureError(
                f"Frame {frame} was not sampled; draw some of {', '.join(map(str, clip.indices))}."
            )
    kept = [i for i, frame in enumerate(clip.indices) if frames is None or frame in frames]
    shown = replace(
        clip,
        frames=clip.frames[kept],
        indices=tuple(clip.indices[i] for i in kept),
        timestamps=tuple(clip.timestamps[i] for i in kept),
    )
    lines = _lines(tracked.words, width_cm)
    strip = Strip(shown, width_cm, columns_for(shown, columns), 0.06, len(lines) + 1)
    drawing = Drawing(figsize=(width_cm / CM_PER_INCH, strip.height / CM_PER_INCH))
    page = drawing.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    for place, position in enumerate(kept):
        _frame(page, strip, place, position, tracked, palette)
    page.set(xlim=(0, strip.width), ylim=(0, strip.height))
    left = 0.1
    for number, name in enumerate(tracked.names):
        if left < width_cm - 1:
            dot(page, (left, strip.line(0)), palette[number % len(palette)])
            page.text(left + 0.16, strip.line(0), name, **text())
            left += 0.55 + _LETTERS * len(name)
    for number, line in enumerate(lines, start=1):
        page.text(0, strip.line(number), line, **text(SMALL, GREY))
    return Figure(drawing)


def _frame(
    page: Axes,
    strip: Strip,
    place: int,
    position: int,
    tracked: Tracked,
    palette: Sequence[str],
) -> None:
    box, frame = strip.frame(place), tracked.clip.frames[position]
    width = max(1, min(frame.shape[1], round(box.width / CM_PER_INCH * _DPI)))
    size = width, max(1, round(width * frame.shape[0] / frame.shape[1]))
    pixels = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS))
    if tracked.numbers is not None:
        pixels = tinted(pixels, tracked.numbers(position), palette)
    page.imshow(
        pixels,
        extent=(box.x, box.x + box.width, box.y, box.y + box.height),
        aspect="auto",
        gid=f"frame-{tracked.clip.indices[position]}",
    )
    word = "frame " if place == 0 else ""
    under = (box.x, box.y - CAPTION / 2, f"{word}{tracked.clip.indices[position]}")
    page.text(*under, **text(SMALL, GREY))
    for i in range(0 if tracked.places is None else len(tracked.places)):
        _point(page, strip, place, position, tracked, i, palette[i % len(palette)])


def _point(
    page: Axes,
    strip: Strip,
    place: int,
    position: int,
    tracked: Tracked,
    i: int,
    colour: str,
) -> None:
    """A point's way up to a frame, and where it is there."""
    if tracked.places is None or tracked.visible is None:
        return
    way = [strip.place(place, x, y) for x, y in tracked.places[i, : position + 1].tolist()]
    xs, ys = zip(*way, strict=True)
    gid = f"trail-{i + 1}-{tracked.clip.indices[position]}"
    page.plot(
        xs, ys, color=colour, linewidth=0.7, path_effects=outline(colour, 0.7), gid=gid, zorder=4
    )
    if tracked.visible[i, position]:
        dot(page, way[-1], colour)
    else:
        rings = page.plot(*way[-1], "o", markersize=3.6, markeredgecolor=colour, zorder=5)
        rings[0].set(markerfacecolor="none", markeredgewidth=0.7)


def _lines(words: str, width: float) -> list[str]:
    """Words in lines that fit the page."""
    most, lines = int(width / _LETTERS), [""]
    for word in words.split():
        if len(lines[-1]) + 1 + len(word) > most and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
