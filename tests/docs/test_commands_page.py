"""docs/commands.md against the parser."""

from __future__ import annotations

import pytest

from nlviz.cli import parser
from tools.commands import PAGE, page, question

(COMMANDS,) = (action.choices for action in parser()._actions if action.choices)
SHARED = {action.dest for action in question()._actions}


def test_the_page_is_the_parsers_own():
    """If this fails, run ``python -m tools.commands``."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_on_the_page_and_says_what_it_does(name):
    text = PAGE.read_text(encoding="utf-8")
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    asked = text.split("\n## The question\n")[1].split("\n## ")[0]
    for action in COMMANDS[name]._actions:
        assert action.help, action.dest
        for spelled in set(action.option_strings) - {"-h", "--help"}:
            assert spelled in (asked if action.dest in SHARED else section), spelled
