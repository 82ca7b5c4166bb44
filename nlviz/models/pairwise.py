"""The pairwise functions f of Eqs. (2) to (5), by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Function = Literal["gaussian", "embedded_gaussian", "dot_product", "concatenation"]
FUNCTIONS: tuple[Function, ...] = get_args(Function)
WORDS: Mapping[Function, str] = {
    "gaussian": "Gaussian",
    "embedded_gaussian": "embedded Gaussian",
    "dot_product": "dot product",
    "concatenation": "concatenation",
}
