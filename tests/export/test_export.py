"""Data that leaves the tool, read again by what did not write it."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as safetensors

from nlviz import (
    Cell,
    ExportError,
    Grid,
    Point,
    Query,
    Region,
    block_statistics,
    export,
    profile,
    row_of,
    top_links,
)
from nlviz.cli import main
from nlviz.cli import parser as command_line
from nlviz.writing import check, write
from tests.support import make

QUERIES = [
    Query(Point(5, 20.0, 10.0), "special", k=4),
    Query(Region.box(0, 3.0, 3.0, 30.0, 30.0), "special", k=3, head=1),
    Query("class", "special", k=2),
    Query(Point(10, 40.0, 40.0), "special", k=2, reverse=True),
]


@pytest.fixture(scope="module")
def analysis():
    return make.analysis(special=True)


def described(content: bytes, kind: str):
    """Arrays by name, and the JSON text, with NumPy and safetensors alone."""
    if kind == "npz":
        arrays = dict(np.load(io.BytesIO(content), allow_pickle=False))
        return arrays, json.loads(str(arrays.pop("nlviz")))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return safetensors.load(content), json.loads(header["__metadata__"]["nlviz"])


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_arrays_hold_what_gives_each_row_again(analysis, kind):
    form = {"npz": export.npz, "safetensors": export.tensors}[kind]
    content = form(analysis, QUERIES, export.Provenance.of(analysis, QUERIES))
    arrays, told = described(content, kind)
    assert list(told["blocks"]) == list(analysis.blocks)
    for number, query in enumerate(QUERIES):
        np.testing.assert_array_equal(arrays[f"rows/{number}"], row_of(analysis, query).weights)
    # Plain NumPy, from the file alone, Eq. (3): the first query's row in block "coarse".
    block = told["blocks"]["coarse"]
    logits = arrays["coarse/theta"][:, 0] @ arrays["coarse/phi"]
    row = np.exp(logits - logits.max())
    row = row.reshape([block["key_grid"][axis] for axis in ("t", "rows", "cols")]) / row.sum()
    np.testing.assert_allclose(row, analysis.affinity("coarse").row(Cell(0, 0, 0)), rtol=1e-5)
    assert arrays["special/reach/0/query"].shape == arrays["special/theta"].shape[1:]
    # And where its cells lie.
    cells, grid = block["key_cells"], Grid(4, 3, 4)
    for cell in (Cell(0, 0, 0), Cell(3, 2, 1)):
        at = analysis.view.point(cell, grid)
        assert (cells["x"][cell.col], cells["y"][cell.row]) == pytest.approx((at.x, at.y))
        assert at.frame in cells["frames"][cell.t]


def test_cells_beyond_the_edge_are_told_where_they_are():
    analysis = make.analysis()
    affinity = analysis.affinities["fine"]
    beyond = replace(affinity.query_grid, stride=(1, 8, 10), first=(0.5, 1, -3))
    analysis.affinities["fine"] = replace(affinity, query_grid=beyond)
    _, told = described(export.npz(analysis, [], export.Provenance.of(analysis)), "npz")
    assert told["blocks"]["fine"]["query_cells"]["x"] == [-3 + 10 * col for col in range(8)]
    assert told["blocks"]["fine"]["query_cells"]["y"] == [1 + 8 * row for row in range(6)]


def table(content: bytes) -> list[dict[str, str]]:
    first, *lines = content.decode().splitlines()
    assert first.startswith("# ")
    assert json.loads(first[2:])["model"] == "random"
    return list(csv.DictReader(lines))


def test_a_table_has_every_link(analysis):
    answers = [top_links(analysis, query) for query in QUERIES]
    lines = table(export.links_csv(answers, export.Provenance.of(analysis, QUERIES)))
    links = [link for one in answers for link in one]
    assert len(lines) == len(links) == 11
    for line, link in zip(lines, links, strict=True):
        assert float(line["weight"]) == link.weight
        assert (int(line["to_frame"]), float(line["to_x"])) == (link.target.frame, link.target.x)
    assert [line["token"] for line in lines if line["query"] == "3"] == ["class", "class"]
    assert {line["reverse"] for line in lines if line["query"] == "4"} == {"1"}


def test_tables_of_statistics_have_every_number(analysis):
    made = profile(analysis, QUERIES[0])
    lines = table(export.profile_csv([made], export.Provenance.of(analysis)))
    by = {name: [line for line in lines if line["measure"] == name] for name in (
        "by_frame", "by_distance", "by_second", "entropy",
    )}  # fmt: skip
    assert [float(line["value"]) for line in by["by_frame"]] == list(made.by_frame)
    assert [float(line["value"]) for line in by["by_distance"]] == list(made.by_distance)
    assert [float(line["from"]) for line in by["by_second"]] == list(made.seconds)
    assert float(by["entropy"][0]["value"]) == made.entropy
    averages = block_statistics(analysis, "coarse")
    (line,) = table(export.statistics_csv([averages], export.Provenance.of(analysis)))
    assert float(line["divergence"]) == averages.divergence


def test_provenance_says_how_it_was_made_and_the_command_that_makes_it_again():
    analysis = make.analysis()
    object.__setattr__(analysis, "network", "nl-lite0")
    query = Query(Point(5, 20.5, 10.0), "coarse", k=7)
    made = export.Provenance.of(analysis, [query])
    assert made.weights is not None
    assert made.weights.startswith("sha256:")
    assert made.checksum != export.Provenance.of(make.analysis(frames=3)).checksum
    assert made.command is not None
    python, dash, module, *typed = shlex.split(made.command)
    assert (python, dash, module) == ("python", "-m", "nlviz")
    options = command_line().parse_args(typed)
    assert options.input == "noise.mp4"
    assert (options.at, options.block, options.k) == ([query.point], "coarse", 7)
    # The clip takes every fifth of 20 frames: frames and stride that give the same again.
    assert (options.frames, options.stride, options.start) == (4, 5, 0)
    assert export.Provenance.of(make.analysis(special=True)).command is None  # not of the zoo


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        (["-o", "a.json"], b'"provenance"'),
        (["-o", "a.csv"], b"query,block,head"),
        (["-o", "a.csv", "--table", "profile"], b"by_distance"),
        (["-o", "a.npz", "--block", "nl5"], b"nl5/theta"),
        (["-o", "a.safetensors", "--block", "nl5"], b"nl5/theta"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_writes_each_kind_and_not_over_a_file(tmp_path, monkeypatch, more, holds):
    clip = make.picture(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    line = ["export", str(clip), "--at", "0,25,25", "--size", "64", "--device", "cpu", *more]
    assert main(line) == 0
    content = Path(more[1]).read_bytes()
    assert holds in content
    assert shlex.join(line).encode() in content.replace(b"\0", b"")  # NPZ holds wide characters
    Path(more[1]).write_bytes(b"mine")
    assert main(line) == 2
    assert Path(more[1]).read_bytes() == b"mine"
    assert main([*line, "--force"]) == 0
    assert Path(more[1]).read_bytes().replace(b" --force", b"") != b"mine"


def test_where_nothing_can_be_written_is_told_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "folder.csv").mkdir()
    for path, says in (
        ("a.txt", r"end its name in \.csv or \.npz"),
        ("no/folder/a.csv", r"The folder '.*no/folder' does not exist; create it first"),
        ("folder.csv", "is a folder"),
    ):
        with pytest.raises(ExportError, match=says):
            check(tmp_path / path, (".csv", ".npz"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ExportError, match="cannot be written; choose another"):
        check(tmp_path / "a.csv", (".csv",))


def test_a_disk_that_fills_leaves_no_half_written_file(tmp_path, monkeypatch):
    def full(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[:3])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="No space left on device"):
        write(tmp_path / "a.csv", b"123456")
    assert list(tmp_path.iterdir()) == []
