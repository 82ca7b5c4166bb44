"""A model of timm: by its name, from a folder as timm saves it, with a checkpoint of one's own."""

from __future__ import annotations

import contextlib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlviz.errors import NetworkError
from nlviz.inference.by_name import extras, hub
from nlviz.inference.by_name.described import Record, network_of
from nlviz.inference.by_name.kept import weight_files
from nlviz.inference.by_name.processor import read_json
from nlviz.inference.by_name.spec import Spec, or_listed
from nlviz.inference.by_name.wanted import Wanted
from nlviz.inference.user_network import UserNetwork
from nlviz.media.filters import INTERPOLATIONS
from nlviz.models.checkpoints import read


def load_timm(spec: Spec, wanted: Wanted, *, folder: Path | None = None) -> UserNetwork:
    """The network of timm's name, or of a folder as its ``save_for_hf`` writes it.

    Args:
        folder: where the model lies that ``spec`` names; None where ``spec`` says it.

    Raises:
        NetworkError: see ``nlviz.load``.
    """
    timm = extras.timm()
    folder = spec.folder if folder is None else folder
    found = _Found.of(spec, folder, wanted, timm)
    module = found.build(wanted, timm)
    data = timm.data.resolve_model_data_config(module)
    channels, height, width = data["input_size"]
    said = data["interpolation"]
    cfg = module.pretrained_cfg
    return network_of(
        spec,
        module,
        Record(
            source="timm's pretrained_cfg" + (f" ({cfg['tag']})" if cfg.get("tag") else ""),
            size=(width, height),
            mean=tuple(map(float, data["mean"])),
            deviation=tuple(map(float, data["std"])),
            interpolation=said if said in INTERPOLATIONS else "bicubic",
            multiples=(*_strides(module), 16, 32, 64, height),
            classes=_classes(module, timm),
            channels=channels,
        ),
        wanted,
        what=f"{found.name} of timm {timm.__version__}",
        weights=found.weights(wanted),
    )


class _Found:
    """A model that timm can build, and where its weights are.

    Args:
        name: as timm's ``create_model`` takes it.
        file: its weights on this machine; None for random ones.
        made: what ``create_model`` is told beside.
    """

    def __init__(self, name: str, file: Path | None, made: dict[str, Any]) -> None:
        self.name, self.file, self.made = name, file, made

    @classmethod
    def of(cls, spec: Spec, folder: Path | None, wanted: Wanted, timm: Any) -> _Found:
        if folder is not None:
            return cls._of_folder(spec, folder, wanted, timm)
        if spec.is_path:
            raise NetworkError(f"There is no folder '{spec.name}'; give one, or a name of timm.")
        _check_name(spec.name, timm)
        if wanted.weights is not None:
            return cls(spec.name, wanted.file, {})
        cfg = timm.models.get_pretrained_cfg(spec.name)
        repository = getattr(cfg, "hf_hub_id", None)
        if cfg is None or not (repository or cfg.url):
            raise NetworkError(
                f"timm has no weights for '{spec.name}'; give --weights FILE, or --weights none "
                "for random ones."
            )
        if not repository:
            raise NetworkError(
                f"timm gets the weights of '{spec.name}' from {cfg.url}; download that file and "
                "give it: --weights FILE"
            )
        at = hub.snapshot(
            str(repository).partition("@")[0], download=wanted.download, progress=wanted.progress
        )
        named = getattr(cfg, "hf_hub_filename", None)
        files = [at / named] if named and (at / named).is_file() else weight_files(at)
        return cls(spec.name, _only(spec, files), {})

    @classmethod
    def _of_folder(cls, spec: Spec, folder: Path, wanted: Wanted, timm: Any) -> _Found:
        if not (folder / "config.json").is_file():
            raise NetworkError(
                f"'{spec.called}' has no config.json, which says what network it is; give a "
                "folder as timm.models.save_for_hf writes it, or NAME and --weights FILE."
            )
        said = read_json(folder / "config.json")
        name = str(said.get("architecture", ""))
        _check_name(name, timm)
        cfg = dict(said.get("pretrained_cfg") or {})
        if said.get("label_names"):
            cfg["label_names"] = said["label_names"]
        if said.get("num_classes") is not None:
            cfg["num_classes"] = said["num_classes"]
        cfg = {k: v for k, v in cfg.items() if k not in ("source", "hf_hub_id", "url", "file")}
        made = {"pretrained_cfg": cfg, **(said.get("model_args") or {})}
        if said.get("num_classes") is not None:
            made["num_classes"] = said["num_classes"]
        if wanted.weights is not None:
            return cls(name, wanted.file, made)
        return cls(name, _only(spec, weight_files(folder)), made)

    def weights(self, wanted: Wanted) -> str | None:
        """The checksum of the weights' file."""
        return None if self.file is None else hub.checksum_of([self.file])

    def build(self, wanted: Wanted, timm: Any) -> Any:
        """The module, with position embeddings for the size that is wanted."""
        made = dict(self.made)
        if self.file is not None:
            weights = read(self.file)
            overlay: dict[str, Any] = {"state_dict": weights, "file": None}
            if (classes := self._classes_in(weights, made, timm)) is not None:
                made["num_classes"] = overlay["num_classes"] = classes
            made |= {"pretrained": True, "pretrained_cfg_overlay": overlay}
        size = wanted.said.get("size")
        ways: list[dict[str, Any]] = [{"dynamic_img_size": True}]
        if size is not None:
            side = size[::-1] if isinstance(size, tuple) else (size, size)
            ways.append({"img_size": side})
        ways.append({})
        for way in ways:
            with torch.random.fork_rng(devices=[]), contextlib.suppress(TypeError):
                torch.manual_seed(0)
                return self._made(timm, {**made, **way}, "img_size" in way)
        raise NetworkError(f"timm could not build '{self.name}'.")

    def _made(self, timm: Any, how: dict[str, Any], sized: bool) -> Any:
        try:
            module = timm.create_model(self.name, **how)
        except TypeError:
            raise
        except (RuntimeError, ValueError, KeyError, AssertionError) as error:
            words = str(error).strip().splitlines() or [type(error).__name__]
            where = self.file.name if self.file is not None else "its configuration"
            raise NetworkError(
                f"timm could not build {self.name} from {where}: {words[0].rstrip('. :')}"
                + (f", {words[1].strip().rstrip('.')}" if len(words) > 1 else "")
                + "."
            ) from error
        module.pretrained_cfg.pop("state_dict", None)
        if sized:
            height, width = how["img_size"]
            module.pretrained_cfg["input_size"] = (
                module.pretrained_cfg["input_size"][0], height, width,
            )  # fmt: skip
        return module

    def _classes_in(self, weights: Any, made: dict[str, Any], timm: Any) -> int | None:
        """How many classes a checkpoint's classifier has; None where it has none of that name."""
        cfg = made.get("pretrained_cfg") or timm.models.get_pretrained_cfg(self.name)
        said = cfg.get("classifier") if isinstance(cfg, dict) else getattr(cfg, "classifier", None)
        first = said if isinstance(said, str) else (said or [None])[0]
        head = weights.get(f"{first}.weight")
        return None if head is None else int(head.shape[0])


