"""Points and regions from a table's cells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nlviz.errors import BatchError, QueryError
from nlviz.geometry import Point, Region

_POINTS = "'FRAME,X,Y', several with ';' between, as in '0,338,162; 4,20,35'"
_REGIONS = "'FRAME,X0,Y0,X1,Y1', several with ';' between, or an outline's corners"


def places_of(line: Mapping[str, Any], where: str) -> Iterator[Point | Region]:
    """The places that one line of a table asks about; BatchError for a cell that is none."""
    if all(line.get(name) is not None for name in ("frame", "x", "y")):
        yield _point([line["frame"], line["x"], line["y"]], where)
    for numbers in _rows(line.get("points"), where, _POINTS):
        yield _point(numbers, where)
    for numbers in _rows(line.get("regions"), where, _REGIONS):
        yield _region(numbers, where)


def _rows(cell: Any, where: str, form: str) -> Iterator[list[Any]]:
    """The numbers of each place: of a text, or of lists or records within each other."""
    if cell is None or cell == "" or cell == []:
        return
    if isinstance(cell, str):
        if cell.lstrip().startswith("["):
            cell = _json(cell, where, form)
        else:
            parts = (part.strip() for part in cell.split(";"))
            yield from (re.split(r"\s*,\s*|\s+", part) for part in parts if part)
            return
    if not isinstance(cell, (list, tuple)):
        raise BatchError(f"{cell!r} in {where} is no place; write {form}.")
    rows = cell if cell and isinstance(cell[0], (list, tuple, dict)) else [cell]
    for row in rows:
        yield list(row.values()) if isinstance(row, dict) else list(row)


def _json(cell: str, where: str, form: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        raise BatchError(f"{cell!r} in {where} is no place; write {form}.") from None


def _point(numbers: list[Any], where: str) -> Point:
    try:
        frame, x, y = map(float, numbers)
        return Point(_frame(frame), x, y)
    except (TypeError, ValueError, QueryError):
        given = ",".join(map(str, numbers))
        raise BatchError(f"'{given}' in {where} is no point; write {_POINTS}.") from None


def _region(numbers: list[Any], where: str) -> Region:
    try:
        frame, *corners = map(float, numbers)
        if len(corners) == 4:
            return Region.box(_frame(frame), *corners)
        return Region(_frame(frame), tuple(zip(corners[::2], corners[1::2], strict=True)))
    except (TypeError, ValueError, QueryError):
        given = ",".join(map(str, numbers))
        raise BatchError(f"'{given}' in {where} is no region; write {_REGIONS}.") from None


def _frame(number: float) -> int:
    if number != int(number):
        raise ValueError
    return int(number)
