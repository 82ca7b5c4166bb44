"""Other projects' checkpoints: read without running anything, translated to our names, loaded."""

from models.checkpoints.blocks import block
from models.checkpoints.dialects import DIALECTS, Dialect, recognise, translate
from models.checkpoints.fitting import fit, likeness, misfit
from models.checkpoints.reading import read
from models.errors import CheckpointError

__all__ = [
    "DIALECTS",
    "CheckpointError",
    "Dialect",
    "block",
    "fit",
    "likeness",
    "misfit",
    "read",
    "recognise",
    "translate",
]
