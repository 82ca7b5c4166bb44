"""Vision-language models of four families, small, with random weights and a tokenizer made here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import transformers

import nlviz

FAMILIES = ("Qwen2_5_VL", "Qwen3VL", "LlavaNextVideo", "InternVL")
PAD, IMAGE, VIDEO, START, END = (
    "<|pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
)
_SPECIAL = [PAD, "<|im_start|>", "<|im_end|>", START, END, IMAGE, VIDEO]
_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role + '\n' }}"
    "{%- if message.content is string %}{{ message.content }}"
    "{%- else %}{%- for part in message.content %}"
    "{%- if part.type == 'video' %}" + "@" + "{%- else %}{{ part.text }}{%- endif %}"
    "{%- endfor %}{%- endif %}<|im_end|>{{ '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant{{ '\n' }}{%- endif %}"
)
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": None,
}
_CORPUS = [
    "What moves in the clip? The dog runs to the left, and a ball rolls.",
    "user assistant seconds Frame1: Frame2: <0.5 seconds>",
]


def tokenizer() -> Any:
    """Byte-level BPE of a few words, with the marks of pictures."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=_SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_CORPUS, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=PAD,
        eos_token="<|im_end|>",
        extra_special_tokens={
            "image_token": IMAGE,
            "video_token": VIDEO,
            "context_image_token": IMAGE,
            "start_image_token": START,
            "end_image_token": END,
        },
    )


def make(family: str, seed: int = 0) -> tuple[Any, Any]:
    """(model, processor) of one of ``FAMILIES``."""
    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(token) for name, token in _MARKS.items()}
    text = {**_TEXT, "vocab_size": len(words)}
    torch.manual_seed(seed)
    model, processor = _MADE[family](text, ids, words)
    for parameter in model.parameters():  # loud enough for rows that are far from even
        if parameter.ndim >= 2:
            torch.nn.init.normal_(parameter, std=0.25 if parameter.ndim == 2 else 0.05)
    return model.eval(), processor


def save(family: str, folder: str) -> None:
    """Write one into a folder, as ``save_pretrained`` does."""
    model, processor = make(family)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def clip(frames: int = 4, height: int = 64, width: int = 96) -> nlviz.Clip:
    """Noise, so that no two places are alike."""
    pixels = np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)
    times = tuple(i / 2 for i in range(frames))
    return nlviz.Clip(pixels, tuple(range(0, 10 * frames, 10)), times, "noise", 10 * frames)


_MARKS = {"image": IMAGE, "video": VIDEO, "start": START, "end": END}


def _qwen(family: str, text: Any, ids: Any, words: Any) -> tuple[Any, Any]:
    third = family == "Qwen3VL"
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "num_heads": 2,
        "intermediate_size": 32,
        "out_hidden_size": 32,
        "patch_size": 8,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        **({"deepstack_visual_indexes": [0], "num_position_embeddings": 64} if third else {}),
        **({} if third else {"fullatt_block_indexes": [1], "window_size": 32}),
    }
    sections = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = getattr(transformers, f"{family}Config")(
        text_config={**text, "rope_parameters": sections, **({"head_dim": 8} if third else {})},
        vision_config=vision,
        image_token_id=ids["image"],
        video_token_id=ids["video"],
        vision_start_token_id=ids["start"],
        vision_end_token_id=ids["end"],
    )
    sizes = {"patch_size": 8, "temporal_patch_size": 2, "merge_size": 2}
    room = {"size": {"shortest_edge": 16 * 16 * 4, "longest_edge": 1 << (18 if third else 14)}}
    video = "Qwen3VLVideoProcessor" if third else "Qwen2VLVideoProcessor"
    processor = getattr(transformers, f"{family}Processor")(
        transformers.Qwen2VLImageProcessor(**sizes, **room),
        words,
        getattr(transformers, video)(**sizes, **room),
        chat_template=_TEMPLATE.replace("@", START + VIDEO + END if not third else VIDEO),
    )
    return getattr(transformers, f"{family}ForConditionalGeneration")(config), processor


def _llava(text: Any, ids: Any, words: Any) -> tuple[Any, Any]:
    config = transformers.LlavaNextVideoConfig(
        text_config={**text, "model_type": "llama"},
        vision_config={
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 4,
            "projection_dim": 32,
        },
        image_grid_pinpoints=[[32, 32]],
        image_token_index=ids["image"],
        video_token_index=ids["video"],
        spatial_pool_stride=2,
    )
    crop = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    processor = transformers.LlavaNextVideoProcessor(
        transformers.LlavaNextVideoVideoProcessor(**crop),
        transformers.LlavaNextImageProcessor(**crop, image_grid_pinpoints=[[32, 32]]),
        words,
        chat_template=_TEMPLATE.replace("@", VIDEO),
        patch_size=4,
        vision_feature_select_strategy="default",
    )
    return transformers.LlavaNextVideoForConditionalGeneration(config), processor


def _internvl(text: Any, ids: Any, words: Any) -> tuple[Any, Any]:
    config = transformers.InternVLConfig(
        text_config={**text, "model_type": "qwen2"},
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": [32, 32],
            "patch_size": [4, 4],
        },
        image_token_id=ids["image"],
        image_seq_length=16,
        downsample_ratio=0.5,
    )
    size = {"size": {"height": 32, "width": 32}}
    processor = transformers.InternVLProcessor(
        transformers.GotOcr2ImageProcessor(**size),
        words,
        transformers.InternVLVideoProcessor(**size),
        image_seq_length=16,
        chat_template=_TEMPLATE.replace("@", VIDEO),
    )
    return transformers.InternVLForConditionalGeneration(config), processor


_MADE = {
    "Qwen2_5_VL": lambda *given: _qwen("Qwen2_5_VL", *given),
    "Qwen3VL": lambda *given: _qwen("Qwen3VL", *given),
    "LlavaNextVideo": _llava,
    "InternVL": _internvl,
}
