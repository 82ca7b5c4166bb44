"""Object queries of a detection network, named by the class and score of what each found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from torch import Tensor

from nlviz.affinity import Affinity
from nlviz.errors import CaptureError
from nlviz.hooks.capture import Capture

_NUMBERED = re.compile(r"(.+) (\d+)")


def named_objects(seen: Capture, classes: Mapping[int, str]) -> Capture:
    """A capture whose object queries are called "dog 93% (query 4)".

    An object query is a learned vector that becomes one detection, as in DETR. Its cross attention
    lies on the picture, and ``row`` of its name is where it looks.

    Args:
        seen: of a network that puts out ``logits`` (1, queries, classes, the last one "none") and
            ``pred_boxes`` (1, queries, 4).
        classes: number of the class → its name, as ``config.id2label``.

    Raises:
        CaptureError: no such output, or no block with as many tokens of one name.
    """
    logits, boxes = (_part(seen.output, name) for name in ("logits", "pred_boxes"))
    if logits is None or boxes is None or logits.ndim != 3 or logits.shape[:2] != boxes.shape[:2]:
        raise CaptureError(
            "The output has no logits of object queries beside their pred_boxes, so nothing says "
            "what each query found."
        )
    scores = logits[0].detach().float().softmax(-1)[:, :-1]
    found = zip(*(each.tolist() for each in scores.max(-1)), strict=True)
    names = [
        f"{classes.get(best, f'class {best}')} {score:.0%} (query {number})"
        for number, (score, best) in enumerate(found, start=1)
    ]
    named = {block: _named(each, names) for block, each in seen.affinities.items()}
    if all(named[block] is each for block, each in seen.affinities.items()):
        raise CaptureError(
            f"No block has {len(names)} learned vectors of one name as its tokens, one for each "
            "object query."
        )
    return replace(seen, affinities=MappingProxyType(named))


def _part(output: Any, name: str) -> Tensor | None:
    part = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return part if isinstance(part, Tensor) else None


def _named(affinity: Affinity, names: list[str]) -> Affinity:
    """The affinity with other names for the queries, if its numbered tokens are that many."""
    matches = [(token, _NUMBERED.fullmatch(token)) for token in affinity.tokens]
    numbered: dict[str, dict[int, str]] = {}
    for token, match in matches:
        if match is not None:
            numbered.setdefault(match[1], {})[int(match[2])] = token
    for tokens in numbered.values():
        if sorted(tokens) == list(range(1, len(names) + 1)):
            return affinity.named({tokens[i]: name for i, name in enumerate(names, start=1)})
    return affinity
