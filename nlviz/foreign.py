"""A live module of the user's own as a network: from Python, or from the file that builds it."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nlviz.errors import NetworkError
from nlviz.network import Tap

if TYPE_CHECKING:
    import torch

Layout = Literal["BCTHW", "BTCHW", "TCHW"]
_LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_GROUPS = 4  # how many groups of keys an error names


@dataclass(frozen=True, slots=True)
class Input:
    """How frames become what a module is called with; the defaults are ImageNet's.

    Args:
        size: the longer side in pixels, the aspect being kept; or (width, height), to which every
            frame is stretched.
        multiple: what each side is rounded to a multiple of where the aspect is kept.
        mean: taken off each channel, red, green, blue, of pixels from 0 to 1.
        deviation: what the rest is divided by.
        frames: how many frames the module takes; None for any number.
        layout: the axes: "BCTHW" or "BTCHW" for clips, "TCHW" for a module of images that runs on
            each frame by itself. None settles it by the module's first convolution: clips as
            "BCTHW" if it is 3-D, else images.
        classes: names of the classes, in the order of the scores the module returns.

    Raises:
        NetworkError: a value outside these.
    """

    size: int | tuple[int, int] = 224
    multiple: int = 32
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    frames: int | None = None
    layout: Layout | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mean", "deviation", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not isinstance(self.size, int):
            object.__setattr__(self, "size", tuple(self.size))
        sizes = (self.size,) if isinstance(self.size, int) else self.size
        if len(sizes) > 2 or not all(isinstance(s, int) and 32 <= s <= 4096 for s in sizes):
            raise NetworkError(
                f"The input's size {self.size!r} is not supported; give one number or (width, "
                "height), 32 to 4096 pixels."
            )
        if self.layout not in (None, *_LAYOUTS):
            raise NetworkError(
                f"The input's layout {self.layout!r} is unknown; choose one of "
                f"{', '.join(_LAYOUTS)}."
            )
        if self.multiple < 1 or (self.frames is not None and self.frames < 1):
            raise NetworkError("The input's multiple and frames must be at least 1.")
        if len(self.mean) != 3 or len(self.deviation) != 3 or not all(self.deviation):
            raise NetworkError(
                "The input's mean and deviation are three numbers; none divides by 0."
            )

    @classmethod
    def of(cls, said: Input | Mapping[str, Any] | None) -> Input:
        """An ``Input`` from one, from a mapping of its fields, or from nothing."""
        if isinstance(said, Input):
            return said
        known = [f.name for f in fields(cls)]
        unknown = [str(key) for key in said or {} if key not in known]
        if unknown:
            raise NetworkError(
                f"The input's record has {', '.join(unknown)}; it may have {', '.join(known)}."
            )
        return cls(**(said or {}))


@dataclass(frozen=True, slots=True, eq=False)
class UserNetwork:
    """Any module as a network for ``analyse``.

    The module's device and precision are kept; its input is moved there.

    Args:
        module: any module with non-local blocks or attention in it.
        input: how frames become its input; an ``Input`` or a mapping of its fields.
        name: what to call it; the module's class by default.
        taps: block name → where its queries sit on the input, see ``nlviz.network.Tap``; blocks
            without one tile the input evenly.
        path: the file that built it, so that errors can say which line.
    """

    module: torch.nn.Module
    input: Input = field(default_factory=Input)
    name: str = ""
    taps: Mapping[str, Tap] = field(default_factory=dict)
    path: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "input", Input.of(self.input))
        object.__setattr__(self, "name", self.name or type(self.module).__name__)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores."""
        return self.input.classes

    @property
    def stages(self) -> tuple[str, ...]:
        """The module's children."""
        return tuple(name for name, _ in self.module.named_children())

    @property
    def default_size(self) -> int:
        """The longer side of the input, in pixels."""
        size = self.input.size
        return size if isinstance(size, int) else max(size)

    def input_size(self, width: int, height: int, size: int) -> tuple[int, int]:
        """(width, height) of the input: the record's own if it has both, else by the aspect."""
        if not isinstance(self.input.size, int):
            return self.input.size
        by, scale = self.input.multiple, size / max(width, height)
        return max(round(width * scale / by), 1) * by, max(round(height * scale / by), 1) * by

    def prepare(self, frames: NDArray[np.uint8]) -> torch.Tensor:
        """The module's input from (T, H, W, 3) uint8 RGB frames of ``input_size``.

        NetworkError where the module takes another number of frames.
        """
        import torch

        wanted = self.input.frames
        if wanted is not None and len(frames) != wanted:
            raise NetworkError(
                f"{self.name} takes {wanted} frames and got {len(frames)}; choose as many."
            )
        kinds = (p for p in self.module.parameters() if p.is_floating_point())
        like = next(kinds, torch.empty(0))
        mean, deviation = torch.tensor([self.input.mean, self.input.deviation])
        pixels = (torch.tensor(frames).float() / 255 - mean) / deviation  # (T, H, W, 3)
        clip = pixels.permute(0, 3, 1, 2)  # (T, 3, H, W)
        if self.layout != "TCHW":
            clip = (clip if self.layout == "BTCHW" else clip.transpose(0, 1)).unsqueeze(0)
        prepared: torch.Tensor = clip.contiguous().to(like.device, like.dtype)
        return prepared

    @property
    def layout(self) -> Layout:
        """The axes of the module's input: the record's, else by its first convolution."""
        if self.input.layout is not None:
            return self.input.layout
        from torch import nn

        kinds = (m for m in self.module.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d)))
        return "BCTHW" if isinstance(next(kinds, None), nn.Conv3d) else "TCHW"

    @contextmanager
    def explaining(self, prepared: torch.Tensor) -> Iterator[None]:
        """Turns what the module itself raises into one sentence and the line it came from."""
        import torch

        try:
            yield
        except (NetworkError, torch.OutOfMemoryError):
            raise
        except _MODULES_OWN as error:
            if not _is_the_modules(error):
                raise
            raise NetworkError(
                f"{self.name} cannot take an input of shape {tuple(prepared.shape)}: "
                f"{_first_line(error)}{_line(error, self.path)}; build() may return its input's "
                "record (size, frames, layout) beside the module."
            ) from error


