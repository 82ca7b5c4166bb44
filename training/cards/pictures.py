"""The pictures of a card: the training curve, and where the network fails."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import nlviz
from nlviz.models import zoo
from nlviz.models.zoo import Network
from training.cards.card import rows
from training.evaluate import Measures
from training.measures import same_object

_LABELS = {"nl3": "nl3 finds", "nl4": "nl4 finds", "nl5": "nl5 finds"} | {
    "mend": "corrupted clips' classes",
    "keep": "clean clips' classes",
}
_WINDOW = 5  # entries of the log in a running mean


def curve(log: Path, target: Path) -> None:
    """Each loss over the steps, as SVG: running means of the run's log."""
    drawing = Figure(figsize=(7, 2.6), layout="constrained")
    find, mend = drawing.subplots(1, 2)
    for axes, keys, title in (
        (find, ("nl3", "nl4", "nl5"), "to find: cross-entropy of the row"),
        (mend, ("mend", "keep"), "to mend: divergence from the clean classes"),
    ):
        for key in keys:
            points = [(row["step"], row[key]) for row in rows(log) if key in row]
            if len(points) >= _WINDOW:
                steps, values = np.array(points).T
                smooth = np.convolve(values, np.ones(_WINDOW) / _WINDOW, "valid")
                axes.plot(
                    steps[_WINDOW // 2 : len(smooth) + _WINDOW // 2], smooth, label=_LABELS[key]
                )
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.set_ylabel("nats", fontsize=8)
        axes.tick_params(labelsize=8)
        if axes.lines:
            axes.legend(fontsize=7, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    drawing.savefig(target, metadata={"Date": None})


def failures(network: Network, measured: Measures, target: Path) -> None:
    """Film strips of the two painted objects that the best block finds worst, as one PNG."""
    blocks = list(dict.fromkeys(s.block for s in measured.painted))
    of = [s for s in measured.painted if s.what == "block"]
    best = max(blocks, key=lambda b: np.mean([s.precision for s in of if s.block == b]))
    worst = sorted((s for s in of if s.block == best), key=lambda s: s.precision)[:2]
    strips = []
    for score in worst:
        for sequence in same_object.painted():
            if score.sequence in sequence.objects:
                analysis = nlviz.analyse(sequence.clip, network)
                point = _inside(sequence, score.sequence)
                links = nlviz.top_links(analysis, nlviz.Query(point, best))
                strips.append(nlviz.film_strip(analysis, [links]))
    _stack(strips, target)


def functions(target: Path) -> None:
    """The same query on a painted clip in each bundled network's best known block, as one PNG."""
    sequence = next(s for s in same_object.painted() if s.clip.name == "safari.mp4")
    point = _inside(sequence, "safari 4")
    strips = []
    for name in zoo.bundled():
        analysis = nlviz.analyse(sequence.clip, zoo.load(name))
        links = nlviz.top_links(analysis, nlviz.Query(point, "nl5"))
        strips.append(nlviz.film_strip(analysis, [links]))
    _stack(strips, target)


def _stack(strips: list[nlviz.Figure], target: Path) -> None:
    """Figures below each other."""
    drawn = [Image.open(BytesIO(strip.png(dpi=130))) for strip in strips]
    sheet = Image.new("RGB", (max(d.width for d in drawn), sum(d.height for d in drawn)), "white")
    top = 0
    for picture in drawn:
        sheet.paste(picture, (0, top))
        top += picture.height
    sheet.quantize(256).save(target, optimize=True)


def _inside(sequence: same_object.Sequence, name: str) -> nlviz.Point:
    """The pixel deepest inside an object on the frame that shows most of it."""
    masks = sequence.objects[name]
    t = int(masks.sum((1, 2)).argmax())
    depth = cv2.distanceTransform(masks[t].astype(np.uint8), cv2.DIST_L2, 5)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return nlviz.Point(sequence.clip.indices[t], float(x), float(y))
