"""Where the words of the question and the answer stand among the ids of a sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nlviz.errors import QueryError
from nlviz.language.sequence import Part, Word

_STARTS = ("Ġ", "▁", " ", "\n", "Ċ")  # of a token that begins a word, as tokenizers write a space


def words_of(
    tokenizer: Any, ids: Sequence[int], question: str, before: int, behind: int
) -> tuple[Word, ...]:
    """The words of the question and of the answer, with the slots that they fill.

    Args:
        tokenizer: of the model.
        ids: of the whole sequence.
        question: what was asked, which stands somewhere between two slots.
        before: the slot behind the last one of the picture.
        behind: the first slot of the answer.

    Raises:
        QueryError: a question that the template has changed.
    """
    start, end = _span(tokenizer, ids, question, before, behind)
    runs: list[tuple[Part, list[int]]] = []
    for part, first, last in (("question", start, end), ("answer", behind, len(ids))):
        runs += [(part, run) for run in _runs(tokenizer, ids, first, last)]  # type: ignore[misc]
    texts = [tokenizer.decode([ids[i] for i in run]).strip() for _, run in runs]
    seen: Counter[str] = Counter()
    words = []
    for (part, run), text in zip(runs, texts, strict=True):
        if not text:
            continue
        seen[text] += 1
        name = text if seen[text] == 1 else f"{text} {seen[text]}"
        words.append(Word(name, text, part, tuple(run)))
    return tuple(words)


def _span(
    tokenizer: Any, ids: Sequence[int], question: str, before: int, behind: int
) -> tuple[int, int]:
    """The slots from which to which the question stands: the shortest run that says it."""
    wanted = "".join(question.split())

    def says(start: int, end: int) -> bool:
        return wanted in "".join(tokenizer.decode(list(ids[start:end])).split())

    for whole in (before, 0):
        if says(whole, behind):
            start, end = whole, behind
            break
    else:
        raise QueryError(
            "The model's chat template has changed the question, so its words cannot be found "
            "among the tokens; ask it in plainer words."
        )
    low, high = start, end
    while low < high:  # the least end, as whatever says it goes on saying it
        middle = (low + high) // 2
        low, high = (low, middle) if says(start, middle) else (middle + 1, high)
    end = low
    low, high = start, end
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if says(middle, end) else (low, middle - 1)
    return low, end


def _runs(tokenizer: Any, ids: Sequence[int], start: int, end: int) -> list[list[int]]:
    """Slots that make a word each: pieces up to the next space; signs by themselves."""
    special = {*tokenizer.all_special_ids}
    runs: list[list[int]] = []
    glued = False
    for slot in range(start, end):
        if ids[slot] in special:
            glued = False
            continue
        raw = str(tokenizer.convert_ids_to_tokens(int(ids[slot])))
        text = tokenizer.decode([int(ids[slot])])
        sign = bool(text.strip()) and not any(c.isalnum() or c == "�" for c in text)
        begins = raw.startswith(_STARTS) or text[:1].isspace()
        if glued and not begins and not sign and runs:
            runs[-1].append(slot)
        else:
            runs.append([slot])
        glued = not sign
    return runs
