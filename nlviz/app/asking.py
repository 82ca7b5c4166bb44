"""What a vision-language model weighs at each word, as the page shows it and as it is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlviz.analysis import Analysis
from nlviz.app import startup, store
from nlviz.app.choice import Asked
from nlviz.clip import Clip
from nlviz.display import bytes_in_words
from nlviz.errors import BudgetError
from nlviz.progress import Progress, part_of

if TYPE_CHECKING:
    from nlviz.language.answered import Words
    from nlviz.language.vision_language import VisionLanguage


def words_of(clip: Clip, network: VisionLanguage, asked: Asked, progress: Progress) -> Analysis:
    """A block for each layer, and last, which is shown first, their mean; its tokens are the words.

    Raises:
        BudgetError: more frames or words than this server keeps of one result.
        NlvizError: what ``nlviz.words`` raises.
    """
    from nlviz.language.run import MOST_BYTES, words

    most = min(startup.keep_bytes() or store.usual(), MOST_BYTES)
    running, drawing = part_of(progress, 0.0, 0.9), part_of(progress, 0.9, 1.0)
    found = words(
        clip, network, ask=asked.question, answer=asked.answer, budget=most, progress=running
    )
    _check_fits(found, most)
    return found.analysis((*range(len(found.layers)), None), progress=drawing)


def _check_fits(found: Words, most: int) -> None:
    words, blocks = len(found.words), len(found.layers) + 1
    needed = 2 * 4 * words * (len(found.sequence.slots) + words + 1) * blocks  # θ and φ
    if needed > most:
        raise BudgetError(
            f"{words} words over {blocks} blocks take {bytes_in_words(needed)}, above the "
            f"{bytes_in_words(most)} that this server keeps of results; give a shorter answer or "
            "fewer frames."
        )
