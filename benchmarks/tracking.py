"""How well each block's affinity carries an object: label propagation, J and F, by sequence.

`python -m benchmarks.tracking FOLDER [--model nl-lite0] [--size 960] [--block nl5]`; FOLDER holds
SEQUENCE/{frames,masks}, one mask a frame, as DAVIS has them. Beside each block: the cosine of its
input (raw features), and the first mask held still. Means are over the frames after the first,
then over sequences.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import nlviz
from nlviz.models import zoo
from nlviz.tracking import PROTOCOL, mean_after

LONGEST = 1000  # frames of a sequence


def measure(
    path: Path,
    network: zoo.Network,
    protocol: nlviz.Protocol,
    *,
    size: int | None = None,
    blocks: Sequence[str] = (),
) -> dict[str, tuple[float, float]]:
    """What → (J, F) on one sequence."""
    clip = nlviz.read(path / "frames", frames=LONGEST, stride=1)
    truth = nlviz.read_masks(path / "masks", clip)
    analysis = nlviz.analyse(clip, network, size=size)
    out = {}
    for block in blocks or analysis.blocks:
        cosine = nlviz.baseline(analysis, network, block, "cosine")
        for seen, name in ((analysis, block), (cosine, cosine.blocks[0])):
            track = nlviz.track(seen, name, truth[0], protocol=protocol)
            out[name] = mean_after(track.objects, truth)
    out["first mask held still"] = mean_after(np.repeat(truth[:1], len(truth), axis=0), truth)
    return out


def table(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Markdown: one row for each way, J and F in all and J by sequence."""
    names = list(found)
    lines = ["| what | J&F | J | F | " + " | ".join(f"{name} J" for name in names) + " |"]
    lines.append("|---" * (4 + len(names)) + "|")
    for what in found[names[0]]:
        j, f = np.mean([found[name][what] for name in names], axis=0)
        each = " | ".join(f"{found[name][what][0]:.2f}" for name in names)
        lines.append(f"| {what} | **{(j + f) / 2:.3f}** | {j:.3f} | {f:.3f} | {each} |")
    return "\n".join(lines)


def main() -> None:
    usual = nlviz.Protocol()
    parser = argparse.ArgumentParser(description="Tracking by affinity, measured.")
    parser.add_argument("folder", type=Path, help="holds SEQUENCE/{frames,masks}")
    parser.add_argument("--model", default="nl-lite0")
    parser.add_argument("--size", type=int)
    parser.add_argument("--block", action="append", default=[], help="repeatable; all without")
    parser.add_argument("--context", type=int, default=usual.context)
    parser.add_argument("--radius", type=float, default=usual.radius, help="0 for anywhere")
    parser.add_argument("--heaviest", type=int, default=usual.heaviest)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    protocol = nlviz.Protocol(options.context, options.radius or None, options.heaviest)
    network = zoo.load(options.model)
    found = {
        path.name: measure(path, network, protocol, size=options.size, blocks=options.block)
        for path in sorted(options.folder.iterdir())
        if (path / "masks").is_dir()
    }
    if options.json:
        print(
            json.dumps(
                {"model": network.name, "protocol": asdict(protocol), "sequences": found}, indent=1
            )
        )
        return
    print(table(found))
    print(f"\n{PROTOCOL}\nHere: {protocol}, model {network.name}.")


if __name__ == "__main__":
    main()
