"""Arrays: θ, φ and rows as NPZ and safetensors, with where each cell lies in the source."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import numpy as safetensors

from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.rows import row_of
from nlviz.geometry import Grid, View
from nlviz.provenance import Provenance
from nlviz.query import Query, asked

DESCRIPTION = "nlviz"
"""Under this name both formats hold a JSON text on what the arrays are."""


def npz(
    analysis: Analysis, queries: Sequence[Query], provenance: Provenance, blocks: Sequence[str] = ()
) -> bytes:
    """θ and φ of some blocks, and each query's row, as ``numpy.load`` reads them.

    ``BLOCK/theta`` (heads · C', N), ``BLOCK/phi`` (heads · C', M), float32, see ``Affinity``;
    ``rows/0``, ``rows/1`` … (T', H', W') float32, one for each query; and ``nlviz``, a JSON text:
    provenance, and for each block its function, scale, heads, tokens and grids, with the source
    pixels and frames of their cells.

    Args:
        analysis: what is exported.
        queries: whose rows to add.
        provenance: how it was made.
        blocks: names of blocks; all of them if empty.
    """
    arrays, description = _parts(analysis, queries, provenance, blocks)
    content = io.BytesIO()
    arrays[DESCRIPTION] = np.array(json.dumps(description))
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()


def tensors(
    analysis: Analysis, queries: Sequence[Query], provenance: Provenance, blocks: Sequence[str] = ()
) -> bytes:
    """The same as ``npz`` as safetensors; the JSON text lies in the header's metadata."""
    arrays, description = _parts(analysis, queries, provenance, blocks)
    return safetensors.save(arrays, metadata={DESCRIPTION: json.dumps(description)})


def affinity_arrays(block: str, affinity: Affinity) -> dict[str, NDArray[Any]]:
    """θ, φ and what says which links can exist, by name."""
    arrays: dict[str, NDArray[Any]] = {
        f"{block}/theta": affinity.theta,
        f"{block}/phi": affinity.phi,
    }
    for number, links in enumerate(affinity.reach):
        for name, array in links.arrays.items():
            arrays[f"{block}/reach/{number}/{name}"] = array
    return arrays


def affinity_header(affinity: Affinity) -> dict[str, Any]:
    """All of an affinity but its arrays."""
    return {
        "function": affinity.function,
        "scale": float(affinity.scale),
        "heads": affinity.heads,
        "tokens": list(affinity.tokens),
        "reach": len(affinity.reach),
        "query_grid": asdict(affinity.query_grid),
        "key_grid": asdict(affinity.key_grid),
    }


def _parts(
    analysis: Analysis, queries: Sequence[Query], provenance: Provenance, blocks: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    described: dict[str, Any] = {}
    for block in blocks or analysis.blocks:
        affinity = analysis.affinity(block)
        arrays |= affinity_arrays(block, affinity)
        described[block] = {
            **affinity_header(affinity),
            "fidelity": analysis.fidelity[block],
            "places": analysis.places.get(block),
            "query_cells": cells_of(analysis.view, affinity.query_grid),
            "key_cells": cells_of(analysis.view, affinity.key_grid),
        }
    rows = []
    for number, query in enumerate(queries):
        row = row_of(analysis, query)
        arrays[f"rows/{number}"] = row.weights
        grid = "query_grid" if query.reverse else "key_grid"
        rows.append({**asked(query), "grid": grid, "tokens": dict(row.tokens)})
    view = {"source": analysis.view.source, "input": analysis.view.input}
    return arrays, {
        "provenance": asdict(provenance),
        "view": {**view, "frames": analysis.view.frames},
        "blocks": described,
        "rows": rows,
    }


def cells_of(view: View, grid: Grid) -> dict[str, Any]:
    """Where cells' centres lie in the source: x of each column, y of each row, frames of each step.

    As the network places them: the outermost may lie beyond the frame's edge.
    """
    (x0, y0), (_, down, right) = view.origin(grid), view.steps(grid)
    return {
        "x": [float(x0 + col * right) for col in range(grid.cols)],
        "y": [float(y0 + row * down) for row in range(grid.rows)],
        "frames": [[view.frames[i] for i in view.positions(t, grid)] for t in range(grid.t)],
    }
