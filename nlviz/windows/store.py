"""Store: the windows of one long clip on disk, memory-mapped, and what they are windows of.

A folder holds ``long.json``, what its windows are windows of; ``frames.rgb``, all sampled frames,
(T, H, W, 3) uint8 and nothing else; and for each window that is done ``window-00000.safetensors``:
θ and φ at half precision, and as text all else of its analysis. A window's file comes last and in
one step, so what is there is whole, whenever the work was stopped.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors import numpy as safetensors

from nlviz.analysis import Analysis
from nlviz.errors import CaptureError, ExportError, NlvizError
from nlviz.export import session_contents
from nlviz.export.arrays import affinity_arrays
from nlviz.windows.plan import TimeWindow
from nlviz.writing import write

Pixels = NDArray[np.uint8]
Text = Mapping[str, Any]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_ABOUT, _FRAMES = "long.json", "frames.rgb"
_TEXT = "nlviz"
_LONGEST = 16 << 20  # bytes of the text
_WRONG = (
    *(SafetensorError, NlvizError, OSError),
    *(ValueError, TypeError, KeyError, AttributeError, RecursionError),
)
_TOP = 15  # the largest number of an array lies below 2 to this


class Store:
    """A folder of windows.

    Args:
        folder: where it lies; it is made if it is missing.
        about: what the windows are windows of, plain JSON; a folder of others is refused.
        size: (frames, height, width) of all sampled frames.

    Raises:
        ExportError: a folder that cannot be used, or that holds windows of something else.
    """

    def __init__(
        self, folder: str | os.PathLike[str], about: Text, size: tuple[int, int, int]
    ) -> None:
        self.folder = Path(folder)
        self._shape = (*size, 3)
        self._make(json.loads(json.dumps(about)))

    def has(self, number: int) -> bool:
        """Whether a window is done."""
        return self._file(number).is_file()

    def put_frame(self, position: int, pixels: Pixels) -> None:
        """Keep one sampled frame, (H, W, 3)."""
        try:
            with open(self.folder / _FRAMES, "r+b") as file:
                file.seek(position * pixels.nbytes)
                file.write(np.ascontiguousarray(pixels).data)
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def frames(self, start: int, stop: int) -> Pixels:
        """The sampled frames from one position up to another, as they lie on disk."""
        count, height, width, _ = self._shape
        path = self.folder / _FRAMES
        try:
            if path.stat().st_size != count * height * width * 3:
                raise self._damaged(path, "it has not the size of its frames")
            mapped = np.memmap(path, np.uint8, "r", shape=self._shape)
        except (OSError, ValueError) as error:
            raise self._damaged(path, str(error)) from None
        return mapped[start:stop]

    def put(self, window: TimeWindow, analysis: Analysis) -> None:
        """Keep a window whose frames are kept already."""
        arrays: dict[str, NDArray[Any]] = {}
        exponents: dict[str, int] = {}
        for block, affinity in analysis.affinities.items():
            given = affinity_arrays(block, affinity)
            if session_contents.is_tied(affinity):
                del given[f"{block}/phi"]
            for name, array in given.items():
                if not np.isfinite(array).all():
                    raise CaptureError(
                        f"Block {block!r} has a θ or φ that is not finite in frames "
                        f"{analysis.clip.indices[0]} to {analysis.clip.indices[-1]}; it cannot be "
                        "kept, so leave these frames out or choose another network."
                    )
                if array.dtype == np.float32:
                    arrays[name], exponents[name] = _halved(array)
                else:
                    arrays[name] = array
            if block in analysis.sizes:
                arrays[f"{block}/sizes"] = analysis.sizes[block]
        told = {
            **session_contents.told(analysis, ()),
            "weights": analysis.weights,
            "exponents": exponents,
        }
        text = json.dumps(told, ensure_ascii=False, allow_nan=False)
        try:
            with open(self.folder / _FRAMES, "r+b") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        write(self._file(window.number), safetensors.save(arrays, metadata={_TEXT: text}))

    def get(self, window: TimeWindow, path: str | None, blocks: Sequence[str] = ()) -> Analysis:
        """The analysis of a window that is done; its θ and φ have been at half precision.

        Args:
            window: which.
            path: of the clip, as it was given.
            blocks: names of the blocks to read; all of them if empty.

        Raises:
            ExportError: the window's file is damaged or was changed.
        """
        file = self._file(window.number)
        try:
            return self._opened(file, window, path, blocks)
        except ExportError:
            raise
        except _WRONG as error:
            raise self._damaged(file, str(error)) from error

    def _opened(
        self, file: Path, window: TimeWindow, path: str | None, blocks: Sequence[str]
    ) -> Analysis:
        with safe_open(file, framework="np") as mapped:  # its claims are held against its size
            said = (mapped.metadata() or {}).get(_TEXT, "")
            if len(said) > _LONGEST:
                raise ValueError("its text is too long")
            text = session_contents.whole_object(
                json.loads(said, parse_constant=session_contents.no_number)
            )
            there = session_contents.whole_object(text["blocks"])
            chosen = {name: there[name] for name in blocks or there if name in there} or there
            arrays = {
                name: _whole(mapped.get_tensor(name), text["exponents"].get(name))
                for name in mapped.keys()  # noqa: SIM118 (it is no mapping)
                if name.rpartition("/")[0] in chosen or "/reach/" in name
            }
        clip = session_contents.clip(
            session_contents.whole_object(text["clip"]), self.frames(window.start, window.stop)
        )
        seen = session_contents.analysis({**text, "blocks": chosen}, clip, arrays)
        weights = text["weights"]
        if not isinstance(weights, str | None):
            raise TypeError("its weights have no name")
        return replace(seen, clip=replace(clip, path=path), weights=weights)

    def _make(self, about: Text) -> None:
        path = self.folder / _ABOUT
        try:
            self.folder.mkdir(exist_ok=True)
            if not path.is_file():
                if any(self.folder.iterdir()):
                    self._refuse_others()
                self._begin(about)
            if path.stat().st_size > _LONGEST:
                raise ValueError("too long")
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        except (ValueError, RecursionError):
            raise self._damaged(path, "it is not what nlviz wrote") from None
        if found != about:
            keys = about if isinstance(found, dict) else ()
            other = [key for key in keys if found.get(key) != about[key]] or ["what it says"]
            raise ExportError(
                f"The folder '{self.folder}' holds windows of another run, with another "
                f"{', '.join(other)}; give a folder of its own, or the same as then."
            )

    def _begin(self, about: Text) -> None:
        """An empty store: room for the frames, and at last what it is a store of."""
        size = int(np.prod(self._shape, dtype=np.int64))
        with open(self.folder / _FRAMES, "ab") as file:
            file.truncate(size)
        text = json.dumps(about, ensure_ascii=False, indent=1)
        write(self.folder / _ABOUT, text.encode())

    def _refuse_others(self) -> None:
        """Files of somebody else stay what they are; those of a start that was stopped are ours."""
        if any(each.name != _FRAMES and _ABOUT not in each.name for each in self.folder.iterdir()):
            raise ExportError(
                f"The folder '{self.folder}' holds other files; give an empty one for the windows."
            )

    def _file(self, number: int) -> Path:
        return self.folder / f"window-{number:05d}.safetensors"

    def _damaged(self, path: Path, why: str) -> ExportError:
        return ExportError(
            f"'{path}' is damaged or was changed ({why.rstrip('.')}); delete the folder "
            f"'{self.folder}' and run the windows again."
        )


def _halved(array: NDArray[np.float32]) -> tuple[NDArray[np.float16], int]:
    """An array at half precision and the power of two that it was divided by, which costs nothing.

    So the largest number lies between 2¹⁴ and 2¹⁵, however large or small all are.
    """
    exponent = int(np.frexp(np.abs(array).max(initial=0.0))[1]) - _TOP
    return np.ldexp(array, -exponent).astype(np.float16), exponent


def _whole(array: NDArray[Any], exponent: int | None) -> NDArray[Any]:
    """What ``_halved`` was given, to half precision; another array as it is."""
    if exponent is None:
        return array
    if array.dtype != np.float16 or not isinstance(exponent, int) or abs(exponent) > 256:
        raise ValueError("an array is not at half precision")
    whole: NDArray[Any] = np.ldexp(array.astype(np.float32), exponent)
    return whole


def _unwritable(folder: Path, error: OSError) -> ExportError:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return ExportError(f"'{folder}' is a file; give a folder for the windows.")
    if not folder.parent.is_dir():
        return ExportError(f"The folder '{folder.parent}' does not exist; create it first.")
    mend = "free some space, or give" if error.errno in _FULL else "give"
    return ExportError(
        f"The windows cannot be kept in '{folder}' ({error.strerror}); {mend} another folder."
    )
