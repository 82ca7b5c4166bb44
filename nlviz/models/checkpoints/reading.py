"""From a file to its weights: safetensors, PyTorch or Caffe2, and nothing in it is ever run."""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nlviz.errors import CheckpointError
from nlviz.models.checkpoints import caffe2
from nlviz.models.checkpoints.ignored_types import read_as_nothing

# Where projects keep the weights inside what they save beside them.
_SHELVES = ("state_dict", "model_state", "model_state_dict", "model", "blobs", "network")
_TORCH_BEFORE_ZIP = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number, pickled
# What unpickling damaged bytes raises.
_DAMAGE = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, RuntimeError, OverflowError, MemoryError, OSError, AssertionError),
    zipfile.BadZipFile,
)


def read(path: Path | str) -> dict[str, Tensor]:
    """The weights in a checkpoint under its own names, as CPU tensors.

    Optimizers, counters and whatever else was saved beside them are left out.

    Raises:
        CheckpointError: no such file, a web page, a damaged or truncated file, one that holds
            code, or one without weights.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise CheckpointError(f"The checkpoint {path.name} is not a file; give one.")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint {path.name} cannot be read ({error.strerror}); give a file."
        ) from error
    text = b"" if _is_safetensors(path, start) else start.lstrip().lower()
    if text.startswith((b"<", b"{", b"version https://git-lfs")):
        raise CheckpointError(
            f"{path.name} is a text or web page, not a checkpoint, as servers send it instead "
            "of a file that they withhold; download it again."
        )
    try:
        content = _content(path, start)
    except caffe2.ForbiddenGlobalError as error:
        raise _holds_code(path, str(error)) from error
    except CheckpointError:
        raise
    except (*_DAMAGE, SafetensorError) as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        if found is not None:
            raise _holds_code(path, found[1]) from error
        raise CheckpointError(
            f"{path.name} is not a checkpoint, or it is damaged or truncated; download it again."
        ) from error
    weights = _weights(content)
    if not weights:
        raise CheckpointError(f"{path.name} holds no weights; give a model's checkpoint.")
    return weights


def checksum(path: Path | str) -> str:
    """``"sha256:…"`` of a checkpoint file, whatever is in it; OSError where it cannot be read."""
    with Path(path).open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _is_safetensors(path: Path, start: bytes) -> bool:
    """Eight bytes of how long the header is, which may look like letters, and then the header."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _content(path: Path, start: bytes) -> Any:
    if _is_safetensors(path, start):
        return load_file(path)
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            # Torch stores as it is; what is packed may unpack to more than there is memory.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise CheckpointError(
                    f"{path.name} is a compressed archive, not a PyTorch checkpoint; unpack it."
                )
    elif not start.startswith(_TORCH_BEFORE_ZIP):
        with path.open("rb") as file:
            return caffe2.load(file)
    with read_as_nothing():
        return torch.load(path, map_location="cpu", weights_only=True)


def _holds_code(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"{path.name} is refused: it asks to run {what}, and a checkpoint needs tensors only; "
        "nothing was run, and whoever made it can save its state dict alone."
    )


def _weights(content: Any) -> dict[str, Tensor]:
    """The tensors of a state dict, which may lie one or two shelves deep."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            return {}
        shelf = next((content[s] for s in _SHELVES if isinstance(content.get(s), Mapping)), None)
        if shelf is None:
            break
        content = shelf
    return {
        str(key): tensor
        for key, value in content.items()
        if (tensor := _tensor(value)) is not None and not str(key).endswith("_momentum")
    }


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim:
        return torch.from_numpy(value.astype(np.float32))
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
        return None
    # A view can claim more elements than there are bytes behind it; copied, they would be real.
    real = value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    return value.detach() if real else None
