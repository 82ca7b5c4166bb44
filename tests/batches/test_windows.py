"""A batch of clips that are longer than a window: rows window by window, and what was promised."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import nlviz
from nlviz import BatchOptions, Point, Query
from nlviz.cli import main
from nlviz.errors import BatchError, ExportError
from nlviz.media.own_folder import own_folder
from nlviz.windows import long_analysis, open_long, track_windows
from tests.batches.conftest import contents, square

COUNT = 7
WINDOWS = {"window": 3, "overlap": 1}  # frames 0 to 2, 2 to 4, 4 to 6


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Without the collection of garbage after each window, which takes longer than the window."""
    monkeypatch.setattr(long_analysis, "give_back", lambda: None)


@pytest.fixture
def mixed(tmp_path) -> Path:
    """A clip of seven frames, and one of three, which is not longer than a window."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    square(folder / "long", 0, count=COUNT)
    square(folder / "short", 4)
    return folder


@pytest.fixture
def masks(mixed, tmp_path) -> Path:
    """The square of each, from the second frame on."""
    for name, at, count in (("long", 0, COUNT), ("short", 4, 3)):
        folder = tmp_path / "masks" / name
        folder.mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((48, 64), np.uint8)
            if i:
                mask[16:32, at + 8 * i : at + 8 * i + 16] = 255
            cv2.imwrite(str(folder / f"{i}.png"), mask)
    return tmp_path / "masks"


def run(inputs, out, net, **options):
    given = BatchOptions(models=(f"{net}:soft",), **{**WINDOWS, **options})
    report = nlviz.batch(inputs, out, given, readers=0)
    assert report.failed == ()
    return pd.read_parquet(out / "rows").set_index("clip")


def windows_of(mixed, net):
    network = nlviz.load(f"{net}:soft")
    return open_long(mixed / "long", network, **WINDOWS)


def test_each_row_is_what_its_own_window_says(mixed, net, tmp_path):
    at = (Point(1, 30, 20), Point(5, 40, 20))
    before = set(own_folder().iterdir())
    table = run(mixed, tmp_path / "out", net, at=at[:1], ask=("points", "grid:1", "blocks"))
    assert set(own_folder().iterdir()) <= before  # nothing is left of the windows
    long = windows_of(mixed, net)
    rows = table.loc["long"]
    averages = rows[(rows.kind == "block") & (rows.block == "first")]
    assert list(averages.window) == [0, 1, 2]
    for number, entropy in zip(averages.window, averages.entropy, strict=True):
        assert entropy == nlviz.block_statistics(long.window(int(number)), "first").entropy
    for kind, window, place in (("point", 0, at[0]), ("grid", 1, Point(3, 32, 24))):
        (row,) = (row for _, row in rows[(rows.kind == kind) & (rows.block == "second")].iterrows())
        assert (row.window, list(row.frames)) == (window, list(long.window(window).clip.indices))
        assert (row.frame, row.x, row.y) == (place.frame, place.x, place.y)
        links = nlviz.top_links(long.window(window), Query(place, "second"))
        assert [link["weight"] for link in row.links] == [link.weight for link in links]


def test_a_clip_that_is_not_longer_than_a_window_has_the_rows_of_one_without(mixed, net, tmp_path):
    ask = ("grid:2", "blocks")
    inside = run(mixed, tmp_path / "in", net, ask=ask).loc["short"]
    alone = run(mixed, tmp_path / "out", net, ask=ask, frames=3, window=None, overlap=None)
    alone = alone.loc["short"]
    assert inside.window.isna().all()
    for name in ("kind", "entropy", "covered", "x", "y", "fidelity"):
        assert list(inside[name].fillna(-1)) == list(alone[name].fillna(-1)), name
    assert [list(each) for each in inside.frames] == [list(each) for each in alone.frames]


def test_an_object_is_measured_over_all_windows(mixed, masks, net, tmp_path):
    rows = run(mixed, tmp_path / "out", net, masks=str(masks)).loc["long"]
    long = windows_of(mixed, net)
    truth = nlviz.read_masks(masks / "long", long.whole)
    for block in ("first", "second"):
        (row,) = (row for _, row in rows[rows.block == block].iterrows())
        assert (row.kind, row.frame, row.window) == ("object", 1, 0)
        assert truth[1, int(row.y), int(row.x)]
        assert row.chance == pytest.approx(truth.mean())
        hits, cosines, found = [], [], {}
        for window in long.plan:
            seen = long.window(window.number)
            part = truth[window.start : window.stop]
            hits.append(nlviz.same_object(seen, seen.affinity(block), part).precision)
            raw = nlviz.baseline(seen, long.network, block, "cosine")
            cosines.append(nlviz.same_object(raw, raw.affinity(raw.blocks[0]), part).precision)
        for each in track_windows(long, block, truth[1], frame=1):
            found |= dict(zip(each.frames, each.objects, strict=True))
        after = range(2, COUNT)
        assert row.same_object == pytest.approx(np.mean(hits))
        j = np.mean([nlviz.region_similarity(found[i], truth[i]) for i in after])
        f = np.mean([nlviz.contour_accuracy(found[i], truth[i]) for i in after])
        assert pytest.approx((j, f, (j + f) / 2)) == (row.J, row.F, row.JF)
        assert row.cosine_same_object == pytest.approx(np.mean(cosines))
        assert 0 <= row.cosine_J <= 1


def test_neighbours_are_asked_in_rows_that_say_that_they_are_joined(mixed, net, tmp_path):
    at = (Point(3, 30, 20),)
    how = {"at": at, "blocks": ("first",), "neighbours": True}
    (mixed / "short").rename(tmp_path / "short")
    ((_, row),) = run(mixed, tmp_path / "out", net, **how).iterrows()
    joined = windows_of(mixed, net).around(3)
    assert row.network == joined.network
    assert row.network.endswith("(windows joined)")
    assert row.positions == joined.affinity("first").key_grid.size
    assert row.entropy == nlviz.profile(joined, Query(at[0], "first")).entropy
    assert np.isnan(row.fidelity)


def test_a_run_that_was_stopped_within_a_clip_gives_the_same_bytes(
    mixed, masks, net, tmp_path, monkeypatch
):
    run(mixed, tmp_path / "whole", net, masks=str(masks), ask=("masks", "blocks"))
    plain, passes = long_analysis.analyse, []

    def killed(*given, **how):
        passes.append(given)
        if len(passes) == 2:
            raise KeyboardInterrupt
        return plain(*given, **how)

    with monkeypatch.context() as patched:
        patched.setattr(long_analysis, "analyse", killed)
        with pytest.raises(KeyboardInterrupt):
            run(mixed, tmp_path / "out", net, masks=str(masks), ask=("masks", "blocks"))
    assert not list((tmp_path / "out" / "rows").iterdir())
    run(mixed, tmp_path / "out", net, masks=str(masks), ask=("masks", "blocks"))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(long_analysis, "analyse", None)  # what is done is skipped
        run(mixed, tmp_path / "out", net, masks=str(masks), ask=("masks", "blocks"))


def test_a_dry_run_tells_what_windows_cost_and_runs_none(mixed, net, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(long_analysis, "analyse", None)
    command = ["batch", str(mixed), "-o", str(tmp_path / "out"), "--model", f"{net}:soft"]
    command += ["--window", "3", "--overlap", "1", "--dry-run"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(
        r".*long: 3 windows of 3 frames with up to 144 positions each: .* on disk\.$", lines[1]
    )
    assert "2 of them" in lines[2]
    assert not (tmp_path / "out").exists()


def test_what_windows_cannot_do_is_refused_before_any_clip(mixed, net, tmp_path):
    for wrong, why in (
        ({"window": 2}, "soft: A window of 2 frames does not fit this network, which takes 3"),
        ({"overlap": 3}, "An overlap of 3 frames does not go with a window of 3"),
        ({"arrays": "npz"}, "Arrays of clips in windows are of the windows that places lie in"),
        ({"together": 2}, "leave out together"),
        ({"window": None}, "overlap goes with windows"),
        ({"window": None, "overlap": None, "neighbours": True}, "neighbours goes with windows"),
    ):
        with pytest.raises(BatchError, match=why):
            run(mixed, tmp_path / "out", net, **wrong)
    assert not (tmp_path / "out").exists()


def test_no_room_for_windows_costs_a_clips_row_and_stops_the_batch_after_ten(
    mixed, net, tmp_path, monkeypatch
):
    def full(self, *given):
        raise ExportError("The windows cannot be kept (No space left on device).")

    monkeypatch.setattr("nlviz.windows.store.Store.put_frame", full)
    for number in range(10):
        square(mixed / f"long{number}", number % 3, count=5)
    given = BatchOptions(models=(f"{net}:soft",), **WINDOWS)
    report = nlviz.batch(mixed, tmp_path / "out", given, readers=0)
    assert len(report.failed) == 10
    assert report.stopped.startswith("There was no room for the windows of 10 clips in a row")
    errors = pd.read_parquet(tmp_path / "out" / "errors.parquet")
    assert set(errors.stage) == {"keeping"}


@pytest.mark.slow
def test_figures_are_of_the_windows_that_are_asked_and_films_of_the_whole(mixed, net, tmp_path):
    how = {"at": (Point(0, 30, 20), Point(5, 40, 20)), "blocks": ("first",)}
    (mixed / "short").rename(tmp_path / "short")
    run(mixed, tmp_path / "out", net, **how, arrays="npz", figures="png", films="mp4")
    names = {
        folder: sorted(path.name for path in (tmp_path / "out" / folder).iterdir())
        for folder in ("arrays", "figures", "films")
    }
    assert [re.findall(r"window-\d+", name) for name in names["figures"]] == [
        ["window-00000"], ["window-00002"],
    ]  # fmt: skip
    assert len(names["arrays"]) == 2
    (film,) = names["films"]
    assert nlviz.probe(tmp_path / "out" / "films" / film).total == COUNT
