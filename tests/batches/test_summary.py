"""The summary of a batch against plain arithmetic, in a process without torch too."""

from __future__ import annotations

import csv
import io
import json
import math

import pandas as pd
import pytest

import nlviz
from nlviz import BatchOptions
from nlviz.batches.listing import Entry
from nlviz.batches.options import digest
from nlviz.batches.reading import Failure
from nlviz.batches.results import Results
from nlviz.batches.summary import as_lines, matched, mean_and_error
from nlviz.batches.summary_figure import summary_figure
from nlviz.batches.table import Columns
from nlviz.cli import main
from nlviz.errors import BatchError
from tests.test_without_torch import run as run_without_torch

VALUES = {
    # clip → network → the entropies of its queries
    "a": {"one": [1.0, 3.0], "two": [4.0]},
    "b": {"one": [5.0], "two": [5.5]},
    "c": {"one": [3.0], "two": [2.0]},
    "d": {"one": [9.0]},
}


@pytest.fixture
def out(tmp_path):
    """A folder of four clips, two networks and one failure, written by the library itself."""
    entries = [
        Entry(name, carried=(("label", (name in "ab" and "cat") or "dog"),)) for name in VALUES
    ]
    columns = Columns(entries)
    results = Results(tmp_path / "OUT")
    whole = {"nlviz": nlviz.__version__, "networks": {}, "ask": [], "options": {}}
    results.begin({**whole, "columns": columns.words})
    for entry in entries:
        rows = [
            {"network": network, "block": "nl5", "kind": "point", "query": i, "entropy": value}
            | {"same_object": value / 10, "cosine_same_object": 0.1}
            for network, values in VALUES[entry.path].items()
            for i, value in enumerate(values)
        ]
        rows += [{**rows[0], "entropy": None, "refused": "it cannot be asked there"}]
        part = f"{entry.id}-{digest(entry.path)[:8]}-0"
        results.keep(entry, part, columns.part(entry, rows), {})
    results.fail(Entry("bad"), Failure("reading", "MediaError", "It is broken."))
    results.gather_errors({Entry("bad").id})
    return tmp_path / "OUT"


def only(found, **wanted):
    (one,) = [e for e in found if all(getattr(e, k) == v for k, v in wanted.items())]
    return one


def test_means_count_each_clip_once_with_its_standard_error(out):
    found = nlviz.summary(out)
    assert (found.clips, found.failed) == (4, 1)
    one = only(found.means, network="one", measure="entropy")
    assert (one.clips, one.mean) == (4, (2 + 5 + 3 + 9) / 4)
    deviation = math.sqrt(sum((v - 4.75) ** 2 for v in (2, 5, 3, 9)) / 3)
    assert one.error == pytest.approx(deviation / 2)
    assert only(found.means, network="two", measure="entropy").mean == (4 + 5.5 + 2) / 3
    assert mean_and_error([3.0]) == (3.0, None)


def test_networks_are_held_against_each_other_clip_by_clip(out):
    pair = only(nlviz.summary(out).pairs, first="one", second="two", measure="entropy")
    differences = (4 - 2, 5.5 - 5, 2 - 3)
    assert (pair.clips, pair.higher) == (3, 2)
    assert pair.difference == pytest.approx(sum(differences) / 3)
    assert pair.error == pytest.approx(mean_and_error(differences)[1])


def test_a_block_is_held_against_the_cosine_of_its_input(out):
    pair = only(nlviz.summary(out).pairs, first="cosine of its input", second="one")
    assert (pair.measure, pair.clips, pair.higher) == ("same_object", 4, 4)
    # The refused row has the first one's precision once more.
    assert pair.difference == pytest.approx(((0.1 * 2 + 0.3) / 3 + 0.5 + 0.3 + 0.9) / 4 - 0.1)


def test_blocks_of_other_names_are_matched_from_the_output():
    assert matched(["a", "b"], ["b", "c"]) == [("b", "b")]
    assert matched(["a", "b", "c"], ["x", "y"]) == [("b", "x"), ("c", "y")]


def test_clips_can_be_told_apart_by_a_column_of_the_list(out):
    found = nlviz.summary(out, by="label")
    assert only(found.means, network="one", measure="entropy", group="cat").mean == 3.5
    assert only(found.means, network="two", measure="entropy", group="dog").clips == 1
    with pytest.raises(BatchError, match="'colour' is no column of the list; choose of: label"):
        nlviz.summary(out, by="colour")


def test_the_command_prints_and_writes_table_csv_json_and_figure(out, tmp_path, capsys):
    files = [tmp_path / f"s.{ending}" for ending in ("csv", "json", "png", "svg", "pdf")]
    written = [word for path in files for word in ("-o", str(path))]
    assert main(["summary", str(out), *written]) == 0
    printed = capsys.readouterr().out
    assert "4 clips, 1 failed" in printed
    assert "4.75 ± 1.5" in printed
    assert printed.splitlines() == list(as_lines(nlviz.summary(out)))
    lines = list(csv.DictReader(io.StringIO(files[0].read_text())))
    assert {line["what"] for line in lines} == {"mean", "pair"}
    assert json.loads(files[1].read_text())["clips"] == 4
    for path, head in zip(files[2:], (b"\x89PNG", b"<?xml", b"%PDF"), strict=True):
        assert path.read_bytes().startswith(head)
    assert main(["summary", str(out), "-o", str(files[0])]) == 2
    assert main(["summary", str(out), "--json", "--measures", "entropy"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["measure"] for each in told["means"]} == {"entropy"}


def test_the_figure_has_a_dot_for_each_mean(out):
    axes = summary_figure(nlviz.summary(out)).drawing.axes
    assert [each.get_title().split(" ")[0] for each in axes] == ["entropy", "same_object"]
    dots = [line.get_ydata()[0] for line in axes[0].lines if line.get_marker() == "o"]
    assert dots[0] == 4.75


def test_what_is_no_batch_or_has_nothing_yet_is_told_in_a_sentence(tmp_path, out):
    with pytest.raises(BatchError, match="is no folder of a batch"):
        nlviz.summary(tmp_path)
    part = next((out / "rows").iterdir())
    part.write_bytes(b"PAR1")
    with pytest.raises(BatchError, match="cannot be read"):
        nlviz.summary(out)
    for path in (out / "rows").iterdir():
        path.unlink()
    with pytest.raises(BatchError, match=r"No clip of .* is done yet"):
        nlviz.summary(out)


@pytest.mark.slow
def test_reading_results_needs_no_torch(out, tmp_path):
    script = """
from nlviz.cli import main

assert main(["summary", "OUT", "-o", "s.svg", "-o", "s.csv"]) == 0
assert "torch" not in sys.modules
"""
    done = run_without_torch(script, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_real_batch_of_two_networks_is_paired(clips, net, tmp_path):
    models = (f"{net}:soft", f"{net}:dot")
    nlviz.batch(clips, tmp_path / "real", BatchOptions(models=models), readers=0)
    pairs = nlviz.summary(tmp_path / "real").pairs
    table = pd.read_parquet(tmp_path / "real" / "rows")
    own = table[table.block == "first"].pivot_table(index="id", columns="network", values="entropy")
    apart = own["net.py:dot"] - own["net.py:soft"]
    pair = only(pairs, block="first", measure="entropy")
    assert (pair.first, pair.second, pair.clips) == ("net.py:soft", "net.py:dot", 3)
    assert pair.difference == pytest.approx(apart.mean())
    assert pair.error == pytest.approx(apart.sem())