_MODULES_OWN = (
    *(RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError),
    *(AssertionError, ArithmeticError, NotImplementedError),
)


def is_user_network(name: str) -> bool:
    """Whether a model's name is FILE.py:FUNCTION, and not one of the zoo's."""
    return name.endswith(".py") or ".py:" in name


def load_user_network(
    name: str, *, weights: str | Path | None = None, device: str = "auto"
) -> UserNetwork:
    """Run FUNCTION of FILE.py, and nothing else, and take the module that it returns.

    FUNCTION returns a module, or a module and its ``Input`` (or a mapping of its fields). The
    file runs with all the rights of who starts nlviz: name your own.

    Args:
        name: ``FILE.py:FUNCTION``, as in ``net.py:build``.
        weights: a checkpoint of the module, safetensors or PyTorch, that is loaded into it; what
            is in it cannot run.
        device: where to put the module: "cuda", "mps", "cpu", or "auto" for the first there is.

    Raises:
        NetworkError: no such file or function, one that raises (with its traceback), something
            else than a module, weights of another network, a device that is not there.
    """
    file, _, function = name.rpartition(":")
    if not file.endswith(".py"):
        raise NetworkError(f"{name!r} does not say which function; give FILE.py:FUNCTION.")
    path = Path(file).resolve()
    if not path.is_file():
        raise NetworkError(f"There is no file {file!r}; give FILE.py:FUNCTION.")
    build = _function(path, function)
    with _running(path, f"{function}()"):
        built = build()
    module, said = built if isinstance(built, tuple) and len(built) == 2 else (built, None)
    from torch import nn

    if not isinstance(module, nn.Module):
        raise NetworkError(
            f"{function}() in {path.name} returned a {type(module).__name__}; return a "
            "torch.nn.Module, or one and its input's record."
        )
    if not (said is None or isinstance(said, (Input, Mapping))):
        raise NetworkError(
            f"{function}() in {path.name} returned a module and a {type(said).__name__}; the "
            "second must be an nlviz.Input or a mapping of its fields."
        )
    network = UserNetwork(module, Input.of(said), f"{path.name}:{function}", path=str(path))
    if weights is not None:
        _load(module, weights)
    _move(module, device)
    return network


