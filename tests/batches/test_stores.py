"""Clips, lists and tables at addresses: a store in memory, a web server, a real S3 interface."""

from __future__ import annotations

import http.server
import threading
from collections import Counter
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from nlviz import Point
from nlviz.batches.listing import Entry, entries
from nlviz.batches.reading import ReadingPlan
from nlviz.batches.stores import listed_at
from nlviz.errors import BatchError
from nlviz.media.sampling import Sampling
from tests.batches.conftest import square

PLAN = ReadingPlan((Sampling(1),), "key", masks=False)
REGISTRY = import_module("fsspec.registry")._registry
HOST = "https://clips.example.org"


class CountingStore(MemoryFileSystem):
    """A store of its own that counts what is brought from it."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    brought: ClassVar[Counter[str]] = Counter()

    @classmethod
    def _strip_protocol(cls, path):
        return "/" + path.removeprefix("counting://").strip("/")

    def _open(self, path, mode="rb", **kwargs):
        self.brought[path] += mode == "rb"
        return super()._open(path, mode, **kwargs)


class WebStore(MemoryFileSystem):
    """A web server as fsspec shows it: whole addresses are its paths."""

    protocol = "https"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return path

    def unstrip_protocol(self, name):
        return name

    def info(self, path, **kwargs):
        if path not in self.store:
            raise FileNotFoundError(path) from OSError("404")
        return {"name": path, "type": "file", "size": 1}

    def isdir(self, path):
        return path.endswith("/")

    def find(self, path, **kwargs):
        return [each for each in self.store if each.startswith(path)]

    def glob(self, path, **kwargs):
        return [each for each in self.find(path.partition("*")[0]) if "?" not in each]


@pytest.fixture
def picture(tmp_path) -> bytes:
    return (square(tmp_path / "square", 0, 1) / "0.png").read_bytes()


@pytest.fixture
def stores(monkeypatch, picture):
    """A store with two pictures, a list and a table; and a web server with the pictures."""
    for name, store in (("counting", CountingStore), ("https", WebStore)):
        monkeypatch.setitem(REGISTRY, name, store)
        store.clear_instance_cache()
        monkeypatch.setattr(store, "store", {})
    monkeypatch.setattr(CountingStore, "brought", Counter())
    there = fsspec.filesystem("counting")
    there.pipe({"/in/a.png": picture, "/in/b [1]?.png": picture, "/in/notes.md": b"x"})
    there.pipe("/bare/none yet.png", b"")
    there.pipe("/list.txt", b"in/a.png\ncounting://in/none.png\nsample:ball.mp4\n")
    there.pipe("/table.csv", b'path,label,points\nin/a.png,dog,"0,3,4"\n')
    for address in ("/a.png", "/deep/b.png", "/a.png?signed=1/2.x"):
        WebStore.store[f"{HOST}{address}"] = picture
    return CountingStore.brought


def test_a_list_and_a_table_at_an_address_count_from_there(stores):
    assert [entry.path for entry in entries("counting://list.txt")] == [
        "counting://in/a.png", "counting://in/none.png", "sample:ball.mp4",
    ]  # fmt: skip
    (entry,) = entries("counting://table.csv")
    assert (entry.path, entry.places) == ("counting://in/a.png", (Point(0, 3, 4),))
    assert dict(entry.carried)["label"] == "dog"


def test_a_clip_at_an_address_is_brought_once(stores):
    reading, missing, _ = (PLAN.read((each,))[0] for each in entries("counting://list.txt"))
    assert reading.clips[0].frames.shape == (1, 48, 64, 3)
    assert stores["/in/a.png"] == 1
    assert "in/none.png' cannot be read (FileNotFoundError" in missing.failure.why


def test_a_name_with_signs_of_a_glob_is_the_file_of_that_name(stores):
    assert [each.name for each in entries("counting://in/*")] == ["a.png", "b [1]?.png"]
    assert len(entries("counting://in/b [1]?.png")) == 1
    (empty,) = entries("counting://bare/none yet.png")
    assert PLAN.read((empty,))[0].failure.why.startswith("'none_yet.png' is empty (0 bytes)")
    with pytest.raises(BatchError, match="There are no clips at 'counting://in/c"):
        entries("counting://in/c?.png")
    with pytest.raises(BatchError, match=r"Nothing lies at 'counting://out/'; check the address"):
        entries("counting://out/")


def test_a_web_servers_clips_keep_their_addresses_and_queries(stores):
    assert listed_at(f"{HOST}/*", (".png",)) == [f"{HOST}/a.png", f"{HOST}/deep/b.png"]
    (signed,) = entries(f"{HOST}/a.png?signed=1/2.x")
    assert signed.path.endswith("a.png?signed=1/2.x")
    assert signed.name == "a.png"
    with pytest.raises(BatchError, match=r"Nothing lies at '.*none.png' \(OSError: 404\); check"):
        entries(f"{HOST}/none.png")


def test_a_store_whose_package_is_missing_is_told_in_a_sentence(monkeypatch):
    def without(address):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", without)
    with pytest.raises(BatchError, match="another package: Install s3fs to access S3"):
        entries("s3://bucket/*.mp4")


def test_masks_at_an_address_are_refused(clips):
    with pytest.raises(BatchError, match=r"'s3://bucket/masks' is an address; masks are read from"):
        entries(clips, "s3://bucket/masks")
    plan = ReadingPlan((Sampling(1),), "key", masks=True)
    (reading,) = plan.read((Entry(str(clips / "clip0"), masks="s3://bucket/m"),))
    assert "'s3://bucket/m' is an address; masks are read from" in reading.failure.why


def test_clips_come_from_an_s3_bucket(monkeypatch, picture):
    pytest.importorskip("s3fs", reason="needs s3fs, which nlviz does not install")
    moto = pytest.importorskip("moto.server", reason="needs moto[server], an S3 of this machine")
    server = moto.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "anybody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anything")
        options = {"endpoint_url": f"http://{host}:{port}"}
        monkeypatch.setitem(fsspec.config.conf, "s3", options)
        there = fsspec.filesystem("s3")
        there.mkdir("clips")
        there.pipe({"clips/in/a.png": picture, "clips/in/b.png": b"", "clips/in/c.md": b"x"})
        found = entries("s3://clips/in/*.png")
        assert [entry.path for entry in found] == ["s3://clips/in/a.png", "s3://clips/in/b.png"]
        good, bad = (PLAN.read((each,))[0] for each in found)
        assert good.clips[0].frames.shape == (1, 48, 64, 3)
        assert bad.failure.why == "'b.png' is empty (0 bytes); save or download it again."
        assert entries("s3://clips/in/") == found
        with pytest.raises(BatchError, match=r"Nothing lies at .* bucket does not exist\); check"):
            entries("s3://others/in/a.png")
    finally:
        server.stop()


def test_clips_come_from_a_web_server(tmp_path, picture):
    pytest.importorskip("aiohttp", reason="needs aiohttp, which nlviz does not install")
    (tmp_path / "web" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png", "notes.md"):
        (tmp_path / "web" / name).write_bytes(picture)
    serve = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            host = f"http://127.0.0.1:{server.server_port}"
            assert [each.path for each in entries(f"{host}/")] == [
                f"{host}/a.png", f"{host}/deep/b.png",
            ]  # fmt: skip
            (entry,) = entries(f"{host}/*.png")
            assert PLAN.read((entry,))[0].clips[0].frames.shape == (1, 48, 64, 3)
        finally:
            server.shutdown()
