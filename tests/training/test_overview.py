"""The tables of the README and of docs/how-good.md against the cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.cards.overview import how_good, put, readme

TOP = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("page", "table"), [("docs/how-good.md", how_good), ("README.md", readme)])
def test_the_tables_are_those_of_the_cards(page: str, table) -> None:
    """If this fails, run ``python -m training.cards.overview``."""
    text = (TOP / page).read_text(encoding="utf-8")
    assert put(text, table()) == text


def test_a_table_takes_the_place_of_the_one_that_begins_alike() -> None:
    page = "a\n\n| x | y | z |\n|---|---|---|\n| 1 | 2 | 3 |\n\n| x | w |\n|---|---|\n\nb"
    assert put(page, "| x | y | new |\n|---|---|---|") == (
        "a\n\n| x | y | new |\n|---|---|---|\n\n| x | w |\n|---|---|\n\nb"
    )
    with pytest.raises(ValueError, match="no table"):
        put(page, "| q | y |\n|---|---|")