def _function(path: Path, name: str) -> Callable[[], Any]:
    spec = importlib.util.spec_from_file_location(f"nlviz_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise NetworkError(f"{path.name} is not a Python file; give FILE.py:FUNCTION.")
    namespace = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = namespace  # dataclasses and pickles look themselves up there
    with _running(path, "it"):
        spec.loader.exec_module(namespace)
    build = getattr(namespace, name, None)
    if not callable(build):
        there = [key for key, value in vars(namespace).items() if _is_own(value, spec.name)]
        raise NetworkError(
            f"There is no function {name!r} in {path.name}; "
            + (f"it has {', '.join(there)}." if there else "it has none.")
        )
    made: Callable[[], Any] = build
    return made


def _is_own(value: Any, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module


@contextmanager
def _running(path: Path, what: str) -> Iterator[None]:
    """The user's own code, with its folder first on the path, as ``python FILE.py`` has it."""
    sys.path.insert(0, str(path.parent))
    try:
        yield
    except NetworkError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        first = next((i for i, f in enumerate(frames) if f.filename == str(path)), len(frames))
        lines = "".join(traceback.format_list(frames[first:])).rstrip()
        raise NetworkError(
            f"{path.name} could not be used: {what} raised {type(error).__name__}: "
            f"{_first_line(error)}{_line(error, str(path))}." + (f"\n{lines}" if lines else "")
        ) from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def _line(error: BaseException, path: str | None) -> str:
    """`` (line 12 of net.py)`` where the error came through that file."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return f" (line {error.lineno} of {Path(error.filename or '').name})"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    return f" (line {lines[-1]} of {Path(path).name})" if path and lines else ""


def _is_the_modules(error: BaseException) -> bool:
    """Whether the module raised it, and not a hook of ours while the module ran."""
    ours = str(Path(__file__).parent)
    frames = traceback.extract_tb(error.__traceback__)
    within = [frame.name for frame in frames if frame.filename.startswith(ours)]
    return within[-1:] in (["_call"], ["__torch_function__"])


def _load(module: torch.nn.Module, weights: str | Path) -> None:
    """Weights under the module's own names, or under these behind one prefix."""
    from models.checkpoints import read
    from models.errors import CheckpointError

    try:
        given = read(weights)
    except CheckpointError as error:
        raise NetworkError(str(error)) from error
    wanted = module.state_dict()
    given = _without_prefix(given, wanted)
    counted = {
        "missing": [key for key in wanted if key not in given],
        "unexpected": [key for key in given if key not in wanted],
        "of another shape": [
            key for key in wanted if key in given and wanted[key].shape != given[key].shape
        ],
    }
    if any(counted.values()):
        said = [f"{len(keys)} {what} ({_grouped(keys)})" for what, keys in counted.items() if keys]
        raise NetworkError(
            f"{Path(weights).name} is not of this {type(module).__name__}: of {len(wanted)} keys "
            f"{', '.join(said)}; give weights that were saved from it."
        )
    module.load_state_dict(given)


def _without_prefix(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """``module.…`` and the like taken off, where that makes more keys known."""
    prefixes = {key.split(".", 1)[0] + "." for key in given if "." in key} if given else set()
    ways = [dict(given)]
    ways += [{k.removeprefix(prefix): v for k, v in given.items()} for prefix in sorted(prefixes)]
    return max(ways, key=lambda way: len(way.keys() & wanted.keys()))


def _grouped(keys: Iterable[str]) -> str:
    """``layer3 (12), head (2)``: keys by their first name, the most frequent first."""
    groups = Counter(key.split(".", 1)[0] for key in keys).most_common()
    shown = ", ".join(f"{name}: {count}" for name, count in groups[:_GROUPS])
    return shown + (", …" if len(groups) > _GROUPS else "")


def _move(module: torch.nn.Module, name: str) -> None:
    from models.errors import ZooError
    from models.network import device

    try:
        module.to(device(name))
    except ZooError as error:
        raise NetworkError(str(error)) from error
