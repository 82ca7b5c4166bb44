"""The class scores in what a network puts out, whatever it wraps them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from nlviz.analysis import Prediction

_TOP_CLASSES = 5


def class_scores(output: Any, classes: tuple[str, ...]) -> torch.Tensor | None:
    """Softmax scores (classes,) of a network's output; None where it holds no class scores."""
    logits = class_logits(output, classes)
    return None if logits is None else logits.softmax(0)


def class_logits(output: Any, classes: tuple[str, ...]) -> torch.Tensor | None:
    """Logits (classes,) in a network's output, the mean over all other axes; None without any.

    The output is a tensor (…, classes), or a mapping, sequence or record with one in it, also
    within each other: what is called ``logits`` if that fits, as in Hugging Face's outputs, else
    the first that does.
    """
    logits = logits_in(output, classes)
    return None if logits is None else logits.detach()


def logits_in(output: Any, classes: tuple[str, ...]) -> torch.Tensor | None:
    """The same (classes,) as part of the network's computation, so that gradients flow through."""
    number = len(classes)
    fitting = (t for t in _tensors(output) if number and t.shape[-1:] == (number,) and t.numel())
    logits = next(fitting, None)
    return None if logits is None else logits.float().cpu().reshape(-1, number).mean(0)


def top_classes(output: Any, classes: tuple[str, ...]) -> tuple[Prediction, ...]:
    """The classes with the highest scores, best first; empty without class scores."""
    scores = class_scores(output, classes)
    if scores is None:
        return ()
    best = scores.topk(min(_TOP_CLASSES, len(classes)))
    return tuple(
        Prediction(classes[int(i)], float(score))
        for score, i in zip(best.values, best.indices, strict=True)
    )


def why_no_class(output: Any, classes: tuple[str, ...]) -> str | None:
    """A sentence where classes are named and nothing of the output can be their scores."""
    if not classes or class_scores(output, classes) is not None:
        return None
    shapes = list(dict.fromkeys(str(tuple(t.shape)) for t in _tensors(output)))
    put_out = f"numbers of shape {', '.join(shapes[:4])}" if shapes else type(output).__name__
    number = f"{len(classes)} classes are" if len(classes) > 1 else "1 class is"
    return (
        f"No class is shown: {number} named, but the network puts out {put_out}"
        f"{' and others' if len(shapes) > 4 else ''}, none of which ends in {len(classes)}."
    )


def _tensors(value: Any, met: set[int] | None = None) -> Iterator[torch.Tensor]:
    """The tensors of numbers in a value, ``logits`` before the others of one mapping or record."""
    met = set() if met is None else met
    if isinstance(value, torch.Tensor):
        if value.is_floating_point():
            yield value
    elif id(value) not in met:
        met.add(id(value))
        for part in _parts(value):
            yield from _tensors(part, met)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        named = dict(value)
    elif is_dataclass(value):
        named = {each.name: getattr(value, each.name, None) for each in fields(value)}
    elif isinstance(value, (list, tuple)) and not hasattr(value, "logits"):
        return list(value)
    else:
        named = {"logits": getattr(value, "logits", None), **getattr(value, "__dict__", {})}
        named |= getattr(value, "_asdict", dict)()
    first = [named.pop("logits")] if "logits" in named else []
    return [*first, *named.values()]
