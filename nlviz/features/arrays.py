"""Components as arrays for a plot, as npz or safetensors."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import safetensors.numpy as safetensors
from numpy.typing import NDArray

from nlviz.features.pca import Components
from nlviz.provenance import Provenance

ENDINGS = (".npz", ".safetensors")
_TEXT = "nlviz"


def components_arrays(found: Components, made: Provenance, ending: str) -> bytes:
    """All of the components, as ``numpy.load`` or ``safetensors`` reads them.

    ``maps`` (T, H, W, 3) float32, not a number where a cell has no vector; ``colours`` (T, H, W, 3)
    and ``shown`` (T, H, W) uint8; ``mean`` (C,), ``directions`` (3, C), ``low`` and ``high`` (3,)
    of the basis; ``explained`` (3,); and ``nlviz``, a JSON text on all of it, in safetensors in the
    header.

    Args:
        found: what ``pca`` gives.
        made: how it was made.
        ending: one of ``ENDINGS``.
    """
    basis = found.basis
    arrays: dict[str, NDArray[Any]] = {
        "maps": found.maps,
        "colours": found.colours,
        "shown": found.shown.astype(np.uint8),
        "mean": basis.mean,
        "directions": basis.directions,
        "low": basis.low,
        "high": basis.high,
        "explained": np.array(found.explained),
    }
    told = json.dumps(
        {
            "provenance": asdict(made),
            "of": found.of,
            "basis": {"of": basis.of, "network": basis.network},
            "grid": asdict(found.grid),
            "words": list(found.words),
        }
    )
    if ending == ".safetensors":
        plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return safetensors.save(plain, metadata={_TEXT: told})
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{_TEXT: np.array(told)}, **arrays)
    return content.getvalue()
