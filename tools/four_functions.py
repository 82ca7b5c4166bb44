"""The four functions held against each other on the bundled clips: a table of docs/batch.md.

``python -m tools.four_functions`` runs a batch of the four networks over the bundled films with
their exact masks, sums it up, and writes the table into the page between its two marks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

import nlviz
from nlviz.batches.summary import Pair, Summary
from nlviz.resources import CLIPS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "batch.md"
BEGIN, END = "<!-- four functions -->", "<!-- end -->"
MODELS = ("nl-lite0", "nl-lite0-gaussian", "nl-lite0-dot", "nl-lite0-concat")
SIZE = 320
MEASURES = ("same_object", "JF")


def masks(folder: Path) -> None:
    """A picture for each frame of each film, from its labels."""
    for path in sorted(CLIPS.glob("*.mp4")):
        labels = np.load(path.with_suffix(".masks.npz"))["labels"]
        (folder / path.stem).mkdir()
        for number, frame in enumerate(labels):
            cv2.imwrite(str(folder / path.stem / f"{number:05}.png"), frame.astype(np.uint8))


def summed() -> Summary:
    """The batch, in a folder that goes again."""
    with tempfile.TemporaryDirectory() as home:
        made = Path(home) / "masks"
        made.mkdir()
        masks(made)
        options = nlviz.BatchOptions(models=MODELS, masks=str(made), size=SIZE, device="cpu")
        report = nlviz.batch(str(CLIPS / "*.mp4"), Path(home) / "out", options)
        if report.failed:
            raise RuntimeError(report.failed)
        return nlviz.summary(Path(home) / "out")


def table(found: Summary) -> str:
    """Markdown: the best block of each network, beside its input's cosine and nl-lite0."""
    lines = [
        "| network, block | same-object precision | − its input's cosine | − nl-lite0 | "
        "J&F | − its input's cosine | − nl-lite0 |",
        "|---|---|---|---|---|---|---|",
    ]
    for network in MODELS:
        means = [e for e in found.means if (e.network, e.measure) == (network, MEASURES[0])]
        block = max(means, key=lambda each: each.mean).block
        cells = [f"`{network}`, {block}"]
        for measure in MEASURES:
            (mean,) = (
                e
                for e in found.means
                if (e.network, e.block, e.measure) == (network, block, measure)
            )
            cells.append(f"{mean.mean:.3f} ± {mean.error or 0:.3f}")
            for first in ("cosine of its input", MODELS[0]):
                cells.append(_difference(found, first, network, block, measure))
        lines.append("| " + " | ".join(cells) + " |")
    clips = max(each.clips for each in found.means)
    lines.append(
        f"\nMeans over {clips} clips ± standard error; differences clip by clip ± theirs, and in "
        "how many clips the network is higher. Of each network the block of the highest precision."
    )
    return "\n".join(lines)


def _difference(found: Summary, first: str, second: str, block: str, measure: str) -> str:
    pairs: list[Pair] = [
        p
        for p in found.pairs
        if (p.first, p.second, p.block, p.measure) == (first, second, block, measure)
    ]
    if not pairs:
        return ""
    (pair,) = pairs
    return f"{pair.difference:+.3f} ± {pair.error or 0:.3f}, {pair.higher} of {pair.clips}"


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = f"{BEGIN}\n{table(summed())}\n{END}"
    PAGE.write_text(before + made + after, encoding="utf-8")


if __name__ == "__main__":
    main()
