"""A batch in one process: its rows against the library's own, what is skipped, what is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import polars
import pytest
import torch

import nlviz
from nlviz import BatchOptions, Point, Query, Region
from nlviz.batches.run import IN_A_ROW
from nlviz.errors import BatchError, ExportError
from tests.batches.conftest import contents, square
from tests.support.media_files import video


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(inputs, out, net, *functions, **options):
    models = tuple(f"{net}:{name}" for name in functions or ("soft",))
    how = {key: options.pop(key) for key in ("shard", "readers", "progress") if key in options}
    return nlviz.batch(inputs, out, BatchOptions(models=models, **options), **{"readers": 0, **how})


def rows(out) -> pd.DataFrame:
    return pd.read_parquet(out / "rows")


def test_each_row_is_what_the_library_says_of_that_query(clips, net, tmp_path):
    at = (Point(1, 30, 20), Region.box(0, 8, 8, 40, 40))
    report = run(clips, tmp_path / "out", net, at=at, ask=("points", "regions", "grid:2", "blocks"))
    assert (report.clips, report.done, report.there, report.failed) == (3, 3, 0, ())
    table = rows(tmp_path / "out")
    assert len(table) == 3 * 2 * (1 + 1 + 1 + 4)
    network = nlviz.load(f"{net}:soft")
    for path in sorted(clips.iterdir()):
        own = table[table["clip"] == path.name]
        analysis = nlviz.analyse(nlviz.read(path, frames=3), network)
        for block in analysis.blocks:
            here = own[own.block == block].set_index("kind")
            averages = nlviz.block_statistics(analysis, block)
            for name in ("entropy", "distance", "duration", "divergence", "alike", "queries"):
                assert here.loc["block"][name] == getattr(averages, name)
            for kind, place in (("point", at[0]), ("region", at[1])):
                found = nlviz.profile(analysis, Query(place, block))
                row = here.loc[kind]
                assert row.entropy == found.entropy
                assert row.covered == found.links
                links = nlviz.top_links(analysis, Query(place, block))
                assert [link["weight"] for link in row.links] == [link.weight for link in links]
                assert [link["x"] for link in row.links] == [link.target.x for link in links]
            grid = here.loc["grid"]
            assert list(zip(grid.frame, grid.x, grid.y, strict=True)) == [
                (1, 16, 12), (1, 48, 12), (1, 16, 36), (1, 48, 36),
            ]  # fmt: skip


def test_an_object_is_measured_beside_the_cosine_of_the_blocks_input(clips, masks, net, tmp_path):
    run(clips, tmp_path / "out", net, masks=str(masks))
    table = rows(tmp_path / "out")
    assert set(table.kind) == {"object"}
    network = nlviz.load(f"{net}:soft")
    for path in sorted(clips.iterdir()):
        analysis = nlviz.analyse(nlviz.read(path, frames=3), network)
        truth = nlviz.read_masks(masks / path.name, analysis.clip)
        for block in analysis.blocks:
            row = table[(table["clip"] == path.name) & (table.block == block)].iloc[0]
            assert truth[0, int(row.y), int(row.x)]
            cosine = nlviz.baseline(analysis, network, block, "cosine")
            for seen, name, before in (
                (analysis, block, ""),
                (cosine, cosine.blocks[0], "cosine_"),
            ):
                found = nlviz.same_object(seen, seen.affinity(name), truth)
                track = nlviz.track(seen, name, truth[0]).objects
                assert row[before + "same_object"] == found.precision
                pairs = list(zip(track, truth, strict=True))[1:]
                j = np.mean([nlviz.region_similarity(*pair) for pair in pairs])
                f = np.mean([nlviz.contour_accuracy(*pair) for pair in pairs])
                assert row[before + "J"] == pytest.approx(j)
                assert row[before + "JF"] == pytest.approx((j + f) / 2)


def test_the_table_is_read_in_one_line_each(clips, net, tmp_path, monkeypatch):
    run(clips, tmp_path / "OUT", net)
    monkeypatch.chdir(tmp_path)
    whole = pd.read_parquet("OUT/rows")
    assert len(duckdb.sql("FROM 'OUT/rows/*.parquet'").fetchall()) == len(whole) == 6
    assert polars.read_parquet("OUT/rows/*.parquet").columns == list(whole.columns)
    assert len(pd.read_parquet("OUT/errors.parquet")) == 0


def test_what_is_done_is_skipped_by_content_and_the_rest_is_not(clips, net, tmp_path):
    out = tmp_path / "out"
    run(clips, out, net)
    before = contents(out)
    times = {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    assert run(clips, out, net).done == 0
    (clips / "clip0" / "0.png").touch()
    assert run(clips, out, net).there == 3
    assert times == {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    assert contents(out) == before
    shutil.rmtree(clips / "clip0")
    square(clips / "clip0", 30)
    report = run(clips, out, net)
    assert (report.done, report.there) == (1, 2)
    assert len(list((out / "rows").iterdir())) == 3
    assert len(rows(out)) == 6


def test_a_mask_that_has_changed_has_its_clip_done_anew(clips, masks, net, tmp_path):
    out = tmp_path / "out"
    run(clips, out, net, masks=str(masks), blocks=("first",))
    (masks / "clip0" / "1.png").write_bytes((masks / "clip1" / "1.png").read_bytes())
    report = run(clips, out, net, masks=str(masks), blocks=("first",))
    assert (report.done, report.there) == (1, 2)


def test_the_same_content_under_another_name_has_rows_and_costs_no_pass(
    clips, net, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    run(clips, out, net)
    shutil.copytree(clips / "clip0", clips / "copy")
    with monkeypatch.context() as patched:
        patched.setattr("nlviz.batches.one_clip.analyse", None)
        report = run(clips, out, net)
    assert (report.done, report.there, report.failed) == (1, 3, ())
    copied = contents(out)
    anew = tmp_path / "anew"
    run(clips, anew, net)
    assert contents(anew) == copied


def test_a_part_that_is_damaged_is_done_anew(clips, net, tmp_path):
    out = tmp_path / "out"
    run(clips, out, net)
    before = contents(out)
    part = next((out / "rows").iterdir())
    part.write_bytes(part.read_bytes()[:-9])
    assert run(clips, out, net).done == 1
    assert contents(out) == before


def test_a_bad_clip_costs_its_own_row_and_is_tried_again(clips, net, tmp_path):
    out = tmp_path / "out"
    (clips / "broken.mp4").write_bytes(b"no video at all")
    (clips / "empty.mp4").write_bytes(b"")
    report = run(clips, out, net)
    assert report.done == 3
    assert [path for path, _ in report.failed] == [
        str(clips / "broken.mp4"), str(clips / "empty.mp4"),
    ]  # fmt: skip
    errors = pd.read_parquet(out / "errors.parquet")
    assert list(errors.stage) == ["reading", "reading"]
    assert "is empty" in errors.why[1]
    shutil.rmtree(clips / "clip0")
    (clips / "broken.mp4").unlink()
    video(clips / "empty.mp4", 3)
    report = run(clips, out, net)
    assert (report.done, report.there, report.failed) == (1, 2, ())
    assert len(pd.read_parquet(out / "errors.parquet")) == 0
    assert len(rows(out)) == 8  # of the clip that is gone too


def test_a_place_that_one_clip_does_not_have_fails_that_clip(clips, net, tmp_path):
    shutil.rmtree(clips / "clip1")
    square(clips / "clip1", 0, count=2)
    report = run(clips, tmp_path / "out", net, at=(Point(2, 10, 10),))
    ((path, why),) = report.failed
    assert path.endswith("clip1")
    assert why.startswith("Frame 2 was not sampled; choose one of 0, 1")
    assert list(pd.read_parquet(tmp_path / "out" / "errors.parquet").stage) == ["asking"]


def test_a_network_that_dies_on_every_clip_stops_after_ten_in_a_row(tmp_path, net):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(IN_A_ROW + 3):
        square(folder / f"{number:02}", number)
    report = run(folder, tmp_path / "out", net, "dies")
    assert len(report.failed) == IN_A_ROW
    assert report.stopped.startswith("The network failed on 10 clips in a row, so the batch stop")
    assert "the kernel is not there" in report.stopped
    few = tmp_path / "few"
    few.mkdir()
    square(few / "one", 1)
    assert run(few, tmp_path / "other", net, "dies").stopped is None


def test_other_options_over_one_folder_are_refused_with_what_differs(clips, net, tmp_path):
    out = tmp_path / "out"
    run(clips, out, net, k=5)
    with pytest.raises(BatchError, match="k: 5 there, 6 here"):
        run(clips, out, net, k=6)
    with pytest.raises(BatchError, match=r"networks: .* there, .* here"):
        run(clips, out, net, "dot", k=5)
    with pytest.raises(BatchError, match=r'ask: \["blocks"\] there, \["grid:2"\] here'):
        run(clips, out, net, k=5, ask=("grid:2",))
    table = pd.DataFrame({"path": [str(clips / "clip0")], "label": ["cat"]})
    with pytest.raises(BatchError, match=r'columns: {} there, {"label": "string"} here'):
        run(table, out, net, k=5)
    net.write_text(net.read_text() + "\n# another file\n")
    with pytest.raises(BatchError, match="networks: "):
        run(clips, out, net, k=5)


def test_a_folder_of_something_else_is_left_alone(clips, net, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("mine")
    with pytest.raises(BatchError, match=r"holds other files \(thesis.tex\)"):
        run(clips, home, net)
    with pytest.raises(BatchError, match="is not a folder"):
        run(clips, home / "thesis.tex", net)
    with pytest.raises(BatchError, match="is an address"):
        run(clips, "s3://bucket/out", net)
    assert [path.name for path in home.iterdir()] == ["thesis.tex"]


def test_shards_share_the_list(clips, net, tmp_path):
    out = tmp_path / "out"
    assert run(clips, out, net, shard="1/2").clips == 2
    assert run(clips, out, net, shard="2/2").clips == 1
    run(clips, tmp_path / "whole", net)
    assert contents(out) == contents(tmp_path / "whole")
    for wrong in ("0/2", "3/2", "2", "a/b"):
        with pytest.raises(BatchError, match=r"count from 1/2 to 2/2|is not a shard"):
            run(clips, out, net, shard=wrong)


def test_clips_read_ahead_in_other_processes_give_the_same(clips, net, tmp_path):
    run(clips, tmp_path / "here", net)
    run(clips, tmp_path / "ahead", net, readers=2)
    assert contents(tmp_path / "here") == contents(tmp_path / "ahead")


def test_clips_that_go_through_together_have_the_same_rows(tmp_path, clips):
    square(clips / "long", 2, count=4)
    options = BatchOptions(frames=4, size=64, at=(Point(0, 20, 20),), ask=("points", "blocks"))
    nlviz.batch(clips, tmp_path / "alone", options, readers=0)
    nlviz.batch(clips, tmp_path / "together", replace(options, together=3), readers=0)
    one, other = rows(tmp_path / "alone"), rows(tmp_path / "together")
    assert list(one.id) == list(other.id)
    for name in ("entropy", "distance", "covered", "fidelity"):
        assert np.allclose(one[name], other[name], rtol=1e-3, atol=1e-5, equal_nan=True), name


@pytest.mark.slow
def test_arrays_figures_and_films_lie_beside_the_table(clips, net, tmp_path):
    out = tmp_path / "out"
    for number in (1, 2):
        shutil.rmtree(clips / f"clip{number}")
    wanted = {"arrays": "npz", "figures": "png", "films": "gif"}
    run(clips, out, net, ask=("grid:2",), blocks=("first",), **wanted)
    for folder, ending in wanted.items():
        names = sorted(path.name for path in (out / folder).iterdir())
        assert len(names) == 1
        assert names[0].startswith("clip0-")
        assert names[0].endswith("." + ending)
    array = np.load(next((out / "arrays").glob("clip0-*")))
    analysis = nlviz.analyse(nlviz.read(clips / "clip0", frames=3), nlviz.load(f"{net}:soft"))
    assert np.array_equal(array["first/theta"], analysis.affinity("first").theta)
    assert len([name for name in array.files if name.startswith("rows/")]) == 4
    before = contents(out)
    shutil.rmtree(out)
    run(clips, out, net, ask=("grid:2",), blocks=("first",), **wanted)
    assert contents(out) == before
    with pytest.raises(BatchError, match="show places"):
        run(clips, tmp_path / "none", net, figures="png")


def test_a_full_disk_stops_with_one_sentence_and_can_be_gone_on_from(
    clips, net, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    from nlviz import writing

    count = 0

    def full(source, target):
        nonlocal count
        count += str(target).endswith(".parquet")
        if count == 2:
            raise OSError(28, "No space left on device")
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, "replace", full)
        with pytest.raises(ExportError, match="No space left on device"):
            run(clips, out, net)
    assert len(list((out / "rows").iterdir())) == 1
    assert run(clips, out, net).done == 2
    run(clips, tmp_path / "whole", net)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_folder_of_clips_that_vanishes_is_told_and_no_clip_is_blamed(clips, net, tmp_path):
    out = tmp_path / "out"

    def gone(fraction, words):
        shutil.rmtree(clips, ignore_errors=True)

    with pytest.raises(BatchError, match="is gone; bring it back and start again to go on"):
        run(clips, out, net, progress=gone)
    assert len(pd.read_parquet(out / "errors.parquet")) == 0
    assert len(list((out / "rows").iterdir())) == 1


def test_progress_tells_how_many_how_fast_and_how_long(clips, net, tmp_path):
    told = []
    run(clips, tmp_path / "out", net, progress=lambda fraction, words: told.append(words))
    assert [words.split(",")[0] for words in told] == [f"{i} of 3 clips" for i in (1, 2, 3)]
    assert "clips/s" in told[0]
    assert told[0].endswith("left")
    assert not told[-1].endswith("left")


def test_the_manifest_says_versions_weights_and_the_command(clips, net, tmp_path):
    nlviz.batch(
        clips, tmp_path / "out", BatchOptions(size=32, frames=2), readers=0, command="typed"
    )
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert told["nlviz"] == nlviz.__version__
    assert told["versions"]["torch"] == torch.__version__
    assert told["networks"] == {"nl-lite0": nlviz.load("nl-lite0").weights}
    assert told["command"] == "typed"


def test_nothing_is_left_of_the_claims(clips, net, tmp_path):
    run(clips, tmp_path / "out", net)
    assert not (tmp_path / "out" / ".work").exists()


def test_what_nobody_gave_cannot_be_asked(clips, net, tmp_path):
    for what in ("points", "regions", "masks"):
        with pytest.raises(BatchError, match=f"asks for {what}, and there are none; give them"):
            run(clips, tmp_path / "out", net, ask=(what,))
    paths = [str(clips / "clip0"), str(clips / "clip1")]
    table = pd.DataFrame({"path": paths, "points": ["0,1,2", ""], "label": ["a", "b"]})
    report = run(table, tmp_path / "out", net)
    assert report.done == 1
    assert [(path, why.split(":")[0]) for path, why in report.failed] == [
        (paths[1], "Nothing is asked of this clip")
    ]
    assert set(rows(tmp_path / "out").label) == {"a"}


def test_results_inside_the_folder_of_clips_are_no_clips(clips, net, tmp_path):
    for _ in range(2):
        report = run(clips, clips / "OUT", net, ask=("grid:1",), blocks=("first",), figures="png")
        assert report.clips == 3
    assert report.there == 3


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_a_name_that_is_no_text_is_done_and_told_like_any_other(clips, net, tmp_path):
    os.rename(clips / "clip0", os.fsencode(clips) + b"/caf\xe9")
    (clips / os.fsdecode(b"broken\xe9.mp4")).write_bytes(b"x")
    report = run(clips, tmp_path / "out", net)
    assert (report.done, len(report.failed)) == (3, 1)
    assert "caf\ufffd" in set(rows(tmp_path / "out")["clip"])
    errors = pd.read_parquet(tmp_path / "out" / "errors.parquet")
    assert list(errors["clip"]) == ["broken\ufffd.mp4"]


def test_options_that_cannot_be_are_refused_in_a_sentence(net):
    for wrong, why in (
        ({"models": ()}, "needs a network"),
        ({"models": ("a", "a")}, "given twice"),
        ({"models": ("a", "b"), "weights": "w.pth"}, "Weights are for one network"),
        ({"ask": ("everything",)}, "cannot be asked; choose of blocks, points"),
        ({"ask": ("grid:0",)}, "is not a grid"),
        ({"ask": ("grid:x",)}, "is not a grid"),
        ({"k": 0}, "k must be at least 1"),
        ({"arrays": "zip"}, "arrays must be one of npz, safetensors"),
    ):
        with pytest.raises(BatchError, match=why):
            BatchOptions(**wrong)


def test_a_block_that_no_network_has_is_told_before_any_clip(clips, tmp_path):
    with pytest.raises(BatchError, match="Block 'nl9' does not exist in nl-lite0; choose of nl3"):
        nlviz.batch(clips, tmp_path / "out", BatchOptions(blocks=("nl9",)))
    assert not (tmp_path / "out").exists()
