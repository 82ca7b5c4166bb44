"""A vision-language model and its processor: from a clip and words to what the model is given."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlviz.clip import Clip
from nlviz.errors import NetworkError, QueryError
from nlviz.progress import Progress

Frames = NDArray[np.uint8]

_NO_PROCESSOR = (
    "{} has no processor that can be loaded here; save it beside the model "
    "(processor.save_pretrained(FOLDER)): {}"
)


@dataclass(frozen=True, slots=True, eq=False)
class VisionLanguage:
    """A model of transformers that reads clips and text, with its processor.

    Args:
        model: as ``AutoModelForImageTextToText`` gives it: Qwen2.5-VL, Qwen3-VL,
            LLaVA-NeXT-Video, InternVL.
        processor: its processor, with a tokenizer, a video processor and a chat template.
        name: what to call it.

    Raises:
        NetworkError: a processor without one of its parts, or a model that names no token of a
            picture.
    """

    model: Any
    processor: Any
    name: str

    def __post_init__(self) -> None:
        missing = [
            words
            for part, words in (
                ("tokenizer", "tokenizer"),
                ("video_processor", "video processor"),
                ("chat_template", "chat template"),
            )
            if getattr(self.processor, part, None) is None
        ]
        if missing:
            raise NetworkError(
                f"The processor of {self.name} has no {missing[0]}, so it cannot turn a clip and a "
                "question into the model's input; save the whole processor beside the model "
                "(processor.save_pretrained(FOLDER))."
            )
        if not self.picture_ids:
            raise NetworkError(
                f"{type(self.model).__name__} does not say which token stands for a picture "
                "(image_token_id, video_token_id), so nlviz cannot tell its places from words."
            )

    @property
    def module(self) -> Any:
        """The model, as other networks call theirs."""
        return self.model

    @property
    def picture_ids(self) -> tuple[int, ...]:
        """The ids of the tokens that stand for a cell of a picture or a clip."""
        config = self.model.config
        names = ("video_token_id", "image_token_id", "video_token_index", "image_token_index")
        found = (getattr(config, name, None) for name in names)
        return tuple(dict.fromkeys(each for each in found if each is not None))

    @property
    def layers(self) -> int:
        """How many layers the decoder has."""
        return int(self._text.num_hidden_layers)

    @property
    def longest(self) -> int:
        """How many slots a sequence may have."""
        return int(getattr(self._text, "max_position_embeddings", 1 << 31))

    @property
    def steps(self) -> int:
        """How many frames the model merges into one time step."""
        vision = getattr(self.model.config, "vision_config", None)
        return int(getattr(vision, "temporal_patch_size", 1) or 1)

    def held_bytes(self, length: int, asked: int) -> int:
        """Bytes of θ of some slots and φ of all, over all layers."""
        text = self._text
        heads = int(text.num_attention_heads)
        keys = int(getattr(text, "num_key_value_heads", None) or heads)
        width = int(getattr(text, "head_dim", None) or text.hidden_size // heads)
        return self.layers * 4 * width * (heads * asked + keys * length)

    def prompt(self, question: str) -> str:
        """The question after a clip, in the form that the model was trained with.

        Raises:
            QueryError: a question without words.
        """
        if not question.strip():
            raise QueryError("The question has no words; say what the model is asked.")
        content = [{"type": "video"}, {"type": "text", "text": question}]
        told = [{"role": "user", "content": content}]
        made = self.processor.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        return str(made)

    def inputs(self, prompt: str, frames: Frames, clip: Clip) -> dict[str, Tensor]:
        """What the model is given: the clip's frames, or others in their place, and the prompt.

        Args:
            prompt: as ``prompt`` makes it.
            frames: (T, H, W, 3) as many frames as the clip has, of any size; the last is repeated
                where the model merges more than there are.
            clip: whose time stamps they have.

        Raises:
            NetworkError: a clip that the processor does not take.
        """
        more = max(self.steps - len(frames), 0)
        frames = np.concatenate([frames, *[frames[-1:]] * more])
        height, width = frames.shape[1:3]
        seconds = clip.timestamps[-1] - clip.timestamps[0]
        span = clip.indices[-1] - clip.indices[0]
        rate = span / seconds if seconds > 0 and span else 24.0
        about = {
            "total_num_frames": max(clip.total, clip.indices[-1] + 1),
            "fps": rate,
            "duration": max(clip.total, 1) / rate,
            "frames_indices": [*clip.indices, *clip.indices[-1:] * more],
            "width": width,
            "height": height,
            "video_backend": "nlviz",
        }
        try:
            made = self.processor(
                text=[prompt],
                videos=[frames],
                video_metadata=[about],
                do_sample_frames=False,
                return_tensors="pt",
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise NetworkError(
                f"The processor of {self.name} does not take {len(frames)} frames of "
                f"{width}×{height}: {_sentence(error)}"
            ) from error
        return {
            name: value.to(self.model.device)
            for name, value in made.items()
            if isinstance(value, Tensor)
        }

    def with_answer(self, inputs: Mapping[str, Tensor], answer: str) -> dict[str, Tensor]:
        """The same with the answer's tokens behind the prompt's.

        Raises:
            QueryError: an answer without words.
        """
        tokens = self.processor.tokenizer(answer, add_special_tokens=False)["input_ids"]
        if not answer.strip() or not tokens:
            raise QueryError("The answer has no words; give the text that is asked about.")
        more = dict(inputs)
        ids = inputs["input_ids"]
        behind = torch.tensor([tokens], dtype=ids.dtype, device=ids.device)
        for name, value in inputs.items():
            if value.shape == ids.shape:
                filled = {"input_ids": behind, "attention_mask": torch.ones_like(behind)}
                added = filled.get(name, torch.zeros_like(behind)).to(value.dtype)
                more[name] = torch.cat([value, added], dim=1)
        return more

    @property
    def _text(self) -> Any:
        return self.model.config.get_text_config()


def is_vision_language(
    spec: str, *, download: bool = True, progress: Progress | None = None
) -> bool:
    """Whether a network by name reads a clip and text, by its configuration and processor's class.

    Args:
        spec: as for ``load_vision_language``; False for what is no model of Hugging Face.
        download, progress: as for it; only the configuration is brought.

    Raises:
        NetworkError: what ``load_vision_language`` raises before it reads weights.
    """
    from nlviz.inference.by_name import extras
    from nlviz.inference.by_name.processor import read_json
    from nlviz.inference.by_name.spec import Spec

    if Spec.of(spec).library != "hf":
        return False
    record = _folder(spec, weights=False, download=download, progress=progress) / "config.json"
    kind = str(read_json(record).get("model_type")) if record.is_file() else ""
    with extras.transformers() as kinds:
        auto = kinds.models.auto
        if kind not in auto.modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            return False
        processor = getattr(kinds, auto.processing_auto.PROCESSOR_MAPPING_NAMES.get(kind, ""), None)
        return "video_processor" in inspect.signature(processor or object).parameters


def load_vision_language(
    spec: str,
    *,
    device: str = "auto",
    download: bool = True,
    progress: Progress | None = None,
) -> VisionLanguage:
    """A vision-language model from a folder as ``save_pretrained`` writes it, or from the hub.

    No code of the folder runs, and of pickled weights only tensors are read.

    Args:
        spec: ``hf:FOLDER``, or ``hf:ORG/NAME``: what the cache of Hugging Face has is taken from
            there.
        device: "cuda", "mps", "cpu", or "auto" for the first of these that is available.
        download: bring what is not there; else it is refused.
        progress: told of each file that is brought.

    Raises:
        NetworkError: transformers or a torchvision that fits is missing, no such folder or
            repository, one without a configuration, a model of another kind, a processor that is
            missing.
    """
    from nlviz.inference.by_name import extras
    from nlviz.inference.by_name.spec import Spec
    from nlviz.models.network import device as device_of

    where = _folder(spec, weights=True, download=download, progress=progress)
    if not (where / "config.json").is_file():
        raise NetworkError(
            f"'{spec}' has no config.json, which says what model it is; give a folder as "
            "save_pretrained writes it."
        )
    only = {"local_files_only": True, "trust_remote_code": False}
    with extras.transformers() as kinds:
        try:
            load = kinds.AutoModelForImageTextToText.from_pretrained
            model = load(where, dtype="auto", **only)
        except (OSError, ValueError) as error:
            raise NetworkError(
                f"{spec} is not a vision-language model that can be loaded here: {_sentence(error)}"
            ) from error
        try:
            processor = kinds.AutoProcessor.from_pretrained(where, **only)
        except (OSError, ValueError, TypeError) as error:
            raise NetworkError(_NO_PROCESSOR.format(spec, _sentence(error))) from error
    if not hasattr(processor, "apply_chat_template"):
        raise NetworkError(
            _NO_PROCESSOR.format(spec, f"what is there makes a {type(processor).__name__}.")
        )
    model.to(device_of(device))
    return VisionLanguage(model.eval(), processor, Spec.of(spec).called)


def _folder(spec: str, *, weights: bool, download: bool, progress: Progress | None) -> Path:
    from nlviz.inference.by_name import hub
    from nlviz.inference.by_name.spec import Spec

    named = Spec.of(spec)
    if named.library != "hf":
        raise NetworkError(f"{spec} is no model of Hugging Face; give hf:FOLDER or hf:ORG/NAME.")
    if named.folder is None and named.is_path:
        raise NetworkError(f"The folder '{named.name}' does not exist; give hf:FOLDER.")
    return named.folder or hub.snapshot(
        named.name,
        revision=named.revision,
        download=download,
        weights=weights,
        words=True,
        progress=progress,
    )


def _sentence(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().partition(". ")[0].rstrip(".") + "."
