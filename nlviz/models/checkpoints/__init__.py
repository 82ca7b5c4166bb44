"""Other projects' checkpoints: read without running anything, translated to our names, loaded."""

from nlviz.errors import CheckpointError
from nlviz.models.checkpoints.blocks import block
from nlviz.models.checkpoints.dialects import DIALECTS, Dialect, recognise, translate
from nlviz.models.checkpoints.fitting import fit, likeness, misfit
from nlviz.models.checkpoints.reading import checksum, read

__all__ = [
    "DIALECTS",
    "CheckpointError",
    "Dialect",
    "block",
    "checksum",
    "fit",
    "likeness",
    "misfit",
    "read",
    "recognise",
    "translate",
]
