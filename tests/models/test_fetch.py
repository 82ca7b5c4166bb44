"""Published networks: downloaded from a server of our own, checked, converted, kept and used."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import load_file, save_file

import nlviz
from nlviz import writing
from nlviz.cli import main
from nlviz.errors import CheckpointError, FetchError, ZooError
from nlviz.models import zoo
from nlviz.models.published import fetch
from nlviz.models.published.cache import cache
from nlviz.models.published.catalogue import RECORDS
from nlviz.models.published.download import download
from tests.models.test_checkpoints import caffe2_pickle
from tests.support import make
from tests.support.restated import PROJECTS, state


def test_a_fetched_network_analyses_a_clip(small, tmp_path, capsys):
    assert not zoo.is_here("small")
    with pytest.raises(ZooError, match="'small' is not fetched yet; run: python -m nlviz fetch"):
        zoo.load("small")
    assert main(["fetch", "small"]) == 0
    assert "licence CC-BY-NC-4.0" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["small.safetensors"]
    network = replace(zoo.load("small", device="cpu"), classes=tuple("abcde"))
    clip = make.clip(frames=14, width=96, height=64)
    analysis = nlviz.analyse(clip, network, size=96)
    assert analysis.blocks == ("res3.nl1", "res4.nl1")
    assert max(analysis.fidelity.values()) < 1e-4
    assert analysis.affinity("res3.nl1").query_grid.shape == (2, 8, 12)
    assert analysis.affinity("res3.nl1").scale == pytest.approx((4 * 8) ** -0.5)
    assert analysis.affinity("res4.nl1").key_grid.shape == (2, 2, 3)
    assert len(analysis.prediction) == 5
    # What a time step reads is centred on frames 3.5 and 11.5, the first having its middle at 0.5.
    view, grid = analysis.view, analysis.affinity("res4.nl1").query_grid
    assert view.positions(0, grid) == tuple(range(7))
    assert view.positions(1, grid) == tuple(range(7, 14))


def test_the_command_line_takes_as_many_frames_as_it_was_trained_on(small, tmp_path, capsys):
    fetch.fetch(small)
    for i, frame in enumerate(make.clip(frames=36, width=64, height=48).frames):
        cv2.imwrite(str(tmp_path / f"{i:02}.png"), frame)
    question = ["links", str(tmp_path), "--at", "0,9,9", "--model", "small", "--size", "64"]
    plainly = ["--device", "cpu", "--json"]
    assert main([*question, *plainly]) == 0
    assert len(json.loads(capsys.readouterr().out)["input"]["sampled_frames"]) == 32
    # Of four frames the blocks make one time step: only the own cell is left out.
    assert main([*question, *plainly, "--frames", "4"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"][0]["links"]


def test_frames_are_filled_up_by_repeating_the_last_and_normalised(small):
    fetch.fetch(small)
    network = zoo.load("small", device="cpu")
    frames = make.clip(frames=3, width=64, height=32).frames
    x = network.prepare(frames)
    assert x.shape == (1, 3, 8, 32, 64)
    pixels = torch.tensor(frames).permute(3, 0, 1, 2).float()
    torch.testing.assert_close(x[0, :, :3], (pixels / 255 - 0.45) / 0.225)
    assert all(torch.equal(x[:, :, t], x[:, :, 2]) for t in range(3, 8))
    assert network.input_size(1920, 1080, 416) == (416, 224)


def test_a_second_fetch_asks_for_nothing(small, server):
    fetch.fetch(small)
    fetch.fetch(small)
    assert len(server.asked) == 1


def test_a_download_goes_on_where_it_broke_off(small, server, content):
    server.until = len(content) // 2
    with pytest.raises(FetchError, match=r"broke off .*; run it again to resume"):
        fetch.fetch(small)
    server.until = None
    told = []
    fetch.fetch(small, progress=lambda done, total: told.append((done, total)))
    assert server.asked == [None, f"bytes={len(content) // 2}-"]
    assert told[0] == (len(content) // 2, len(content))
    assert told[-1] == (len(content), len(content))


@pytest.mark.parametrize("change", ["another version", "no ranges"])
def test_a_part_of_another_version_is_begun_anew(small, server, content, change):
    server.until = len(content) // 2
    server.content = content + b"older" if change == "another version" else content
    with pytest.raises(FetchError):
        fetch.fetch(small)
    server.until, server.content, server.ranges = None, content, change != "no ranges"
    assert fetch.fetch(small).is_file()


def test_a_file_given_is_taken_without_a_network(small, server, content, tmp_path):
    (tmp_path / "mine.pkl").write_bytes(content)
    assert main(["fetch", "small", "--from", str(tmp_path / "mine.pkl")]) == 0
    assert server.asked == []
    assert zoo.is_here("small")
    assert (tmp_path / "mine.pkl").is_file()


def test_the_cache_can_be_elsewhere(small, tmp_path):
    assert main(["fetch", "small", "--cache", str(tmp_path / "there")]) == 0
    assert not zoo.is_here("small")
    assert zoo.load("small", device="cpu", folder=tmp_path / "there").name == "small"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"NLVIZ_CACHE": "/a/b"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/nlviz"),
        ({}, str(Path.home() / ".cache" / "nlviz")),
    ],
)
def test_the_cache_folder_is_the_users_choice(monkeypatch, environment, expected):
    monkeypatch.delenv("NLVIZ_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache() == Path(expected)


def test_a_wrong_hash_is_refused_and_not_kept(small, server, tmp_path):
    wrong = caffe2_pickle(tmp_path / "other.pkl", {"conv1_w": torch.zeros(3).numpy()})
    for attempt in ({}, {"source": wrong}):
        server.content = wrong.read_bytes()
        with pytest.raises(FetchError, match=r"not the published file: its sha256 begins with"):
            fetch.fetch(small, **attempt)
    assert list((tmp_path / "cache").iterdir()) == []
    assert wrong.is_file()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"status": 404}, r"answers 404 \(Not Found\); .* --from FILE"),
        ({"kind": "text/html; charset=utf-8"}, "answers with a web page instead of the file"),
        ({"content": b"<html>sign in</html>"}, "is a text or web page"),
    ],
)
def test_a_server_that_gives_no_file_is_one_sentence(small, server, capsys, change, sentence):
    for name, value in change.items():
        setattr(server, name, value)
    assert main(["fetch", "small"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.search(sentence, last)
    assert not zoo.is_here("small")


def test_no_network_is_one_sentence(small, server, capsys, monkeypatch):
    server.server_close()  # nobody listens any more
    lonely = replace(small, url="http://127.0.0.1:9/weights.pkl")
    monkeypatch.setattr(zoo, "PUBLISHED", (lonely,))
    assert main(["fetch", "small"]) == 2
    assert "cannot be reached" in capsys.readouterr().err.splitlines()[-1]


def test_a_disk_without_room_is_told_before_anything_comes(small, monkeypatch, tmp_path):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000))
    with pytest.raises(FetchError, match=r"disk of .*cache is full: \d+ MB more are needed"):
        fetch.fetch(small)


def test_a_disk_that_fills_up_is_told(small, monkeypatch):
    def write(done, total):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(FetchError, match="is full"):
        fetch.fetch(small, progress=write)


def test_a_folder_that_cannot_be_made_is_told(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match="cannot be written to"):
        fetch.fetch(small, folder=tmp_path / "file" / "cache")


def test_a_damaged_kept_file_is_told_with_its_place(small, tmp_path):
    kept = fetch.fetch(small)
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(ZooError, match=r"damaged; remove .*small\.safetensors and fetch it again"):
        zoo.load("small")


def test_another_checkpoint_under_the_name_is_refused(small, server, tmp_path):
    torch.save({"state_dict": state(PROJECTS["TSM"])}, tmp_path / "g.pth")
    record = replace(small, digest="")
    with pytest.raises(CheckpointError, match=r"not for small: .*% of its names are TSM's"):
        fetch.fetch(record, source=tmp_path / "g.pth")


def test_weights_of_ones_own_are_taken_with_their_classes(small, tmp_path):
    torch.save({"state_dict": state(PROJECTS["Caffe2 I3D"])}, tmp_path / "mine.pth")
    network = zoo.load("small", device="cpu", weights=tmp_path / "mine.pth")
    assert network.classes == tuple(f"class {n}" for n in range(5))
    assert network.name == "small (mine.pth)"
    assert not zoo.is_here("small")
    with pytest.raises(ZooError, match="comes with nlviz"):
        zoo.load("nl-lite0", weights=tmp_path / "mine.pth")


def test_a_bundled_network_needs_no_fetching(capsys):
    assert main(["fetch", "nl-lite0"]) == 2
    assert "comes with nlviz" in capsys.readouterr().err


def test_every_published_checkpoint_is_a_record(capsys):
    assert len({record.url for record in RECORDS}) == len(RECORDS) == 20
    assert main(["models", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    for record in RECORDS:
        described = listed[record.name]
        assert described["url"].startswith("https://")
        assert described["url"].endswith((".pkl", ".pth"))
        assert 73 < described["top1"] < 77
        assert described["licence"] in ("CC-BY-NC-4.0", "Apache-2.0", "MIT")
        assert described["conventions"]
        if record.digest:
            assert record.digest.split(":")[1][:8] in described["url"]


def test_parts_that_killed_processes_left_are_removed_and_others_stay(small, content, tmp_path):
    file = tmp_path / "weights.pkl"
    file.write_bytes(content)
    folder = tmp_path / "cache"
    folder.mkdir()
    names = ("small.safetensors.1.part", "small.safetensors.2.part", "other.safetensors.1.part")
    left, living, other = (folder / name for name in names)
    for part in (left, living, other):
        part.write_bytes(b"half")
    for part in (left, other):
        os.utime(part, (0, 0))
    fetch.fetch(zoo.published("small"), source=file, folder=folder)
    assert [part.exists() for part in (left, living, other)] == [False, True, True]


def test_what_is_written_removes_the_parts_that_killed_processes_left(tmp_path):
    left, living = tmp_path / ".a[1].svg.1.part", tmp_path / ".a[1].svg.2.part"
    for part in (left, living):
        part.write_bytes(b"half")
    os.utime(left, (0, 0))
    writing.write(tmp_path / "a[1].svg", b"whole")
    assert [part.exists() for part in (left, living)] == [False, True]


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "never"
        time.sleep(0.01)


FETCH = """
import sys
from pathlib import Path
from nlviz.models.published.download import download
download(sys.argv[1], Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))
"""


@pytest.fixture
def stalled(server):
    """The server stops in the middle of each answer until the event is set."""
    server.goes_on = threading.Event()
    yield server.goes_on
    server.goes_on.set()
    server.goes_on = None


def test_two_processes_never_write_to_one_part(server, content, stalled, tmp_path):
    target = tmp_path / "weights.pkl"
    server.content, server.until = content, len(content) // 2
    stalled.set()
    with pytest.raises(FetchError, match="broke off"):
        download(server.url, target, progress=lambda done, total: None)
    assert (tmp_path / "weights.pkl.part").stat().st_size == len(content) // 2
    server.until, server.asked = None, []
    stalled.clear()
    line = [sys.executable, "-c", FETCH, server.url, str(target)]
    both = [subprocess.Popen(line, stdout=subprocess.DEVNULL) for _ in range(2)]
    wait_until(lambda: len(server.asked) == 2)
    stalled.set()
    assert [process.wait(60) for process in both] == [0, 0]
    assert target.read_bytes() == content
    # One resumed what was there, the other began anew; nothing is left of either.
    assert sorted(server.asked, key=str) == [None, f"bytes={len(content) // 2}-"]
    assert list(tmp_path.iterdir()) == [target]


def test_what_a_killed_download_left_is_resumed_by_the_next(server, content, stalled, tmp_path):
    target = tmp_path / "weights.pkl"
    server.content = content
    line = [sys.executable, "-c", FETCH, server.url, str(target)]
    killed = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    part = tmp_path / "weights.pkl.part"
    wait_until(lambda: part.exists() and part.stat().st_size >= len(content) // 2)
    killed.kill()
    killed.wait(60)
    stalled.set()
    download(server.url, target, progress=lambda done, total: None)
    assert server.asked == [None, f"bytes={len(content) // 2}-"]
    assert target.read_bytes() == content
    assert list(tmp_path.iterdir()) == [target]


def test_a_slow_download_holds_up_nobody(small, server, content, stalled, tmp_path):
    """Neither another network nor the same one, given as a file."""
    given = tmp_path / "mine.pkl"
    given.write_bytes(content)
    slow = threading.Thread(target=fetch.fetch, args=(small,))
    slow.start()
    wait_until(lambda: server.asked != [])
    other = replace(small, name="other")
    assert fetch.fetch(other, source=given).is_file()
    kept = fetch.fetch(small, source=given)
    before = kept.stat().st_mtime_ns
    stalled.set()
    slow.join(60)
    assert not slow.is_alive()
    assert kept.stat().st_mtime_ns == before  # what was here first is not overwritten
    names = sorted(path.name for path in kept.parent.iterdir())
    assert names == ["other.safetensors", "small.safetensors"]


def test_a_network_is_converted_by_one_at_a_time(small, content, tmp_path, monkeypatch):
    given = tmp_path / "mine.pkl"
    given.write_bytes(content)
    at_once, most, converted = 0, 0, fetch._convert

    def counted(*args):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.2)
        converted(*args)
        at_once -= 1

    monkeypatch.setattr(fetch, "_convert", counted)
    said: list[str] = []

    def give():
        try:
            fetch.fetch(small, source=given)
        except FetchError as error:
            said.append(str(error))

    threads = [threading.Thread(target=give) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1
    assert len(said) == 2
    assert all("is not overwritten" in each for each in said)


def test_the_checksum_of_what_was_converted_stays_with_the_network(small, content, tmp_path):
    wanted = "sha256:" + hashlib.sha256(content).hexdigest()
    fetch.fetch(small)
    assert zoo.load("small", device="cpu").weights == wanted
    mine = tmp_path / "mine.pkl"
    mine.write_bytes(content)
    assert zoo.load("small", device="cpu", weights=mine).weights == wanted


def test_a_network_that_an_older_nlviz_kept_says_what_is_published_of_its_hash(small, monkeypatch):
    kept = fetch.fetch(small)
    save_file(load_file(kept), kept, metadata={"model": "small"})
    assert zoo.load("small", device="cpu").weights == small.digest
    without = (replace(small, digest=""), *RECORDS)
    monkeypatch.setattr(zoo, "PUBLISHED", without)
    assert zoo.load("small", device="cpu").weights is None
