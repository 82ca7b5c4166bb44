"""``python -m training.evaluate [FOLDER] [--model NAME …] [--json]``: every measure of a network.

Same-object precision on the bundled painted clips, and on the real clips of FOLDER where it is
given (SEQUENCE/{frames,masks}); exact correspondence on rendered clips; whether the blocks help on
corrupted clips; whether the network still classifies. All of it on what was not trained on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from nlviz.models import zoo
from training.data.photographs import Photographs, collect
from training.measures import correspondence, robustness, same_object
from training.measures.correspondence import Precision
from training.measures.robustness import Agreement, Classification
from training.measures.same_object import Score

CACHE = Path(__file__).resolve().parent / "cache"


@dataclass(frozen=True, slots=True)
class Measures:
    """All that was measured of one network; ``real`` is empty where no folder was given."""

    model: str
    real: tuple[Score, ...]
    painted: tuple[Score, ...]
    correspondence: tuple[Precision, ...]
    helped: tuple[Agreement, ...]
    clips: int  # that the help was counted over
    sizes: Mapping[str, float]
    classification: tuple[Classification, ...]


def evaluate(
    network: zoo.Network,
    held_out: Photographs,
    folder: Path | None,
    *,
    count: int = robustness.CLIPS,
) -> Measures:
    """Every measure of a network; ``folder`` holds real clips with masks.

    ``count``: of the clips that are corrupted, most of the time that this takes.
    """
    clips = robustness.clips(held_out, network, count)
    return Measures(
        model=network.name,
        real=tuple(_scored(network, same_object.real(folder)) if folder else ()),
        painted=tuple(_scored(network, same_object.painted())),
        correspondence=tuple(correspondence.score(network, correspondence.clips(held_out))),
        helped=tuple(robustness.helped(network, clips)),
        clips=count,
        sizes=robustness.sizes(network, clips),
        classification=tuple(
            robustness.classifies(network, held_out.backgrounds, size)
            for size in (robustness.SIDE, network.default_size)
        ),
    )


def _scored(network: zoo.Network, found: Iterable[same_object.MaskedClip]) -> list[Score]:
    return [row for sequence in found for row in same_object.score(network, sequence)]


def precision_table(scores: Iterable[Score]) -> str:
    """Markdown: same-object precision, one row per block and kind, one column per object."""
    scores = list(scores)
    names = list(dict.fromkeys(s.sequence for s in scores))
    by = {(s.block, s.what, s.sequence): s for s in scores}
    lines = [
        "| block | what | all | best link a frame | share of a row | " + " | ".join(names) + " |",
        "|---" * (5 + len(names)) + "|",
    ]
    for block, what in dict.fromkeys((s.block, s.what) for s in scores):
        each = [by.get((block, what, name)) for name in names]
        there = [s for s in each if s]
        precision = np.mean([s.precision for s in there])
        best = np.mean([s.best_a_frame for s in there])
        shares = [s.share for s in there if s.share is not None]
        share = f"{np.median(shares):.0%}" if shares else "–"
        cells = " | ".join(f"{s.precision:.2f}" if s else "–" for s in each)
        lines.append(f"| {block} | {what} | **{precision:.3f}** | {best:.3f} | {share} | {cells} |")
    chance = {s.sequence: s.chance for s in scores}
    mean = np.mean(list(chance.values()))
    cells = " | ".join(f"{chance[name]:.2f}" for name in names)
    return "\n".join([*lines, f"| | chance | {mean:.3f} | {mean:.3f} | – | {cells} |"])


def correspondence_table(found: Iterable[Precision]) -> str:
    """Markdown: precision of the exact correspondence."""
    lines = ["| block | what | exact | chance |", "|---|---|---|---|"]
    lines += [f"| {p.block} | {p.what} | **{p.precision:.3f}** | {p.chance:.3f} |" for p in found]
    return "\n".join(lines)


def help_table(measured: Measures) -> str:
    """Markdown: agreement with the clean clip, with the blocks and without."""
    kinds = list(dict.fromkeys(a.corruption for a in measured.helped))
    lines = [
        "| blocks | " + " | ".join(kinds) + " | gain | corrupted clips' frames |",
        "|---" * (len(kinds) + 3) + "|",
    ]
    for ablated in dict.fromkeys(a.ablated for a in measured.helped):
        rows = {a.corruption: a for a in measured.helped if a.ablated == ablated}
        what = f"without {', '.join(ablated)}" if ablated else "all"
        each = " | ".join(f"{rows[kind].clips:.2f}" for kind in kinds[:-1])
        whole = rows[robustness.ALL]
        lines.append(
            f"| {what} | {each} | **{whole.clips:.3f}** | {whole.gain:+.3f} ± {whole.error:.3f} "
            f"| {whole.frames:.3f} |"
        )
    sizes = ", ".join(f"{block} {size:.3f}" for block, size in measured.sizes.items())
    said = (
        f"Of {measured.clips} clips, each corrupted in {len(kinds) - 1} ways. The gain is over "
        "the network without any block, clip by clip, with its standard error."
    )
    return "\n".join([*lines, "", said, f"‖W_z y‖ / ‖x‖ on the clean clips: {sizes}."])


def classification_table(found: Iterable[Classification]) -> str:
    """Markdown: agreement with the plain network on clean photographs."""
    lines = ["| longer side | photographs | top-1 | top-5 |", "|---|---|---|---|"]
    lines += [f"| {c.size} | {c.photographs} | {c.top1:.3f} | {c.top5:.3f} |" for c in found]
    return "\n".join(lines)


def text(measured: Measures) -> str:
    """Every table of a network, in Markdown."""
    parts = [f"# {measured.model}"]
    if measured.real:
        parts += ["## Same-object precision, real clips", precision_table(measured.real)]
    parts += [
        "## Same-object precision, painted clips",
        precision_table(measured.painted),
        "## Exact correspondence, rendered clips",
        correspondence_table(measured.correspondence),
        "## Does it help",
        help_table(measured),
        "## Does it still classify",
        classification_table(measured.classification),
    ]
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="holds SEQUENCE/{frames,masks}")
    parser.add_argument("--model", action="append", help="repeatable; all bundled ones without")
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--clips", type=int, default=robustness.CLIPS, help="that are corrupted")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    held_out = collect(options.cache, held_out=True)
    for name in options.model or zoo.bundled():
        network = zoo.load(name, device=options.device)
        measured = evaluate(network, held_out, options.folder, count=options.clips)
        print(json.dumps(asdict(measured)) if options.json else text(measured), flush=True)


if __name__ == "__main__":
    main()
