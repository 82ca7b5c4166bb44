"""Who may come in where ``st.login`` is set up, what a login that fails says, and the way out."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit import runtime
from streamlit.testing.v1 import AppTest

from nlviz.app import login, page, server
from nlviz.errors import NlvizError

AUTH = {"cookie_secret": "c", "client_id": "nlviz", "redirect_uri": "http://here/oauth2callback"}


def door() -> None:
    """A page that shows what was asked to whoever is in."""
    import streamlit as st

    from nlviz.app import login

    if login.is_passed():
        st.markdown(f"inside with {st.query_params.to_dict()}")


@pytest.fixture
def comes(monkeypatch):
    """A visitor of the door: what they ask, and whether they have logged in."""
    monkeypatch.setattr(login, "_browser", lambda: "a browser")
    monkeypatch.setattr(login, "_asked", {})

    def comes(*, is_in: bool = False, **asked: str) -> AppTest:
        monkeypatch.setattr(st, "user", {"is_logged_in": is_in})
        visitor = AppTest.from_function(door)
        visitor.secrets["auth"] = AUTH
        for name, value in asked.items():
            visitor.query_params[name] = value
        return visitor.run()

    return comes


def test_nobody_comes_in_without_a_login_and_the_address_is_kept_for_after_it(comes):
    outside = comes(clip="fish.mp4", pin="0,60,60")
    assert [button.label for button in outside.button] == ["Log in"]
    assert not any("inside" in each.value for each in outside.markdown)
    outside.button[0].click().run()
    assert "Nobody can log in, as the server is not set up for it" in outside.error[0].value
    inside = comes(is_in=True)
    assert inside.markdown[0].value == "inside with {'clip': 'fish.mp4', 'pin': '0,60,60'}"
    assert comes(is_in=True).markdown[0].value == "inside with {}"
    assert comes(is_in=True, clip="own.mp4").markdown[0].value == "inside with {'clip': 'own.mp4'}"


def test_a_login_that_failed_is_told_and_the_next_try_has_the_address_too(comes):
    comes(clip="fish.mp4").button[0].click().run()
    back = comes(login="failed")
    assert back.error[0].value.startswith("You are not logged in: the login was given up, or its")
    assert back.query_params == {"clip": "fish.mp4"}
    assert back.button[0].label == "Log in"


def test_addresses_that_wait_are_bounded(comes, monkeypatch):
    comes(clip="x" * 5000).button[0].click().run()
    assert login._asked == {}
    monkeypatch.setattr(login, "_MOST", 2)
    for name in "abc":
        monkeypatch.setattr(login, "_browser", lambda name=name: name)
        comes(clip=name).button[0].click().run()
    assert list(login._asked) == ["b", "c"]


def test_whoever_is_in_finds_the_way_out(monkeypatch):
    for name in ("logo", "html"):
        monkeypatch.setattr(st, name, lambda *_, **__: None)

    def whole_page() -> None:
        from nlviz.app import page

        page.show()

    from nlviz.app.sidebar import gallery, sidebar
    from nlviz.app.stage import stage

    monkeypatch.setattr(page, "mount_code", lambda **_: None)
    monkeypatch.setattr(page.tidying, "note", lambda: None)
    reading = threading.Thread(target=int)
    reading.start()
    monkeypatch.setattr(page, "_preparing", lambda: reading)
    monkeypatch.setattr(gallery, "show", lambda _: lambda: None)
    monkeypatch.setattr(stage, "open_first", lambda _: False)
    monkeypatch.setattr(stage, "show", lambda _: None)
    monkeypatch.setattr(sidebar, "choose", lambda *_: None)
    monkeypatch.setattr(st, "user", {"is_logged_in": True})
    visitor = AppTest.from_function(whole_page)
    visitor.secrets["auth"] = AUTH
    assert [each.label for each in visitor.run().sidebar.button] == ["Log out"]
    assert not visitor.error


def test_secrets_that_cannot_be_read_let_nobody_in(monkeypatch, tmp_path):
    class Broken(dict):
        def __contains__(self, name):
            raise login.StreamlitSecretNotFoundError("Error parsing secrets file: Invalid value")

    monkeypatch.setattr(st, "secrets", Broken())
    there = tmp_path / "secrets.toml"
    monkeypatch.setattr(st, "get_option", lambda _: [str(there)])
    login.check()  # no file at all
    there.write_text("auth = [")
    with pytest.raises(NlvizError, match=r"Error parsing .* Invalid value; mend that file"):
        login.check()
    with pytest.raises(SystemExit, match="mend that file"):
        server.prepare()
    monkeypatch.setattr(st, "query_params", {})
    said = []
    monkeypatch.setattr(st, "error", said.append)
    assert not login.is_passed()
    assert said == ["Nobody can come in until the owner of this server has mended its secrets."]


IN = (b"set-cookie", b'_streamlit_user="2|1:0|..."; HttpOnly; Max-Age=2592000')
OUT = (b"set-cookie", b'_streamlit_user=""; Max-Age=0; Path=/')
HOME = (b"location", b"/")


@pytest.mark.parametrize(
    ("asked", "status", "headers", "expected"),
    [
        ("/auth/login?provider=x", 302, [(b"location", b"https://id")], (302, b"https://id")),
        ("/auth/login?provider=x", 400, [], (303, b"/?login=failed")),
        ("/sub/auth/login?provider=x", 400, [], (303, b"/sub/?login=failed")),
        ("/oauth2callback?code=1&state=2", 302, [HOME, IN], (302, b"/")),
        ("/oauth2callback?code=1&state=2", 302, [HOME, OUT], (303, b"/?login=failed")),
        ("/oauth2callback?error=access_denied", 302, [HOME], (303, b"/?login=failed")),
        ("/oauth2callback", 302, [HOME, OUT], (302, b"/")),
        ("/other?code=1", 404, [], (404, None)),
    ],
)
def test_whose_login_fails_comes_back_to_the_page(asked, status, headers, expected):
    path, _, query = asked.partition("?")

    async def streamlit(scope, receive, send):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
    _through(server.Gate(streamlit), {**scope, "headers": []}, None, send)
    assert (sent[0]["status"], dict(sent[0]["headers"]).get(b"location")) == expected


def _through(gate, *asked):
    # In a thread of its own: a browser of another test may have left this one in an event loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(gate(*asked))).result()


def test_no_file_comes_in_from_whoever_has_not_logged_in(monkeypatch):
    users = {"in": {"is_logged_in": True}, "out": {}, "guest": {"is_logged_in": False}}

    def found(session):
        user = users.get(session)
        return None if user is None else SimpleNamespace(session=SimpleNamespace(_user_info=user))

    manager = SimpleNamespace(get_active_session_info=found)
    here = SimpleNamespace(_session_mgr=manager, uploaded_file_mgr=None)
    monkeypatch.setattr(runtime, "get_instance", lambda: here)

    async def streamlit(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})

    async def receive():
        return {"type": "http.request", "body": b"x"}

    def put(session: str) -> int:
        sent = []

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "PUT", "path": f"/_stcore/upload_file/{session}/1",
            "headers": [(b"content-length", b"1")],
        }  # fmt: skip
        _through(server.Gate(streamlit), scope, receive, send)
        return sent[0]["status"]

    everybody = ("in", "out", "guest", "nobody")
    monkeypatch.setattr(st, "secrets", {})
    assert [put(session) for session in everybody] == [204, 204, 204, 204]
    monkeypatch.setattr(st, "secrets", {"auth": AUTH})
    assert [put(session) for session in everybody] == [204, 403, 403, 403]
