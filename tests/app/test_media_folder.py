"""The server's folder: its files are opened, and nothing beside it, whatever a name says."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from nlviz import export
from nlviz.app import media_folder, startup
from nlviz.app.choice import Choice, ClipPart, served
from nlviz.app.reading import look
from nlviz.errors import ExportError, MediaError
from nlviz.geometry import Point
from nlviz.progress import silent
from nlviz.query import Query
from tests.support import media_files as make
from tests.support.make import analysis as make_analysis

APP = str(Path(__file__).resolve().parents[2] / "app.py")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    root = tmp_path / "media"
    (root / "sub").mkdir(parents=True)
    for name in ("b.gif", "sub/a.GIF", "notes.txt", ".hidden.gif", "session.nlviz"):
        (root / name).write_bytes(make.animation("GIF", 3))
    (tmp_path / "secret.gif").write_bytes(make.animation("GIF", 3))
    monkeypatch.setattr("sys.argv", ["app.py", "--media", str(root)])
    return root


def test_clips_pictures_and_sessions_of_the_folder_and_those_in_it_are_listed(folder):
    assert media_folder.names() == (("b.gif", "session.nlviz", "sub/a.GIF"), False)


def test_a_listed_file_is_read_where_it_lies_and_its_place_is_told_to_nobody(folder):
    material = served("sub/a.GIF")
    assert (material.name, material.is_sample, material.is_public) == ("a.GIF", False, True)
    opened = look(material, silent)
    assert opened.reel.info.total == 3
    with material.open() as source:
        assert source.read(3) == b"GIF"
    assert str(folder) not in repr(material)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.gif",
        "sub/../../secret.gif",
        "{outside}/secret.gif",
        "/etc/passwd",
        "link.gif",
        "folder/secret.gif",
        "pipe.gif",
        "sub.gif",
        "ring.gif",
        "nothing.gif",
        "notes.txt",
        "a\0.gif",
        "x" * 5000 + ".gif",
        "",
        ".gif",
    ],
)
def test_nothing_outside_the_folder_is_opened(folder, name):
    (folder / "link.gif").symlink_to(folder.parent / "secret.gif")
    (folder / "folder").symlink_to(folder.parent)
    (folder / "ring.gif").symlink_to(folder / "ring.gif")
    (folder / "sub.gif").mkdir()
    os.mkfifo(folder / "pipe.gif")
    with pytest.raises(MediaError, match="This server's folder has no clip, picture or session"):
        served(name.replace("{outside}", str(folder.parent)))


def test_a_link_that_stays_in_the_folder_is_opened(folder):
    (folder / "also.gif").symlink_to(folder / "b.gif")
    assert look(served("also.gif"), silent).reel.info.total == 3


def test_a_file_that_is_another_now_is_read_again(folder):
    before = served("b.gif")
    (folder / "b.gif").write_bytes(make.animation("GIF", 5))
    assert served("b.gif").content != before.content
    (folder / "b.gif").unlink()
    with (
        pytest.raises(MediaError, match=r"has no clip, picture or session 'b\.gif'"),
        before.open(),
    ):
        pass


def test_a_huge_folder_is_listed_in_part_and_at_once(folder):
    for number in range(1500):
        (folder / "sub" / f"{number:05d}.gif").touch()
    (folder / "sub" / "deep").symlink_to(folder)  # a ring, if links were followed
    began = time.monotonic()
    names, more = media_folder.names()
    assert (len(names), more) == (media_folder.MOST_LISTED, True)
    assert time.monotonic() - began < 5
    assert served("sub/01499.gif").path == "sub/01499.gif"  # typed, where it is not listed


def test_without_a_folder_its_names_open_nothing(monkeypatch):
    monkeypatch.setattr("sys.argv", ["app.py"])
    assert media_folder.names() == ((), False)
    with pytest.raises(MediaError, match=r"was started without\s+one \(--media FOLDER\)"):
        served("b.gif")


def _session(pin: Point) -> bytes:
    analysis = make_analysis()
    queries = (Query(pin, "coarse", 7),)
    made = export.Provenance.of(analysis, queries, command="nlviz")
    return export.save(export.Session(analysis, made, queries, {"k": 7}))


def test_a_session_of_the_folder_is_opened_once_for_all(folder):
    (folder / "sub" / "saved.nlviz").write_bytes(_session(Point(5, 20.0, 10.0)))
    one, other = served("sub/saved.nlviz"), served("sub/saved.nlviz")
    assert one.session is other.session
    assert (one.title, one.is_public) == ("sub/saved.nlviz", True)
    with pytest.raises(ExportError, match=r"'session\.nlviz' is not a session file"):
        served("session.nlviz")
    (folder / "sub" / "saved.nlviz").write_bytes(_session(Point(5, 30.0, 10.0)))
    assert served("sub/saved.nlviz").session.queries[0].point.x == 30


def test_an_address_of_a_session_of_the_folder_shows_its_pins_or_those_that_it_names(folder):
    (folder / "saved.nlviz").write_bytes(_session(Point(5, 20.0, 10.0)))

    def seen(**said: str) -> tuple[list[Point], int, str]:
        page = AppTest.from_file(APP, default_timeout=120)
        for name, value in said.items():
            page.query_params[name] = value
        page.run()
        assert not page.exception
        assert not page.error
        visit = page.session_state["nlviz"]
        shown, options = visit.shown, visit.options
        return [pin.point for pin in visit.pins.shown], options.k, shown.choice.material.served

    name = "saved.nlviz"
    assert seen(clip=f"media:{name}") == ([Point(5, 20.0, 10.0)], 7, name)
    assert seen(clip=f"media:{name}", pin="10,9,9", k="5") == ([Point(10, 9.0, 9.0)], 5, name)


@pytest.mark.slow
def test_a_file_is_chosen_in_the_menu_and_can_be_chosen_again(folder):
    page = AppTest.from_file(APP, default_timeout=120)
    page.query_params["size"] = "256"
    page.run()
    visit = page.session_state["nlviz"]
    page.selectbox(key="server-file").select("sub/a.GIF").run()
    for _ in range(400):
        if visit.shown and visit.shown.choice.material.served:
            break
        time.sleep(0.05)
        page.run()
        assert not page.exception
    assert visit.shown.choice.material.title == "sub/a.GIF"
    assert page.selectbox(key="server-file").value is None


def test_its_commands_name_it_from_the_folder_on(folder):
    from nlviz.app.tabs import commands
    from nlviz.viewer.options import Options

    choice = Choice(served("sub/a.GIF"), ClipPart(), "nl-lite0", 640)
    told = commands.command("links", choice, [Point(0, 1.0, 1.0)], Options("nl5"))
    assert "sub/a.GIF" in told
    assert str(folder) not in told


def test_the_disk_of_a_server_is_bounded_where_nothing_was_said(monkeypatch):
    monkeypatch.setattr("sys.argv", ["app.py"])
    assert 0 < startup.disk_bytes() <= 20 << 30
    monkeypatch.setattr("sys.argv", ["app.py", "--disk", "7"])
    assert startup.disk_bytes() == 7_000_000
