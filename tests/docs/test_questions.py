"""The page of questions: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import nlviz
from nlviz.cli import parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "questions.md"
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = next(action.choices for action in parser()._actions if action.choices)


def rows() -> list[list[str]]:
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_command_and_function_on_the_page_is_there():
    commands = re.findall(r"`nlviz ([a-z]+)", TEXT)
    functions = re.findall(r"`nlviz\.(\w+)`", TEXT)
    assert len(set(commands)) > 9
    assert len(set(functions)) > 20
    assert set(commands) <= set(COMMANDS)
    assert set(functions) <= set(nlviz.__all__)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_question_says_what_it_does_not_answer_and_its_options_are_its_commands(row):
    assert len(row) == 5
    assert all(row)
    question, *_, how = row
    if question == "question" or not question.strip("-"):
        return
    assert "`nlviz" in how
    options = re.findall(r"`(--[a-z-]+)", question)
    commands = re.findall(r"`nlviz ([a-z]+)`", how)
    for option in options:
        assert option in COMMANDS[commands[0]].format_help(), (option, commands[0])
