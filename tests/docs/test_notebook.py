"""The notebook of example 8: it is made from the page, and its first cell installs nlviz."""

from __future__ import annotations

import importlib.util
import json
import subprocess

import pytest

from tools import notebook
from tools.ladder import blocks


def sources(kind: str) -> list[str]:
    cells = json.loads(notebook.FILE.read_text(encoding="utf-8"))["cells"]
    return ["".join(each["source"]) for each in cells if each["cell_type"] == kind]


def test_its_code_is_that_of_the_page_which_the_tests_run():
    assert notebook.FILE.read_text(encoding="utf-8") == notebook.made(), "python -m tools.notebook"
    page = blocks(notebook.PAGE.read_text(encoding="utf-8"))
    assert sources("code")[1:] == [block.code.strip() for block in page]
    assert sources("markdown")[0].startswith("# 8. A notebook")
    assert "```" not in "".join(sources("markdown"))


def test_it_is_a_notebook_by_its_format():
    nbformat = pytest.importorskip("nbformat", reason="needs requirements-notebook.txt")
    nbformat.validate(nbformat.read(notebook.FILE, as_version=4))


def test_its_first_cell_installs_nlviz_where_it_is_not_there(monkeypatch):
    asked = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: asked.append(command))
    cell = sources("code")[0].replace('REPOSITORY = ""', 'REPOSITORY = "https://host/a/b"')
    exec(compile(cell, "cell", "exec"), {})
    assert asked == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    exec(compile(cell, "cell", "exec"), {})
    assert asked[0][1:4] == ["-m", "pip", "install"]
    assert asked[0][-1] == "nlviz[notebook] @ git+https://host/a/b"
