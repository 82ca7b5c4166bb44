"""A class by its name: which number it has, and what to call it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from nlviz.errors import QueryError


def class_number(label: str, classes: Sequence[str]) -> int:
    """The number of a class by its name, or by the first of several names that it has.

    QueryError for one that is not there, with those that are nearest, or for a name of several.
    """
    if label in classes:
        return classes.index(label)
    wanted = label.casefold()
    fits = [i for i, name in enumerate(classes) if wanted in _names(name)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        several = "; ".join(classes[i] for i in fits)
        raise QueryError(f"Class {label!r} could be several: {several}; give its whole name.")
    if not classes:
        raise QueryError("The network has no classes; choose a network that classifies.")
    every = {each: name for name in classes for each in _names(name)}
    near = difflib.get_close_matches(wanted, every, n=3, cutoff=0.5) or list(every)[:3]
    told = ", ".join(dict.fromkeys(class_name_of(every[each]) for each in near))
    raise QueryError(f"Class {label!r} is unknown; the network has {len(classes)}, such as {told}.")


def class_name(number: int, classes: Sequence[str]) -> str:
    """A class's first name, or all of them where another class has that, too."""
    first = class_name_of(classes[number])
    alone = sum(class_name_of(name) == first for name in classes) == 1
    return first if alone else classes[number]


def class_name_of(label: str) -> str:
    """The first of several names, as ImageNet's classes have them."""
    return label.split(",")[0].strip()


def _names(label: str) -> list[str]:
    return [label.casefold(), *(part.strip().casefold() for part in label.split(","))]
