"""A model of Hugging Face's transformers: from a repository of the hub, or a folder on disk."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlviz.errors import NetworkError
from nlviz.inference.by_name import extras, hub
from nlviz.inference.by_name.described import Record, network_of
from nlviz.inference.by_name.kept import weight_files
from nlviz.inference.by_name.processor import Processor, read_json
from nlviz.inference.by_name.spec import Spec
from nlviz.inference.by_name.wanted import Wanted
from nlviz.inference.checkpoint_into import load_into
from nlviz.inference.user_network import UserNetwork
from nlviz.models.checkpoints import read

_PICTURES, _CLIP = "pixel_values", "pixel_values_videos"
_COUNTS = ("num_frames", "frames_per_clip", "num_video_frames")
# What is said in each call, where a network takes it: other sizes, and the encoder alone.
_SAID = {"interpolate_pos_encoding": True, "skip_predictor": True}
_UNUSED = ("pooler",)  # what a checkpoint of another task lacks and no attention needs


def load_hugging_face(spec: Spec, wanted: Wanted) -> UserNetwork:
    """The network of a folder as ``save_pretrained`` writes it, or of a repository of such files.

    Raises:
        NetworkError: see ``nlviz.load``.
    """
    folder = _folder(spec, wanted)
    record_file = folder / "config.json"
    if not record_file.is_file():
        near = sorted(each.parent.name for each in folder.glob("*/config.json"))
        raise NetworkError(
            f"'{spec.called}' has no config.json, which says what network it is; give a folder as "
            "save_pretrained writes it" + (f", such as its folder {near[0]!r}." if near else ".")
        )
    said = read_json(record_file)
    if ("architecture" in said and "model_type" not in said) or said.get(
        "model_type"
    ) == "timm_wrapper":
        from nlviz.inference.by_name.timm_models import load_timm

        return load_timm(spec, wanted, folder=folder)
    with extras.transformers() as transformers:
        config = _config(spec, folder, said, wanted, transformers)
        kind, config = _kind(spec, config, said, wanted, transformers)
        module, weights = _built(spec, folder, kind, config, wanted)
    return network_of(
        spec,
        module,
        _record(spec, folder, module, config, wanted),
        wanted,
        what=f"{type(module).__name__} of transformers {extras.version('transformers')}",
        weights=weights,
    )


def _folder(spec: Spec, wanted: Wanted) -> Path:
    if spec.folder is not None:
        return spec.folder
    if spec.is_path:
        raise NetworkError(f"There is no folder '{spec.name}'; give one, or ORG/NAME of the hub.")
    return hub.snapshot(
        spec.name,
        revision=spec.revision,
        download=wanted.download,
        weights=wanted.weights is None,
        code=spec.name in wanted.trust,
        progress=wanted.progress,
    )


def _config(
    spec: Spec, folder: Path, said: Mapping[str, Any], wanted: Wanted, transformers: Any
) -> Any:
    kind = str(said.get("model_type", ""))
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    foreign = "auto_map" in said and kind not in known
    if foreign:
        wanted.check_trusted(spec.name, f"'{spec.called}' is built by code of its repository")
    elif kind not in known:
        written = said.get("transformers_version")
        near = get_close_matches(kind, known, 1)
        raise NetworkError(
            f"transformers {transformers.__version__} knows no model type {kind!r}, which "
            f"'{spec.called}' is"
            + (f" (written by {written})" if written else "")
            + (f"; the nearest is {near[0]!r}" if near else "")
            + ". Install a version that does: pip install -U transformers"
        )
    return transformers.AutoConfig.from_pretrained(
        folder, local_files_only=True, trust_remote_code=foreign
    )


def _kind(
    spec: Spec, config: Any, said: Mapping[str, Any], wanted: Wanted, transformers: Any
) -> tuple[Any, Any]:
    """The class to build, and its configuration: of pictures and words together, the pictures'."""
    if spec.name in wanted.trust and "auto_map" in said:
        return _Foreign(transformers.AutoModel), config
    names = said.get("architectures") or []
    kind = getattr(transformers, str(names[0]), None) if names else None
    if kind is not None and _takes_pictures(kind):
        return kind, config
    every = transformers.models.auto.modeling_auto.MODEL_MAPPING
    parts = [config, *(getattr(config, part, None) for part in ("vision_config", "encoder"))]
    for part in parts:
        of_part = every.get(type(part), None) if part is not None else None
        of_part = of_part[0] if isinstance(of_part, list | tuple) else of_part
        if of_part is not None and _takes_pictures(of_part):
            return of_part, part
    takes = ", ".join(_needed(kind)) if kind is not None else "something else"
    raise NetworkError(
        f"'{spec.called}' takes {takes}, not pictures alone, and has no part that does; of a model "
        "of words and pictures see `nlviz words`, of another call nlviz.capture yourself."
    )


class _Foreign:
    """AutoModel for a class that stands in the repository."""

    def __init__(self, auto: Any) -> None:
        self._auto = auto

    def __call__(self, config: Any) -> Any:
        return self._auto.from_config(config, trust_remote_code=True)

    def from_pretrained(self, folder: Path, **how: Any) -> Any:
        return self._auto.from_pretrained(folder, trust_remote_code=True, **how)


def _parameters(kind: Any) -> Mapping[str, inspect.Parameter]:
    found = dict(inspect.signature(kind.forward).parameters)
    found.pop("self", None)
    return found