def _only(spec: Spec, files: list[Path]) -> Path:
    if len(files) != 1:
        raise NetworkError(
            f"'{spec.called}' has {'no file' if not files else 'several files'} of weights, and "
            "timm takes one; give --weights FILE, or --weights none for random ones."
        )
    return files[0]


def _check_name(name: str, timm: Any) -> None:
    """NetworkError for a model or weights that timm does not know."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), 3)
        raise NetworkError(
            f"timm {timm.__version__} has no model '{architecture}'; "
            + (f"is {or_listed(near)} meant?" if near else "timm.list_models() has all names.")
            + " A newer timm may have it: pip install -U timm"
        )
    known = timm.list_pretrained(f"{architecture}.*") or timm.list_pretrained(architecture)
    tags = [each.partition(".")[2] for each in known]
    if tag and tag not in tags:
        raise NetworkError(
            f"timm {timm.__version__} has no weights '{tag}' of {architecture}"
            + (f"; it has {', '.join(filter(None, tags))}." if any(tags) else ".")
        )


def _strides(module: Any) -> list[int]:
    """Pixels from cell to cell: of its patches, and of its last stage, where it says them."""
    patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
    info = getattr(module, "feature_info", None)
    last = info[-1].get("reduction") if isinstance(info, list) and info else None
    first = patch[0] if isinstance(patch, list | tuple) and patch else patch
    return [each for each in (last, first) if isinstance(each, int) and each % 2 == 0]


def _classes(module: nn.Module, timm: Any) -> tuple[str, ...]:
    """The names that the record has, else those of the ImageNet that timm finds in their number."""
    count = int(getattr(module, "num_classes", 0) or 0)
    cfg: dict[str, Any] = dict(getattr(module, "pretrained_cfg", {}))
    if not count:
        return ()
    named = cfg.get("label_names")
    if named and len(named) == count:
        return tuple(map(str, named))
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return tuple(f"class {number}" for number in range(count))
    info = timm.data.ImageNetInfo(subset)
    return tuple(info.index_to_description(number) for number in range(count))
