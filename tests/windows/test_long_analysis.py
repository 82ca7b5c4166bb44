"""Windows: each is the analysis of its own frames, from disk, whenever the work was stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.errors import ExportError, MediaError, QueryError
from nlviz.media.own_folder import own_folder
from nlviz.windows import long_analysis
from tests.support import make, media_files
from tests.windows import support


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return support.folder(tmp_path_factory.mktemp("long") / "clip")


def test_a_window_is_the_analysis_of_its_frames_alone_at_half_precision(home):
    long = support.long(home)
    network = make.network_that_matters("gaussian", seed=1)
    assert len(long) == 5
    for window in long.plan:
        found = long.window(window.number)
        alone = nlviz.analyse(nlviz.read(home, frames=4, stride=1, start=window.start), network)
        assert np.array_equal(found.clip.frames, alone.clip.frames)
        assert found.clip.indices == alone.clip.indices == tuple(range(window.start, window.stop))
        assert found.clip.timestamps == alone.clip.timestamps
        assert found.view == alone.view
        assert found.prediction == alone.prediction
        for block in alone.blocks:
            one, other = found.affinity(block), alone.affinity(block)
            assert (one.query_grid, one.key_grid) == (other.query_grid, other.key_grid)
            rounded = {}
            for name in ("theta", "phi"):
                full = getattr(other, name)
                rounded[name] = full.astype(np.float16).astype(np.float32)
                assert not np.array_equal(rounded[name], full)
                assert np.array_equal(getattr(one, name), rounded[name])
            half = replace(alone, affinities={block: replace(other, **rounded)})
            query = support.query(window.start + 1, block)
            assert nlviz.top_links(found, query) == nlviz.top_links(half, query)


def test_only_the_window_that_is_asked_is_decoded_and_run(tmp_path, monkeypatch):
    decoded = []
    plain = long_analysis.Stream.frames

    def watched(self, start, stop, progress=None):
        for position, frame in enumerate(plain(self, start, stop, progress), start=start):
            decoded.append(position)
            yield frame

    monkeypatch.setattr(long_analysis.Stream, "frames", watched)
    clip = media_files.video(tmp_path / "a.mp4", 40)
    long = support.long(clip, stride=2)
    analysis = long.at(20)  # position 10
    window = long.of(20)
    assert analysis.clip.indices == tuple(range(2 * window.start, 2 * window.stop, 2))
    assert media_files.numbers(analysis.clip.frames) == list(analysis.clip.indices)
    assert decoded == list(range(window.start, window.stop))
    assert long.waiting() == [n for n in range(len(long)) if n != window.number]
    long.run()
    assert sorted(decoded) == list(range(20))  # each once, and none of the overlaps again
    assert long.waiting() == []
    whole = long.store.frames(0, 20)
    assert media_files.numbers(whole) == list(range(0, 40, 2))


def test_all_windows_are_read_in_one_go_without_seeking_back(tmp_path, monkeypatch):
    begun = []
    plain = long_analysis.Stream.frames

    def watched(self, start, stop, progress=None):
        begun.append(start)
        return plain(self, start, stop, progress)

    monkeypatch.setattr(long_analysis.Stream, "frames", watched)
    support.long(media_files.video(tmp_path / "a.mp4", 30, g="1000")).run()
    assert begun == [0]


def test_an_answer_from_a_folder_needs_neither_the_decoder_nor_the_network(
    home, tmp_path, monkeypatch
):
    first = support.long(home, folder=tmp_path / "kept")
    first.run()
    links = nlviz.top_links(first.at(5), support.query(5))
    monkeypatch.setattr(long_analysis, "analyse", None)
    monkeypatch.setattr(long_analysis.Stream, "frames", None)
    again = support.long(home, folder=tmp_path / "kept")
    assert again.waiting() == []
    assert nlviz.top_links(again.at(5), support.query(5)) == links


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"window": 6}, "window"),
        ({"overlap": 1}, "overlap"),
        ({"stride": 2}, "choice of frames"),
        ({"size": 48}, "input size"),
        ({"sizes": True}, "measure of contributions"),
        ({"network": make.network_that_matters("gaussian", seed=2)}, "weights"),
    ],
)
def test_a_folder_of_another_run_is_refused_and_says_what_differs(home, tmp_path, other, told):
    support.long(home, folder=tmp_path / "kept")
    with pytest.raises(ExportError, match=f"another run, with another {told}"):
        support.long(home, folder=tmp_path / "kept", **other)


def test_a_folder_of_another_clip_is_refused_though_it_has_the_same_name(home, tmp_path):
    kept = tmp_path / "kept"
    support.long(home, folder=kept)
    other = shutil.copytree(home, tmp_path / home.name)
    pictures = sorted(other.iterdir())
    pictures[0].write_bytes(pictures[1].read_bytes())
    with pytest.raises(ExportError, match="another clip;"):
        support.long(other, folder=kept)


def test_files_of_somebody_else_are_left_alone(home, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds other files"):
        support.long(home, folder=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


def _content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir())}


def killed_after(windows: int, home: Path, folder: Path) -> None:
    """A run in a process of its own, killed in the first window or one further on."""
    begun, tell = os.pipe()
    child = os.fork()
    if not child:
        plain = long_analysis.analyse

        def analyse(*given, **options):
            os.write(tell, b"w")
            time.sleep(0.05)
            return plain(*given, **options)

        try:
            long_analysis.analyse = analyse
            support.long(home, folder=folder).run()
        finally:
            os._exit(1)
    for _ in range(windows):
        assert os.read(begun, 1) == b"w"
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    for end in (begun, tell):
        os.close(end)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_killed_anywhere_and_started_again_gives_the_same_bytes(home, tmp_path):
    torch.set_num_threads(1)  # a process that forked has no others
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    support.long(home, folder=whole).run()
    for windows in (1, 3):  # killed in the first one, and once more further on
        killed_after(windows, home, stopped)
        assert support.long(home, folder=stopped).waiting()
    support.long(home, folder=stopped).run()
    assert _content(stopped) == _content(whole)


def _changed(folder: Path, name: str, change) -> None:
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("window-00001.safetensors", lambda content: content[:-9]),
        ("window-00001.safetensors", lambda content: b"\xff" * 8 + content[8:]),
        ("window-00001.safetensors", lambda content: b""),
        ("window-00001.safetensors", lambda c: c.replace(b'"heads\\": 1', b'"heads\\": 9')),
        ("frames.rgb", lambda content: content[:-1]),
    ],
)
def test_a_damaged_window_is_told_in_one_sentence(home, tmp_path, name, change):
    long = support.long(home, folder=tmp_path / "kept")
    long.run()
    before = (tmp_path / "kept" / name).read_bytes()
    _changed(tmp_path / "kept", name, change)
    assert (tmp_path / "kept" / name).read_bytes() != before
    with pytest.raises(ExportError, match="damaged or was changed"):
        long.window(1)


def test_what_a_folder_says_of_itself_is_not_believed(home, tmp_path):
    support.long(home, folder=tmp_path / "kept")
    about = tmp_path / "kept" / "long.json"
    about.write_text("[" * 100_000)
    with pytest.raises(ExportError, match="damaged or was changed"):
        support.long(home, folder=tmp_path / "kept")
    about.write_text(json.dumps([1]))
    with pytest.raises(ExportError, match="another run"):
        support.long(home, folder=tmp_path / "kept")


def test_numbers_of_any_size_keep_their_precision_at_half_of_it():
    from nlviz.windows.store import _halved, _whole

    for factor in (1e-12, 1.0, 3e9):
        given = np.random.default_rng(0).normal(size=(3, 50)).astype(np.float32) * np.float32(
            factor
        )
        again = _whole(*_halved(given))
        assert np.abs(again - given).max() <= 2.0**-11 * np.abs(given).max()
    nothing = np.zeros((2, 3), np.float32)
    assert not _whole(*_halved(nothing)).any()


def test_a_full_disk_is_told_in_one_sentence(home, tmp_path, monkeypatch):
    long = support.long(home, folder=tmp_path / "kept")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nlviz.windows.store.np.ascontiguousarray", full)
    with pytest.raises(ExportError, match="No space left on device"):
        long.run()


def test_a_frame_that_was_not_sampled_names_those_beside_it(home):
    long = support.long(home, stride=3)
    with pytest.raises(QueryError, match="Frame 4 was not sampled; the nearest ones are 3 and 6"):
        long.of(4)
    with pytest.raises(QueryError, match="nearest ones are 9,"):
        long.of(99)
    with pytest.raises(QueryError, match="Window 7 does not exist; choose 0 to 0"):
        long.window(7)


def test_a_damaged_frame_ends_the_run_and_says_which(tmp_path):
    clip = media_files.video(tmp_path / "a.mp4", 20, g="1")
    long = support.long(clip)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(MediaError):
        long.run()
    assert long.waiting()


def test_a_temporary_folder_goes_with_the_analysis(home):
    long = support.long(home)
    folder = long.store.folder
    assert folder.is_dir()
    assert folder.parent == own_folder()  # so that it goes with a killed process too
    del long
    assert not folder.exists()


def test_contributions_are_measured_in_each_window_where_asked(home):
    long = support.long(home, sizes=True)
    query = support.query(5, rank_by="contribution")
    assert all(link.contribution is not None for link in nlviz.top_links(long.at(5), query))


def test_a_window_gives_the_blocks_that_are_asked_for(home):
    long = support.long(home)
    assert long.window(0).blocks == ("first", "second")
    assert long.window(0, blocks=("second",)).blocks == ("second",)


def test_nothing_is_held_of_a_window_when_the_next_begins(home, monkeypatch):
    seen, held = [], []
    plain, free = long_analysis.analyse, long_analysis.give_back

    def watched(*given, **options):
        analysis = plain(*given, **options)
        seen.append(weakref.ref(analysis.affinity("second").theta.base))
        return analysis

    def freed():
        free()
        held.append(sum(each() is not None for each in seen))

    monkeypatch.setattr(long_analysis, "analyse", watched)
    monkeypatch.setattr(long_analysis, "give_back", freed)
    support.long(home).run()
    assert held == [0] * 5
