"""``python -m training.cards.overview``: the tables of docs/how-good.md and README from the cards.

Each is written anew where it stands, from the figures that training wrote down beside the weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from nlviz.models import zoo
from nlviz.models.bundled import Record
from nlviz.models.pairwise import WORDS
from training.measures.robustness import ALL

_TOP = Path(__file__).resolve().parents[2]
_HOW_GOOD = "| | same-object precision, six DAVIS 2016 sequences (cosine) |"
_README = "| | f | same object found, of 20 links (cosine of its input) |"


def how_good() -> str:
    """One row a network: where it points, whether it helps, whether it still classifies."""
    lines = [
        f"{_HOW_GOOD} 20 links carry of a row | exact place (cosine) | class kept, with the blocks "
        "(without), clips | still classifies at 224, top-1 and top-5 |",
        "|---" * 6 + "|",
    ]
    for record in _records():
        found = _measured(record)
        block, precision, cosine = _best(found)
        share = [s["share"] for s in _of(found, block, "block") if s["share"] is not None]
        exact = {(p["block"], p["what"]): p["precision"] for p in found["correspondence"]}
        helped = {len(a["ablated"]): a for a in found["helped"] if a["corruption"] == ALL}
        classes = found["classification"][0]
        bold = "**" if record.name == "nl-lite0" else ""
        lines.append(
            f"| `{record.name}` | {bold}{precision:.3f}{bold} in {block} ({cosine:.3f}) "
            f"| {f'{np.median(share):.0%}' if share else '–'} "
            f"| {exact[block, 'block']:.3f} ({exact[block, 'raw cosine']:.3f}) "
            f"| {helped[0]['clips']:.3f} ({helped[3]['clips']:.3f}), {found['clips']} "
            f"| {classes['top1']:.1%}, {classes['top5']:.0%} |"
        )
    return "\n".join(lines)


def readme() -> str:
    """One row a network: its function and its best block's precision."""
    lines = [_README, "|---|---|---|"]
    for record in _records():
        how = WORDS[record.function] + ("" if record.norm else ", nothing normalised")
        _, precision, cosine = _best(_measured(record))
        lines.append(f"| `{record.name}` | {how} | {precision:.2f} ({cosine:.2f}) |")
    return "\n".join(lines)


def put(page: str, table: str) -> str:
    """A page with the table in the place of the one that begins alike.

    Raises:
        ValueError: no table of the page begins so.
    """
    lines, first = page.split("\n"), table.split("\n")[0].split("|")[1:3]
    for at, line in enumerate(lines):
        if line.startswith("|") and line.split("|")[1:3] == first:
            end = next(i for i in range(at, len(lines) + 1) if not lines[i].startswith("|"))
            return "\n".join([*lines[:at], table, *lines[end:]])
    raise ValueError(f"The page has no table that begins with {first}.")


def _records() -> list[Record]:
    return [record for name in zoo.bundled() if isinstance(record := zoo.record(name), Record)]


def _measured(record: Record) -> dict[str, Any]:
    facts = json.loads(record.card.with_suffix(".json").read_text(encoding="utf-8"))
    found: dict[str, Any] = facts["measured"]
    return found


def _of(found: dict[str, Any], block: str, what: str) -> list[dict[str, Any]]:
    return [s for s in found["real"] if (s["block"], s["what"]) == (block, what)]


def _best(found: dict[str, Any]) -> tuple[str, float, float]:
    """The block of the highest precision on real clips, that, and its input's cosine's."""

    def mean(block: str, what: str) -> float:
        return float(np.mean([s["precision"] for s in _of(found, block, what)]))

    blocks = list(dict.fromkeys(s["block"] for s in found["real"]))
    best = max(blocks, key=lambda block: mean(block, "block"))
    return best, mean(best, "block"), mean(best, "raw cosine")


def main() -> None:
    for page, table in (
        (_TOP / "docs" / "how-good.md", how_good()),
        (_TOP / "README.md", readme()),
    ):
        page.write_text(put(page.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main()
