"""The processor's cores, which a program shares with all others that run."""

from __future__ import annotations

import os

_TURNS = "1000"


def share() -> None:
    """Let PyTorch's threads that wait for one another soon sleep; before PyTorch is loaded.

    By default (GNU's OpenMP, Linux) they turn in a loop for long, and where others use the cores as
    well that takes the very time which the thread that they wait for needs. Whoever has set
    ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY`` is asked for nothing.
    """
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = _TURNS
