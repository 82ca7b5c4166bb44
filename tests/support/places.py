"""Places followed through something that runs, and read."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nlviz.hooks.places.coordinates import Coordinates
from nlviz.hooks.places.follow import Following, Places
from nlviz.hooks.places.notes import Unknown


def followed(
    run: Callable[[Tensor], Tensor], x: Tensor, module: nn.Module | None = None
) -> tuple[Coordinates, Tensor, Tensor]:
    """The places, the one core of what ``run`` makes of x, and that itself."""
    places = Places(module or nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = run(x)
    known = places.of(out).read()
    assert not isinstance(known, Unknown), known
    (core,) = known.cores
    return places.coordinates, core, out
