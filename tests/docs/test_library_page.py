"""docs/library.md against the code."""

from __future__ import annotations

import inspect
import re

import pytest

import nlviz
from tools.library import PAGE, names, page

TOLD = dict(member for members in names().values() for member in members)
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_is_the_codes_own():
    """If this fails, run ``python -m tools.library``."""
    assert page() == TEXT


@pytest.mark.parametrize("name", nlviz.__all__)
def test_every_public_name_is_on_the_page_with_its_signature(name):
    value = TOLD[f"nlviz.{name}"]
    section = TEXT.split(f"\n### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]
    code, words = section.split("```python\n")[1].split("```")
    assert code.removeprefix("class ").startswith(f"nlviz.{name}(")
    assert words.strip()
    if not (inspect.isclass(value) and issubclass(value, Exception)):
        for parameter in inspect.signature(value).parameters:
            assert re.search(rf"\b{parameter}:", code), parameter


def test_no_name_on_the_page_is_gone():
    on_page = re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)
    assert sorted(on_page) == sorted(name.rpartition(".")[2] for name in TOLD)
    for name in {name for name in TOLD if name.count(".") == 1}:
        assert name.removeprefix("nlviz.") in nlviz.__all__


@pytest.mark.parametrize("name", sorted(TOLD))
def test_what_takes_more_than_one_thing_says_what_each_is(name):
    value = TOLD[name]
    if not callable(value) or (inspect.isclass(value) and issubclass(value, Exception)):
        return
    document = inspect.getdoc(value) or ""
    parameters = inspect.signature(value).parameters
    if "Args:" in document:
        told = set(re.findall(r"[\w]+", document.split("Args:")[1]))
        assert set(parameters) <= told
    else:
        assert len(document) > 40 or len(parameters) < 2
