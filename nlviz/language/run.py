"""``words``: one pass over a clip, a question and an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from nlviz.clip import Clip
from nlviz.errors import BudgetError, CaptureError
from nlviz.geometry import Point, View
from nlviz.hooks.capture import evaluating
from nlviz.hooks.memory import enough_memory
from nlviz.language.answered import Words
from nlviz.language.listening import Decoder, Listening
from nlviz.language.proof import proven_grid
from nlviz.language.reading import words_of
from nlviz.language.sequence import MixedSequence
from nlviz.language.vision_language import VisionLanguage, load_vision_language
from nlviz.progress import Progress, silent

MOST_BYTES = 4 << 30
"""What θ and φ of all layers may take, where nobody says."""


def words(
    clip: Clip,
    network: VisionLanguage | str,
    *,
    ask: str,
    answer: str,
    places: Sequence[Point] = (),
    predicting: bool = False,
    budget: int = MOST_BYTES,
    progress: Progress | None = None,
) -> Words:
    """Which places of which frames each word of an answer weighs, and each word of the question.

    The model runs once over the clip, the question and the answer as it is given. Of each layer
    nlviz keeps θ of the words and φ of all slots, never a matrix, and checks both: their weighted
    values must be what the layer put out. Where the picture's slots lie is proven by colouring
    cells of the clip and seeing which slots answer.

    Args:
        clip: the frames; all of them are given to the model.
        network: a model with its processor, or ``hf:FOLDER`` for ``load_vision_language``.
        ask: the question.
        answer: the answer, as the model gave it or as anyone says it.
        places: points of the clip that are asked as well: which words and places they weigh.
        predicting: take the row of the slot before each word, which predicts it.
        budget: bytes that θ and φ of all layers may take.
        progress: called with a fraction from 0 to 1 and a word on what is being done.

    Raises:
        QueryError: a question or an answer without words, or a place outside the clip.
        BudgetError: more frames than fit; says how many do.
        NetworkError: a model or processor that cannot be had.
        CaptureError: slots whose places could not be proven, or a layer that was not understood.
    """
    if isinstance(network, str):
        network = load_vision_language(network)
    report = progress or silent
    report(0.0, "preparing the frames")
    prompt = network.prompt(ask)
    inputs = network.inputs(prompt, clip.frames, clip)
    whole = network.with_answer(inputs, answer)
    ids = [int(i) for i in whole["input_ids"][0]]
    view = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    with (
        evaluating(network.model),
        _fused(network.model),
        enough_memory(f"{len(clip.frames)} frames with {network.name}"),
    ):
        pictures = [i for i, token in enumerate(ids) if token in network.picture_ids]
        found = words_of(
            network.processor.tokenizer, ids, ask, max(pictures, default=-1) + 1,
            inputs["input_ids"].shape[1],
        )  # fmt: skip
        own = {slot for word in found for slot in word.slots}
        before = {slot - 1 for slot in own} if predicting else set()
        held = network.held_bytes(len(ids), len(own | before) + len(places))
        _check_fits(network, clip, len(ids), len(pictures), held, budget)
        grid, slots = proven_grid(
            network, clip, prompt, inputs,
            lambda share: report(0.1 + 0.5 * share, "proving where the slots lie"),
        )  # fmt: skip
        sequence = MixedSequence(len(ids), slots, grid, view, found)
        asked = np.array(sorted(own | before | {sequence.slot(place) for place in places}))
        report(0.6, f"running {network.name}, holding {held / 2**20:,.0f} MiB of its layers")
        listening = _run(network, whole, asked)
    report(1.0, "done")
    return Words(
        clip, network.name, ask, answer, sequence, asked,
        tuple(listening.layers), tuple(listening.fidelity), predicting,
    )  # fmt: skip


def _run(network: VisionLanguage, inputs: dict[str, Any], asked: Any) -> Listening:
    decoder = Decoder(network.model)
    slots = torch.from_numpy(asked).to(network.model.device)
    listening = Listening(decoder, slots, inputs["input_ids"].shape[1])
    with decoder.followed(), listening:
        network.model(**inputs, use_cache=False, logits_to_keep=1)
    if len(listening.layers) != network.layers:
        raise CaptureError(
            f"{network.name} has {network.layers} layers, and nlviz saw the attention of "
            f"{len(listening.layers)}: the others do not call scaled_dot_product_attention."
        )
    return listening


def _check_fits(
    network: VisionLanguage, clip: Clip, length: int, pictures: int, held: int, budget: int
) -> None:
    """BudgetError for more frames than fit, by the model's length and by the memory."""
    frames = len(clip.frames)
    each = max(1.0, pictures / frames)
    others = length - pictures
    room = int((network.longest - others) // each)
    if length > network.longest:
        raise BudgetError(
            f"{frames} frames make a sequence of {length} slots, more than the {network.longest} "
            f"that {network.name} takes; {_at_most(room)}."
        )
    if held > budget:
        of_frames = network.held_bytes(length, 0) - network.held_bytes(others, 0)
        left = budget - (held - of_frames)
        raise BudgetError(
            f"The layers of {network.name} take {held / 2**20:,.0f} MiB for {frames} frames, above "
            f"the budget of {budget / 2**20:,.0f} MiB; {_at_most(int(left * frames // of_frames))}."
        )


def _at_most(frames: int) -> str:
    if frames < 1:
        return "not even one frame fits; take a smaller picture"
    return f"at most {frames} frame{'s'[: frames > 1]} fit"


@contextmanager
def _fused(model: Any) -> Iterator[None]:
    """Attention through scaled_dot_product_attention, whatever was set before, which comes back."""
    configs = [model.config, *(getattr(model.config, n, None) for n in model.config.sub_configs)]
    before = [(each, each._attn_implementation) for each in configs if each is not None]
    try:
        model.set_attn_implementation("sdpa")
    except ValueError as error:
        raise CaptureError(f"{type(model).__name__} has no fused attention: {error}") from error
    try:
        yield
    finally:
        for config, chosen in before:
            config._attn_implementation = chosen