def _needed(kind: Any) -> list[str]:
    """The arguments that a call has to give, the first among them in any case."""
    parameters = list(_parameters(kind).values())
    varied = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        each.name
        for place, each in enumerate(parameters)
        if each.kind not in varied and (place == 0 or each.default is inspect.Parameter.empty)
    ]


def _takes_pictures(kind: Any) -> bool:
    """Whether a network can be called with pictures or a clip alone, which come first."""
    name = kind.__name__
    if "PreTraining" in name or "Masked" in name:  # they hide places, or want to be told which
        return False
    return "input_ids" not in _parameters(kind) and _needed(kind) in ([_PICTURES], [_CLIP])


def _built(
    spec: Spec, folder: Path, kind: Any, config: Any, wanted: Wanted
) -> tuple[nn.Module, str | None]:
    """The module, and the checksum of its weights."""
    if getattr(config, "mask_ratio", 0):
        config.mask_ratio = 0.0  # MAE hides places from its encoder at random; here it sees all
    if wanted.weights is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module: nn.Module = kind(config).float()
        return _called(module), None if wanted.file is None else load_into(module, wanted.file)
    files = weight_files(folder)
    if not files:
        raise NetworkError(
            f"'{spec.called}' has no file of weights; give one that has, or --weights FILE, or "
            "--weights none for random ones."
        )
    for file in files:
        if file.suffix != ".safetensors":
            read(file)  # which says what is in it that would run
    try:
        module, lacking = kind.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise NetworkError(
            f"The weights of '{spec.called}' could not be loaded into {_name(kind)}: "
            f"{str(error).strip().splitlines()[0].rstrip('.')}."
        ) from error
    _check_whole(spec, lacking)
    return _called(module), hub.checksum_of(files)


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", "its class"))


def _check_whole(spec: Spec, lacking: Mapping[str, Any]) -> None:
    """NetworkError where weights that a network needs were not in its files."""
    missing = [
        key for key in lacking.get("missing_keys", ()) if not any(part in key for part in _UNUSED)
    ]
    wrong = [str(each[0]) for each in lacking.get("mismatched_keys", ())]
    if missing or wrong:
        which = sorted([*missing, *wrong])
        raise NetworkError(
            f"The weights of '{spec.called}' lack {len(which)} of the network's own, such as "
            f"{which[0]}; they are of another network or version."
        )


def _called(module: nn.Module) -> nn.Module:
    """The module, which is told in each call what lets it take other sizes, if anything does."""
    there = _parameters(type(module))
    said = {name: value for name, value in _SAID.items() if name in there}
    if said:

        def told(_: nn.Module, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
            return given, {**said, **named}

        module.register_forward_pre_hook(told, with_kwargs=True)
    return module


def _record(spec: Spec, folder: Path, module: nn.Module, config: Any, wanted: Wanted) -> Record:
    first = next(iter(_parameters(type(module))))
    counts = (getattr(config, name, None) for name in _COUNTS)
    frames = next((count for count in counts if isinstance(count, int)), None)
    video = first == _CLIP or frames is not None
    said = wanted.said
    processor = Processor.of(folder, video=video)
    if processor is None:
        lacking = [name for name in ("mean", "deviation", "interpolation") if name not in said]
        if lacking:
            raise NetworkError(
                f"'{spec.called}' has no preprocessor_config.json, so nothing says what its "
                f"pictures are like; copy that file beside it, or say it: "
                f"{' '.join(f'--input {name}=…' for name in lacking)}"
            )
        processor = Processor(
            "what was said",
            None,
            said["mean"],
            said["deviation"],
            said["interpolation"],
            "RGB",
            None,
        )
    own = _pair(getattr(config, "image_size", None) or getattr(config, "crop_size", None))
    size = processor.size or own
    if size is None and isinstance(said.get("size"), int | tuple):
        size = _pair(said["size"])
    if size is None:
        raise NetworkError(f"Nothing says what size '{spec.called}' takes; say it: --input size=…")
    count = frames or processor.frames
    patch = _pair(getattr(config, "patch_size", None)) or (16, 16)
    stages = len(getattr(config, "depths", None) or ()) or 1
    labels = getattr(config, "id2label", None) or {}
    classifies = "Classification" in type(module).__name__
    return Record(
        source=f"config.json and {processor.file}",
        size=size,
        only_size=own,
        mean=processor.mean,
        deviation=processor.deviation,
        interpolation=processor.interpolation,
        channel_order="BGR" if processor.channel_order == "BGR" else "RGB",
        layouts=("BTCHW",) if video else ("TCHW",),
        frames=count if video else None,
        frames_step=_time(config),
        multiples=(max(patch) * 2 ** (stages - 1), max(patch), 32),
        classes=tuple(str(labels[n]) for n in sorted(labels)) if classifies else (),
        channels=int(getattr(config, "num_channels", 3) or 3),
    )


def _time(config: Any) -> int:
    """How many frames one time step of a module of clips covers."""
    said = getattr(config, "tubelet_size", 1)
    return int(said[0] if isinstance(said, list | tuple) else said or 1)


def _pair(said: Any) -> tuple[int, int] | None:
    """(width, height) of a side, or of (height, width)."""
    if isinstance(said, int):
        return said, said
    if isinstance(said, list | tuple) and len(said) >= 2:
        return int(said[-1]), int(said[-2])
    return None
