"""docs/batch.md: its readers, its columns, its script and its options are what there is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import duckdb
import pandas
import polars
import pytest

import nlviz
from nlviz import BatchOptions
from nlviz.batches.table import COLUMNS
from nlviz.cli import parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "batch.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_its_lines_read_the_table(clips, net, tmp_path, monkeypatch):
    options = BatchOptions(models=(f"{net}:soft",), ask=("grid:1",))
    nlviz.batch(clips, tmp_path / "OUT", options, readers=0)
    monkeypatch.chdir(tmp_path)
    (lines,) = (code for code in re.findall(r"```python\n(.*?)```", TEXT, re.S) if "duckdb" in code)
    known = {"pandas": pandas, "duckdb": duckdb, "polars": polars}
    for line in lines.splitlines():
        found = eval(line, known)  # noqa: S307 (the page's own)
        assert found.shape == (6, len(COLUMNS)), line


def test_its_table_names_every_column():
    section = TEXT.split("A row is one clip")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", section))
    left_out = {"best_a_frame", *(name for name in COLUMNS if name.startswith("cosine_"))}
    assert set(COLUMNS) - left_out <= named
    assert "best_a_frame" in named


def test_its_slurm_script_is_one():
    (script,) = re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_its_options_are_the_commands():
    batch = next(a for a in parser()._actions if a.choices).choices["batch"]
    summary = next(a for a in parser()._actions if a.choices).choices["summary"]
    there = {word for each in (batch, summary) for a in each._actions for word in a.option_strings}
    named = set(
        re.findall(
            r"(?<![\w-])(--[a-z][a-z-]+)", re.sub(r"#SBATCH.*|`python -m benchmarks.*", "", TEXT)
        )
    )
    assert named <= there, named - there


@pytest.mark.slow
def test_its_commands_can_be_typed():
    for line in re.findall(r"^(?:srun )?nlviz (batch|summary) ([^\n&#|]*)", TEXT, re.M):
        words = [word.strip('"') for word in " ".join(line).split()]
        parser().parse_args(words)
