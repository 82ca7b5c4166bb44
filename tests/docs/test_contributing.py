"""What contributors are told: the targets, folders and settings that are named are there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def test_every_target_of_make_that_is_named_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    text = "\n".join([GUIDE, WORKFLOW, hooks, *(page.read_text("utf-8") for page in PAGES)])
    named = set(re.findall(r"(?:^|`|entry: |run: )make ([a-z-]+)", text, re.MULTILINE))
    assert {"run", "test", "quick", "docs", "wheel"} <= named <= there


def test_the_house_has_the_rooms_that_the_tree_names():
    tree = GUIDE.split("\n## The house\n")[1].split("```")[1]
    rooms = set(re.findall(r"(?:^  |  )([a-z]+)/", tree.split("models/  assets/")[0], re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "nlviz").glob("*/__init__.py")}
    assert there <= rooms
    nouns = re.findall(r"\b[a-z]+\b", tree.split("(open ground)")[1].split(":")[0])
    for name in nouns:
        assert (ROOT / "nlviz" / f"{name}.py").is_file(), name
    for folder in re.findall(r"^([a-z]+)/", tree, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_each_job_of_the_workflow_checks_one_thing():
    jobs = re.findall(r"^  ([a-z]+):\n    name:", WORKFLOW, re.MULTILINE)
    assert jobs == ["lint", "types", "javascript", "quick", "tests", "docs", "wheel"]
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = set(re.findall(r'python-version: "([\d.]+)"', WORKFLOW))
    assert versions == {oldest["requires-python"].removeprefix(">=")}
