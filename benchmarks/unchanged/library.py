"""What the library says of the bundled clips, as one NPZ: run by its path in each checkout.

`python -P library.py OUT.npz` with the checkout on PYTHONPATH and as the working directory. Only
names that are public are used, so the same file runs before and after modules moved. A name in
the NPZ is "thing: of what"; records are JSON, whose numbers are exact.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import nlviz
from nlviz import Point, Query, Region

NETWORKS = ("nl-lite0", "nl-lite0-gaussian", "nl-lite0-dot", "nl-lite0-concat")
OWN = f"{Path(__file__).parent / 'net.py'}:build"
SIZE, FRAMES = 160, 4
ENDINGS = (".mp4", ".jpg")
BASELINES = ("uniform", "cosine", "shuffled")

Fact = tuple[str, Any]


def load(name: str) -> Any:
    """A network; by the one way there is after the house, else by the zoo."""
    if name == OWN:
        return nlviz.load_user_network(name, device="cpu")
    if hasattr(nlviz, "load"):
        return nlviz.load(name, device="cpu")
    return import_module("models.zoo").load(name, device="cpu")


def text(record: Any) -> str:
    """A record, or records, as JSON."""
    return json.dumps(record, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist()  # an array, or one of its numbers


def facts() -> Iterator[Fact]:
    """All of them."""
    networks = {name: load(name) for name in (*NETWORKS, OWN)}
    for path in sorted(Path("assets/clips").iterdir()):
        if path.suffix not in ENDINGS:
            continue
        clip = nlviz.read(path, frames=FRAMES)
        yield f"frames: {path.name}", clip.frames
        yield f"frames: {path.name}, when", text([clip.indices, clip.timestamps, clip.total])
        for name, network in networks.items():
            short = "own" if name == OWN else name
            analysis = nlviz.analyse(clip, network, size=None if name == OWN else SIZE)
            for said, value in of_network(analysis, network):
                yield f"{said}, {short}, {path.name}", value


def of_network(analysis: Any, network: Any) -> Iterator[Fact]:
    """What a network saw in a clip."""
    yield "prediction: of all", text(analysis.prediction)
    yield "fidelity: of all", text(analysis.fidelity)
    yield "blocks: of all", text([analysis.blocks, analysis.view, sorted(analysis.refused)])
    yield "effects: of all", text(nlviz.effects(analysis, network))
    sized = nlviz.with_sizes(analysis, network)
    for block in analysis.blocks:
        for said, value in of_block(sized, network, block):
            yield f"{said}, {block}", value


def of_block(analysis: Any, network: Any, block: str) -> Iterator[Fact]:
    """What one block says, and what is worked out from it."""
    affinity, clip = analysis.affinity(block), analysis.clip
    yield "θ and φ: θ", affinity.theta
    yield "θ and φ: φ", affinity.phi
    grids = [affinity.query_grid, affinity.key_grid]
    yield "θ and φ: grids", text([affinity.function, affinity.scale, affinity.heads, *grids])
    if block in analysis.sizes:
        yield "with_sizes: ‖W_z g‖", analysis.sizes[block]
    yield "block statistics: of it", text(nlviz.block_statistics(analysis, block))
    asked = queries(analysis, block)
    for name, query in asked.items():
        for said, value in of_query(analysis, query):
            yield f"{said} of a {name}", value
    place = asked["place"].point
    yield (
        "receptive field: of a place",
        text(nlviz.receptive_field(analysis, network, block, place)),
    )
    yield "masks: of a place", nlviz.mask_of(analysis, block, place)
    if not clip.is_image and affinity.joins_frames:
        mask = nlviz.mask_of(analysis, block, asked["box"].point)
        carried = nlviz.track(analysis, block, mask, frame=clip.indices[-1])
        yield "tracking: masks", carried.masks
        yield "tracking: objects", carried.objects
        truth = np.roll(carried.objects[0], 9, axis=1)
        yield (
            "tracking: J and F",
            text(
                [
                    nlviz.region_similarity(carried.objects[0], truth),
                    nlviz.contour_accuracy(carried.objects[0], truth),
                ]
            ),
        )
    for kind in BASELINES:
        yield from of_baseline(analysis, network, asked["place"], kind)
    if clip.name == "ball.mp4" and block in analysis.sizes:
        yield (
            "faithfulness: of a place",
            text(nlviz.faithfulness(analysis, network, asked["place"], draws=1)),
        )


def queries(analysis: Any, block: str) -> dict[str, Query]:
    """A place, a place that is looked at, a box."""
    clip = analysis.clip
    width, height = clip.width, clip.height
    alone = not analysis.affinity(block).joins_frames
    place = Query(
        Point(clip.indices[0], 0.3 * width, 0.4 * height), block, 7, "cell" if alone else "frame"
    )
    box = Region.box(clip.indices[-1], 0.2 * width, 0.2 * height, 0.7 * width, 0.8 * height)
    return {
        "place": place,
        "column": replace(place, reverse=True, exclude="none"),
        "box": replace(place, point=box, exclude="none"),
    }


def of_query(analysis: Any, query: Query) -> Iterator[Fact]:
    """Everything that one question is answered with."""
    row = nlviz.row_of(analysis, query)
    yield ("columns: weights" if query.reverse else "rows: weights"), row.weights
    yield "rows: what can be linked to", row.allowed
    yield "top links: the heaviest", text(nlviz.top_links(analysis, query))
    if query.block in analysis.sizes:
        ranked = replace(query, rank_by="contribution")
        yield "with_sizes: top links by contribution", text(nlviz.top_links(analysis, ranked))
    yield "best path: into each frame", text(nlviz.best_path(analysis, query))
    yield "profile: of it", text(nlviz.profile(analysis, query))
    for against in ("row", "block", "absolute"):
        scale = nlviz.heat_scale(analysis, query, row, against=against, curve="log")
        yield f"heat scale: against {against}", scale.places(row.weights)


def of_baseline(analysis: Any, network: Any, query: Query, kind: Any) -> Iterator[Fact]:
    """Rows and links of what a block is held against; its error where it has none."""
    try:
        against = nlviz.baseline(analysis, network, query.block, kind)
    except nlviz.CaptureError:
        yield f"baselines: {kind}, refused", "refused"
        return
    asked = replace(query, block=against.blocks[0])
    yield f"baselines: {kind}, row", nlviz.row_of(against, asked).weights
    yield f"baselines: {kind}, links", text(nlviz.top_links(against, asked))


def main() -> None:
    """Write the NPZ."""
    here = Path(nlviz.__file__).resolve()
    if Path.cwd().resolve() not in here.parents:
        raise SystemExit(f"{here} is not of the checkout {Path.cwd()}")
    np.savez(sys.argv[1], **dict(facts()))


if __name__ == "__main__":
    main()
