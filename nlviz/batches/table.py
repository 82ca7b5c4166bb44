"""The table of a batch: its columns, and one clip's part of it as Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from nlviz.batches.listing import Entry
from nlviz.errors import BatchError

_LINK = pa.struct(
    [
        ("rank", pa.int32()),
        ("weight", pa.float64()),
        ("share", pa.float64()),
        ("frame", pa.int32()),
        ("x", pa.float64()),
        ("y", pa.float64()),
    ]
)

_ENTRY = {"id": pa.string(), "path": pa.string(), "clip": pa.string()}
_ASKED = {
    **{name: pa.int32() for name in ("width", "height")},
    "frames": pa.list_(pa.int32()),
    "window": pa.int32(),
    **{name: pa.string() for name in ("network", "weights", "block")},
    "head": pa.int32(),
    "kind": pa.string(),
    "query": pa.int32(),
    "object": pa.string(),
    "frame": pa.int32(),
    **{name: pa.float64() for name in ("x", "y")},
    "outline": pa.list_(pa.list_(pa.float64())),
}

SPREAD = ("distance", "duration", "own_frame", "entropy", "effective", "covered", "tokens")
"""Numbers of a row, as in ``Profile``; ``covered`` is what it calls ``links``."""
AVERAGES = ("divergence", "reach_divergence")
"""Further numbers of a block's averages, as in ``BlockStatistics``."""
ON_OBJECT = ("same_object", "best_a_frame", "J", "F", "JF")
COSINE = tuple(f"cosine_{name}" for name in ON_OBJECT)
MEASURES = (*SPREAD, *AVERAGES, *ON_OBJECT, *COSINE)
"""What is averaged over clips and compared between networks."""

_NUMBERS = {
    "fidelity": pa.float64(),
    **{name: pa.float64() for name in SPREAD},
    **{name: pa.int32() for name in ("positions", "queries")},
    **{name: pa.float64() for name in AVERAGES},
    "alike": pa.bool_(),
    **{name: pa.float64() for name in ON_OBJECT},
    "chance": pa.float64(),
    **{name: pa.float64() for name in COSINE},
    "links": pa.list_(_LINK),
    "refused": pa.string(),
}
COLUMNS = (*_ENTRY, *_ASKED, *_NUMBERS)

ERRORS = pa.schema(
    [(name, pa.string()) for name in ("id", "path", "clip", "stage", "error", "why")]
)


class Columns:
    """The columns that a list's own ones make the table have.

    Args:
        found: the whole list.

    Raises:
        BatchError: a column of the list has the name of one of the table's.
    """

    def __init__(self, found: Sequence[Entry]) -> None:
        values: dict[str, list[Any]] = {}
        for entry in found:
            for name, value in entry.carried:
                values.setdefault(name, []).append(value)
        taken = [name for name in values if name in COLUMNS]
        if taken:
            raise BatchError(
                f"The list has a column '{taken[0]}', which is a column of the result; name it "
                "otherwise."
            )
        self.types = {name: _type(each) for name, each in values.items()}

    @property
    def words(self) -> dict[str, str]:
        """Each carried column's type in a word."""
        return {name: str(kind) for name, kind in self.types.items()}

    @property
    def schema(self) -> pa.Schema:
        """Of the whole table."""
        whole = {**_ENTRY, **self.types, **_ASKED, **_NUMBERS}
        return pa.schema(list(whole.items()))

    def part(self, entry: Entry, rows: Iterable[Mapping[str, Any]]) -> bytes:
        """The rows of one clip as a Parquet file; the same rows give the same bytes."""
        own = {"id": entry.id, "path": entry.shown, "clip": entry.name, **self._carried(entry)}
        table = pa.Table.from_pylist([{**row, **own} for row in rows], self.schema)
        return as_parquet(table)

    def _carried(self, entry: Entry) -> dict[str, Any]:
        texts = {name for name, kind in self.types.items() if kind == pa.string()}
        return {
            name: str(value) if name in texts and value is not None else value
            for name, value in entry.carried
        }

    def rows(self, content: pa.Table) -> list[dict[str, Any]]:
        """The rows of a part without what the list said of its clip."""
        left_out = {*_ENTRY, *self.types}
        return [
            {name: value for name, value in row.items() if name in COLUMNS and name not in left_out}
            for row in content.to_pylist()
        ]


def as_parquet(table: pa.Table) -> bytes:
    """A Parquet file."""
    content = io.BytesIO()
    parquet.write_table(table, content, compression="zstd")
    return content.getvalue()


def _type(values: Sequence[Any]) -> pa.DataType:
    try:
        kind = pa.infer_type(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()  # of several types
    return pa.string() if pa.types.is_null(kind) else kind
