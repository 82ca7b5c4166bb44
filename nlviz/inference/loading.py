"""The one way to a network: a name of the zoo, or FILE.py:FUNCTION of your own."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import NetworkError
from nlviz.inference.own_modules import keep_own_modules, own_modules
from nlviz.inference.tracebacks import is_users, sentence, user_traceback
from nlviz.inference.user_network import Input, UserNetwork
from nlviz.media.sampling import Sampling

if TYPE_CHECKING:
    import torch

    from nlviz.models.network import Network as ZooNetwork


def is_user_network(name: str) -> bool:
    """Whether a model's name is FILE.py:FUNCTION, and not one of the zoo's."""
    return name.endswith(".py") or ".py:" in name


def load(
    spec: str, *, device: str = "auto", weights: str | Path | None = None
) -> ZooNetwork | UserNetwork:
    """A network that ``analyse`` can run, in evaluation mode.

    Args:
        spec: a name of ``nlviz.models.zoo.names()``, or ``FILE.py:FUNCTION`` as for
            ``load_user_network``.
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is available.
        weights: your own checkpoint for it; a bundled network takes only its own.

    Raises:
        NetworkError: what ``zoo.load`` or ``load_user_network`` raises.
    """
    if is_user_network(spec):
        return load_user_network(spec, weights=weights, device=device)
    from nlviz.models import zoo

    return zoo.load(spec, device=device, weights=weights)


def usual_frames(spec: str, own: UserNetwork | None = None) -> int:
    """How many frames a network is given where nobody says.

    Args:
        spec: as for ``load``.
        own: the network, where ``spec`` is a file of one's own.

    Returns:
        what the network was trained on, or what the input of one's own declares; 8 for any other.
    """
    declared: int | None = None
    if own is not None:
        declared = own.input.frames
    elif not is_user_network(spec):
        from nlviz.models import zoo

        declared = zoo.record(spec).frames if spec in zoo.names() else None
    return Sampling().frames if declared is None else declared


def load_user_network(
    name: str, *, weights: str | Path | None = None, device: str = "auto"
) -> UserNetwork:
    """Run FUNCTION of FILE.py, and nothing else, and take the module that it returns.

    FUNCTION returns a module, or a module and its ``Input`` (or a mapping of its fields), or as a
    third also ``UserNetwork``'s ``blocks``: which children of its blocks are θ, φ, g and W. The
    file may import what lies beside it, as for ``python FILE.py``, and so may the module in its
    forward pass. It runs with all the rights of who starts nlviz: name your own.

    Args:
        name: ``FILE.py:FUNCTION``, as in ``net.py:build``.
        weights: a checkpoint of the module, safetensors or PyTorch, that is loaded into it; what
            is in it cannot run.
        device: where to put the module: "cuda", "mps", "cpu", or "auto" for the first available.

    Raises:
        NetworkError: no such file or function, one that raises (with its traceback), something
            other than a module, weights of another network, a device that is not available.
    """
    file, _, function = name.rpartition(":")
    if not file.endswith(".py"):
        raise NetworkError(f"{name!r} does not say which function; give FILE.py:FUNCTION.")
    path = Path(file).resolve()
    if not path.is_file():
        raise NetworkError(f"The file {file!r} does not exist; give FILE.py:FUNCTION.")
    build = _function(path, function)
    with _running(path, f"{function}()"):
        built = build()
    several = isinstance(built, tuple) and len(built) in (2, 3)
    module, said, blocks = (*built, {})[:3] if several else (built, None, {})
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
    called = f"{path.name}:{function}"
    network = UserNetwork(module, Input.of(said), called, path=str(path), blocks=blocks)
    if weights is not None:
        network = replace(network, weights=_load(module, weights))
    _move(module, device)
    keep_own_modules(module, str(path.parent))
    return network


def _function(path: Path, name: str) -> Callable[[], Any]:
    called = f"nlviz_user_{path.stem}_{zlib.crc32(bytes(path)):08x}"  # two may be net.py
    spec = importlib.util.spec_from_file_location(called, path)
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
            f"{path.name} has no function {name!r}; "
            + (f"it has {', '.join(there)}." if there else "it has none.")
        )
    made: Callable[[], Any] = build
    return made


def _is_own(value: Any, module: str) -> bool:
    return callable(value) and getattr(value, "__module__", None) == module


@contextmanager
def _running(path: Path, what: str) -> Iterator[None]:
    """The user's own code, with its folder's modules; what it raises is reported as its own."""
    try:
        with own_modules(str(path.parent)):
            yield
    except NetworkError:
        raise
    except (Exception, SystemExit) as error:
        if not is_users(error):
            raise
        wanted = (getattr(error, "name", None) or "").partition(".")
        if isinstance(error, ModuleNotFoundError) and wanted[1] and wanted[0] == path.stem:
            raise NetworkError(
                f"{path.name} hides the folder {path.stem!r} beside it from import; give the file "
                "another name, or the folder an __init__.py."
            ) from error
        lines = user_traceback(error, str(path))
        raise NetworkError(
            f"{path.name} could not be used: {what} raised {type(error).__name__}: "
            f"{sentence(error, str(path))}." + (f"\n{lines}" if lines else "")
        ) from error


def _load(module: torch.nn.Module, weights: str | Path) -> str:
    """Weights under the module's own names, or under these behind one prefix; their checksum."""
    from nlviz.models.checkpoints import checksum, likeness, misfit, read

    given = read(weights)
    wanted = module.state_dict()
    given = _without_prefix(given, wanted)
    if wrong := misfit(given, wanted):
        raise NetworkError(
            f"{Path(weights).name} is not for this {type(module).__name__}: {wrong}; "
            f"{likeness(given)}. Give weights that were saved from it."
        )
    if any(tensor.is_meta for tensor in wanted.values()):
        raise NetworkError(
            f"This {type(module).__name__} has offloaded its weights, so {Path(weights).name} "
            "cannot be loaded into it; load it in the function that builds it."
        )
    module.load_state_dict(given)
    return checksum(weights)


def _without_prefix(
    given: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """``module.…`` and the like taken off, where that makes more keys known."""
    prefixes = {key.split(".", 1)[0] + "." for key in given if "." in key}
    ways = [dict(given)]
    ways += [{k.removeprefix(prefix): v for k, v in given.items()} for prefix in sorted(prefixes)]
    return max(ways, key=lambda way: len(way.keys() & wanted.keys()))


def _move(module: torch.nn.Module, name: str) -> None:
    """To a device, unless its loader has spread it over several or offloaded it."""
    from nlviz.inference.offloading import lacks_values, stays_where_it_is
    from nlviz.models.network import device

    if lacks_values(module):
        raise NetworkError(
            f"The {type(module).__name__} has weights without values (on torch's meta device); "
            "build it on a device that holds them."
        )
    wanted = device(name)
    if not stays_where_it_is(module):
        module.to(wanted)
