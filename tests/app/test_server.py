"""The server of the app under many visitors, on real websockets: shared, bounded, and clean."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection

import pytest

from nlviz.app.choice import bundled
from tests.support import media_files as make
from tests.support.app_server import AppServer, served
from tests.support.wire_visitor import WireVisitor

pytestmark = pytest.mark.slow

# Sessions end soon after their visitor has left.
SETTINGS = ("--server.maxUploadSize", "4", "--server.disconnectedSessionTTL", "30")
LINK = f"clip={bundled()[1].name}&frames=2&size=256&pin=0,60,60"


@pytest.fixture
def come() -> Iterator[Callable[..., WireVisitor]]:
    """Each call is a visitor of a server; all have left at the end."""
    visitors: list[WireVisitor] = []

    def come(server: AppServer, query: str = LINK) -> WireVisitor:
        visitors.append(WireVisitor(server.address, query))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.leave()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("server")
    options = ("--visitors", "12", "--disk", "5")
    with served(folder, *options, settings=SETTINGS) as here:
        yield here


def test_ten_who_open_one_link_at_the_same_time_cost_one_pass(server, come):
    before = server.metric('nlviz_stage_total{stage="analysis"}')
    visitors = [come(server, f"{LINK}&rank_by=contribution") for _ in range(10)]
    for visitor in visitors:
        visitor.until(lambda visitor=visitor: len(visitor.pins()) == 1, "its pin")
    assert server.metric('nlviz_stage_total{stage="analysis"}') == before + 1
    one, *others = visitors
    one.until(lambda: server.metric('nlviz_stage_total{stage="sizes"}') > 0, "what places add")
    for visitor in others:
        visitor.listen(0.5)
    assert server.metric('nlviz_stage_total{stage="sizes"}') == 1
    assert server.metric("nlviz_visitors") == 10


def test_a_broken_connection_comes_back_to_the_same_pins(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    visitor.act(type="add", t=1, x=90, y=40)
    visitor.until(lambda: len(visitor.pins()) == 2, "two pins")
    session = visitor.session
    visitor.seen.clear()
    visitor.break_off()
    visitor.until(lambda: len(visitor.pins()) == 2, "both again")
    assert visitor.session == session


def test_an_upload_is_answered_and_metrics_tell_nothing_of_whose_it_is(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    assert visitor.put("-upload", "Dr Secret's clip.gif", make.animation("GIF", 3)) == 204
    visitor.until(lambda: "upload=Dr+Secret" in visitor.where, "the upload")
    text = server.get("/metrics")
    assert 0 < server.metric('nlviz_held_bytes{where="uploads_on_disk"}') < 5e6
    assert server.metric('nlviz_held_bytes{where="uploads_in_memory"}') == 0
    for told in ("Secret", visitor.session, visitor.xsrf, bundled()[1].name, "nl-lite0"):
        assert told not in text
    # Prometheus's text format, line by line.
    line = re.compile(r'# (HELP|TYPE) nlviz_\w+ .+|nlviz_\w+(\{\w+="[\w ]+"\})? [0-9.e+-]+')
    assert [each for each in text.splitlines() if not line.fullmatch(each)] == []
    assert json.loads(server.get("/health"))["status"] == "ok"


def test_a_click_finds_the_viewer_whatever_comes_and_goes_above_it(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    _, before = visitor.seen["nlviz_viewer"]
    visitor.put("-upload", "bad.gif", b"GIF89a nonsense")
    visitor.until(lambda: "damaged" in "".join(visitor.texts), "an error above the viewer")
    visitor.until(lambda: not visitor.runs, "the end of that run")
    # The page may click while the run that brings the error is on its way to it.
    visitor.seen["nlviz_viewer"] = visitor.seen["nlviz_viewer"][0], before
    visitor.act(type="add", t=1, x=50, y=50)
    visitor.until(lambda: len(visitor.pins()) == 2, "the click's answer", patience=30)


def test_a_click_finds_its_tab_whatever_comes_between_it_and_the_viewer(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    visitor.until(lambda: visitor.has_tabs, "the tabs")
    visitor.open_tab("Export")
    visitor.until(lambda: "A film strip" in visitor.page and not visitor.runs, "the tab")
    before = visitor.fragment_of("export")
    visitor.trigger("nlviz_viewer", "options", {"rank_by": "contribution"})
    visitor.until(lambda: "store-sizes" in visitor.seen["nlviz_store"][0].id, "what places add")
    visitor.until(lambda: not visitor.runs, "the end of that run")
    # The page may click while the run that brings it is on its way to it.
    visitor.choose("export", "Film", before)
    visitor.until(lambda: "The clip playing" in visitor.page, "the click's answer", patience=30)


def test_a_page_that_is_loaded_again_finds_its_upload_and_nobody_elses_page_does(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    visitor.put("-upload", "mine.gif", make.animation("GIF", 4))
    visitor.until(lambda: "upload=mine.gif" in visitor.where, "the upload")
    visitor.act(type="add", t=2, x=9, y=9)
    visitor.until(lambda: len(visitor.pins()) == 1, "a pin")
    visitor.until(lambda: "pin=" in visitor.where and "none" not in visitor.where, "its address")
    address = visitor.where
    visitor.leave()
    again = WireVisitor(server.address, address, visitor.cookies)
    again.until(lambda: len(again.pins()) == 1, "the same again")
    again.until(lambda: again.where == address, "the same address")
    stranger = come(server, address)
    stranger.until(lambda: "This address is about your own file" in stranger.page, "a question")
    stranger.until(lambda: stranger.finished > 0, "the end")
    assert stranger.scene is None
    again.leave()


def test_what_the_server_has_no_room_for_is_refused_before_it_is_taken(server, come):
    visitor = come(server)
    visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
    clip = make.animation("GIF", 3)
    assert visitor.put("-upload", "a.gif", clip + bytes(3_000_000)) == 204
    visitor.until(lambda: server.metric('nlviz_held_bytes{where="uploads_on_disk"}') > 3e6, "it")
    before = server.metric('nlviz_refused_total{what="upload"}')
    assert visitor.put("-upload", "b.gif", clip + bytes(3_500_000)) == 507
    assert server.metric('nlviz_refused_total{what="upload"}') == before + 1
    assert visitor.send_file("c.gif", bytes(6 << 20))[0] in (413, 507)  # larger than the limit


def test_who_comes_to_a_full_server_waits_at_the_door_and_comes_in_by_themselves(server, come):
    inside = [come(server) for _ in range(12)]
    for visitor in inside:
        visitor.until(lambda visitor=visitor: len(visitor.pins()) == 1, "its pin")
    late, later = come(server), come(server)
    late.until(lambda: bool(late.texts), "a sentence")
    later.until(lambda: bool(later.texts), "a sentence")
    assert "This server is full: 12 people use it now. You are next." in late.texts[0]
    assert "1 person waits before you." in later.texts[0]
    assert late.scene is None
    assert json.loads(server.get("/health"))["status"] == "full"
    assert server.metric("nlviz_visitors_waiting") == 2
    inside.pop().leave()
    late.until(lambda: len(late.pins()) == 1, "the page")
    later.listen(4)
    assert "You are next." in later.texts[-1]


def test_nothing_stays_of_visitors_whatever_they_were_at_when_they_left(server, come):
    looked, queued, analysed, untaken, halfway = visitors = [come(server) for _ in range(5)]
    for visitor in visitors:
        visitor.until(lambda visitor=visitor: len(visitor.pins()) == 1, "its pin")
        visitor.until(lambda visitor=visitor: visitor.finished > 0, "the whole page")
    threads = server.threads
    looked.put("-upload", "gone.gif", make.animation("GIF", 7))
    looked.until(lambda: "upload=gone.gif" in looked.where, "the upload")
    analysed.put("-upload", "b.gif", make.animation("GIF", 8))
    analysed.until(lambda: "network" in analysed.page or "b.gif" in analysed.where, "its analysis")
    queued.put("-upload", "a.gif", make.animation("GIF", 9))
    untaken.send_file("c.gif", make.animation("GIF", 10))  # the page leaves before it says so
    assert server.metric('nlviz_held_bytes{where="uploads_in_memory"}') > 0
    _send_half(server, halfway, bytes(3 << 20))
    assert server.metric('nlviz_held_bytes{where="uploads_on_disk"}') > 0
    for visitor in visitors[1:]:
        visitor.leave()
    looked.act(type="add", t=0, x=9, y=9)
    looked.until(lambda: len(looked.pins()) == 1, "a pin")  # the last that the server sends
    looked.leave()

    def stays() -> dict[str, float]:
        where = "uploads_on_disk", "uploads_in_memory"
        held = {each: server.metric(f'nlviz_held_bytes{{where="{each}"}}') for each in where}
        files = [each.name for each in server.folders[0].iterdir() if each.name != "lock"]
        more = max(server.threads - threads, 0)
        return held | {"files": len(files), "threads": more}

    end = time.monotonic() + 180
    while any(stays().values()) and time.monotonic() < end:
        time.sleep(5)
    assert not any(stays().values()), stays()


def _send_half(server: AppServer, visitor: WireVisitor, content: bytes) -> None:
    """Begin an upload, and go before its end."""
    target, body, headers = visitor.upload_request("half.gif", content)
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("PUT", target)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[: len(body) // 2])
    connection.close()


def test_after_kill_9_the_next_start_is_clean_and_addresses_hold_what_they_held(tmp_path, come):
    with served(tmp_path) as server:
        visitor = come(server)
        visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
        visitor.put("-upload", "a.gif", make.animation("GIF", 3))
        visitor.until(lambda: "upload=a.gif" in visitor.where, "the upload")
        (before,) = server.folders
        assert len(list(before.iterdir())) == 2  # its lock, and the upload
        visitor.put("-upload", "b.gif", make.animation("GIF", 4))
        visitor.until(lambda: len(list(before.iterdir())) == 3, "another, in the middle of which")
        server.kill()
        server.start()
        again = come(server)
        again.until(lambda: len(again.pins()) == 1, "its pin")
        (folder,) = server.folders
        assert folder != before
        again.leave()
    assert server.folders == []  # an ordinary end leaves nothing either


def test_a_server_that_runs_keeps_its_folder_when_another_starts_beside_it(tmp_path, come):
    with served(tmp_path) as one:
        (own,) = one.folders
        with served(tmp_path) as other:
            assert len(other.folders) == 2
        assert one.folders == [own]


def test_a_demo_takes_no_file_and_shows_no_clip_but_its_own(tmp_path, come):
    with served(tmp_path, "--demo", "--models", "nl-lite0-dot,nl-lite0") as server:
        visitor = come(server, f"{LINK}&model=nl-lite0-gaussian")
        visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
        visitor.until(lambda: visitor.finished > 0, "the end")
        assert not [name for name in visitor.elements if name.endswith("-upload")]
        assert visitor.send_file("a.gif", make.animation("GIF", 3))[0] == 403
        assert any("nl-lite0-gaussian' is not available here" in text for text in visitor.texts)
        stranger = come(server, "upload=a.gif&sum=0011223344556677&pin=0,1,1")
        stranger.until(lambda: bool(stranger.texts), "a remark")
        assert "this server shows its own clips alone" in stranger.texts[0].replace("\\", "")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--media", "/nowhere"), "--media: there is no folder '/nowhere'"),
        (("--models", "nl-lite0,nothing"), "--models: there is no network 'nothing'"),
        (("--models", "i3d-nl-32x2"), "--models: none of i3d-nl-32x2 is on this machine yet"),
        (("--demo", "--fetch"), "--demo opens the bundled clips alone"),
        (("--visitors", "none"), "The app cannot be started so: argument --visitors"),
    ],
)
def test_what_the_app_cannot_be_started_with_is_one_sentence(options, sentence, tmp_path):
    with pytest.raises(RuntimeError) as caught:
        AppServer(tmp_path, *options)
    assert sentence in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_file_of_the_servers_folder_is_opened_by_address(tmp_path, come):
    folder = tmp_path / "media" / "group a"
    folder.mkdir(parents=True)
    (folder / "my clip.gif").write_bytes(make.animation("GIF", 4))
    (tmp_path / "outside.gif").write_bytes(make.animation("GIF", 4))
    with served(tmp_path, "--media", str(tmp_path / "media")) as server:
        visitor = come(server, "clip=media:group a/my clip.gif&frames=2&size=256&pin=0,5,5")
        visitor.until(lambda: len(visitor.pins()) == 1, "its pin")
        visitor.until(lambda: "clip=media:group+a/my+clip.gif" in visitor.where, "its address")
        assert str(tmp_path) not in str(visitor.seen)
        thief = come(server, "clip=media:../outside.gif")
        thief.until(lambda: bool(thief.texts), "a sentence")
        assert "has no clip, picture or session" in thief.texts[0]


def test_an_upload_without_a_length_is_refused(server, come):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("PUT", "/_stcore/upload_file/x/y", body=iter([b"a", b"b"]))
    assert connection.getresponse().status == 411
    connection.close()
