"""An entry of a torch.hub repository, whose code runs only where it is trusted by name."""

from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlviz.errors import NetworkError
from nlviz.inference.by_name.described import Record, network_of
from nlviz.inference.by_name.kept import torch_cache, torch_folder
from nlviz.inference.by_name.spec import Spec
from nlviz.inference.by_name.wanted import Wanted
from nlviz.inference.checkpoint_into import load_into
from nlviz.inference.own_modules import keep_own_modules
from nlviz.inference.user_file import function_of, running
from nlviz.inference.user_network import AxisOrder, Input, UserNetwork

_CONF = "hubconf.py"
_NEEDED = ("size", "mean", "deviation")
_ONLY_TENSORS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.load then reads no pickle that runs code


def load_torch_hub(spec: Spec, wanted: Wanted) -> UserNetwork:
    """The network that an entry of ``hubconf.py`` builds, with that entry's own weights.

    An entry returns a module, also with its input's record as FILE.py:FUNCTION may, or several
    modules, of which the first is taken. A repository has no configuration: what neither the entry
    nor the module says of the input has to be said.

    Raises:
        NetworkError: see ``nlviz.load``.
    """
    wanted.check_trusted(spec.name, f"'{spec.called}' is built by code of its repository")
    folder = _folder(spec, wanted)
    conf = folder / _CONF
    if not conf.is_file():
        raise NetworkError(
            f"'{spec.name}' has no {_CONF}, which names a repository's networks; give one that has."
        )
    entry = function_of(conf, spec.entry)
    with running(conf, f"{spec.entry}()"), _only_tensors():
        built = _called(spec, entry, wanted)
    module, said, several = _module_of(spec, built)
    keep_own_modules(module, str(folder))
    weights = None if wanted.file is None else load_into(module, wanted.file)
    return network_of(
        spec,
        module,
        _record(spec, module, said, wanted),
        wanted,
        what=f"{type(module).__name__} of {_CONF}" + (f", {several}" if several else ""),
        weights=weights,
    )


def _folder(spec: Spec, wanted: Wanted) -> Path:
    if spec.folder is not None:
        return spec.folder
    if spec.is_path or spec.name.partition(":")[0].count("/") != 1:
        raise NetworkError(
            f"There is no folder '{spec.name}'; give one, or OWNER/REPO of GitHub, also with "
            ":BRANCH behind."
        )
    kept = torch_folder(spec.name)
    if kept is not None:
        return kept
    if not wanted.download:
        raise NetworkError(f"'{spec.name}' is not on this machine, and nothing is downloaded here.")
    if wanted.progress is not None:
        wanted.progress(0.1, f"fetching {spec.name}")
    try:
        with redirect_stdout(StringIO()):  # torch says there what it downloads
            return Path(
                torch.hub._get_cache_or_reload(  # type: ignore[no-untyped-call]
                    spec.name, force_reload=False, trust_repo=True, verbose=False
                )
            )
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise NetworkError(
                f"There is no space left for '{spec.name}' in {torch_cache()}; free some, or "
                "set TORCH_HOME to another place."
            ) from error
        raise NetworkError(
            f"'{spec.name}' is not on this machine and cannot be fetched from GitHub "
            f"({str(error).strip().splitlines()[0].rstrip('.')}); check its name, or give a folder "
            f"that holds it: torchhub:FOLDER:{spec.entry}"
        ) from error


@contextmanager
def _only_tensors() -> Iterator[None]:
    before = os.environ.get(_ONLY_TENSORS)
    os.environ[_ONLY_TENSORS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ONLY_TENSORS]
        else:
            os.environ[_ONLY_TENSORS] = before


def _called(spec: Spec, build: Callable[..., Any], wanted: Wanted) -> Any:
    if wanted.weights is None:
        return build()
    if "pretrained" not in inspect.signature(build).parameters:
        raise NetworkError(
            f"The entry '{spec.entry}' of '{spec.name}' does not say how it is built without its "
            "own weights (it takes no pretrained=False); leave out --weights."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(pretrained=False)


def _module_of(spec: Spec, built: Any) -> tuple[nn.Module, Mapping[str, Any], str]:
    """The module that an entry returned, what it says of its input, and which of several it is."""
    parts = list(built) if isinstance(built, list | tuple) else [built]
    modules = [each for each in parts if isinstance(each, nn.Module)]
    if not modules:
        raise NetworkError(
            f"The entry '{spec.entry}' of '{spec.name}' returned a {type(built).__name__}, not a "
            "torch.nn.Module; choose another entry."
        )
    said = next((each for each in parts if isinstance(each, Input | Mapping)), {})
    told = Wanted(input=said).said
    more = f"the first of {len(modules)} modules" if len(modules) > 1 else ""
    return modules[0], told, more


def _record(spec: Spec, module: nn.Module, told: Mapping[str, Any], wanted: Wanted) -> Record:
    """What the entry, else the module, says of its input; NetworkError for what nobody says."""
    cfg = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    found: dict[str, Any] = _of_timm(cfg) if isinstance(cfg, Mapping) else {}
    source = "the module's pretrained_cfg" if found else "its entry" if told else "what was said"
    size = getattr(module, "img_size", None)
    if isinstance(size, int | tuple | list) and "size" not in found:
        found["size"] = size if isinstance(size, int) else tuple(size)[::-1]
    count = getattr(module, "num_frames", None)
    if isinstance(count, int) and count > 1:
        found["frames"] = count
    found = {**found, **told}
    lacking = [name for name in _NEEDED if name not in {**found, **wanted.said}]
    if lacking:
        raise NetworkError(
            f"Neither '{spec.entry}' nor its module says the {' and '.join(lacking)} of its input, "
            "and a torch.hub repository has no configuration; say it: "
            + " ".join(f"--input {name}=…" for name in lacking)
        )
    found |= {name: value for name, value in wanted.said.items() if name in (*_NEEDED, "frames")}
    pair = (found["size"],) * 2 if isinstance(found["size"], int) else tuple(found["size"])
    patch = getattr(module, "patch_size", None)
    sides = [patch] if isinstance(patch, int) else list(patch or ())[-1:]
    step = getattr(module, "tubelet_size", 1)
    return Record(
        source=source,
        size=pair,
        mean=tuple(found["mean"]),
        deviation=tuple(found["deviation"]),
        interpolation=found.get("interpolation"),
        layouts=_layouts(module, found),
        frames=found.get("frames"),
        frames_step=step if isinstance(step, int) else 1,
        multiples=(*sides, *([told["multiple"]] if "multiple" in told else []), 16, 14, 32),
        classes=tuple(found.get("classes", ())),
        channels=int(found.get("channels", 3)),
    )


def _layouts(module: nn.Module, found: Mapping[str, Any]) -> tuple[AxisOrder, ...]:
    if found.get("layout"):
        return (found["layout"],)
    kinds = (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Conv3d))
    of_clips = isinstance(next(kinds, None), nn.Conv3d) or found.get("frames") is not None
    return ("BCTHW", "BTCHW") if of_clips else ("TCHW",)


def _of_timm(cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A timm-like record in nlviz's terms."""
    found: dict[str, Any] = {}
    if cfg.get("input_size"):
        channels, height, width = cfg["input_size"]
        found |= {"size": (width, height), "channels": channels}
    for name, as_nlviz in (("mean", "mean"), ("std", "deviation"), ("interpolation",) * 2):
        if cfg.get(name):
            found[as_nlviz] = cfg[name]
    return found
