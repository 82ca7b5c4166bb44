"""The sidebar's menu of networks: what is here, what can be fetched, and fetching it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from nlviz.errors import FetchError
from nlviz.models import zoo
from nlviz.models.published import fetch


def sidebar():
    import streamlit as st

    from nlviz.app.choice import ClipPart, bundled
    from nlviz.app.sidebar import networks
    from nlviz.app.visit import current

    here = current(bundled()[0])
    choice = networks.choose(here, here.material, ClipPart())
    st.text(f"{choice.model} at {choice.size}")
    st.text(f"problem: {here.problem}")


@pytest.fixture
def page(small) -> AppTest:
    return AppTest.from_function(sidebar, default_timeout=60).run()


def texts(page: AppTest) -> list[str]:
    assert not page.exception
    return [text.value for text in page.text]


def test_every_network_is_on_the_menu(page):
    menu = page.selectbox(key="model").options
    assert len(menu) == len(zoo.names())
    assert "i3d-nl-32x2 (to fetch)" in menu
    assert "nl-lite0" in menu


def test_a_network_to_be_fetched_leaves_the_one_before_it_running(page):
    before = texts(page)[0]
    page.selectbox(key="model").select("small").run()
    assert texts(page)[0] == before
    assert any("python -m nlviz fetch small" in caption.value for caption in page.caption)


def test_a_fetched_network_is_the_choice(page):
    page.selectbox(key="model").select("small").run()
    page.button(key="fetch-small").click().run()
    assert texts(page) == ["small at 416", "problem: None"]
    assert zoo.is_here("small")


def test_a_fetch_that_fails_says_why_and_can_be_tried_again(page, server):
    server.status = 404
    page.selectbox(key="model").select("small").run()
    page.button(key="fetch-small").click().run()
    assert "answers 404" in texts(page)[1]
    server.status = None
    page.button(key="fetch-small").click().run()
    assert texts(page) == ["small at 416", "problem: None"]


def test_a_checkpoint_that_is_here_is_taken_without_a_download(page, server, content):
    page.selectbox(key="model").select("small").run()
    page.file_uploader(key="give-small").upload("weights.pkl", content).run()
    assert texts(page) == ["small at 416", "problem: None"]
    assert zoo.is_here("small")
    assert server.asked == []


def test_a_file_that_is_no_checkpoint_of_it_says_why_and_another_can_be_given(page, content):
    page.selectbox(key="model").select("small").run()
    before = texts(page)[0]
    page.file_uploader(key="give-small").upload("weights.pkl", b"<html>").run()
    assert texts(page) == [
        before,
        "problem: weights.pkl is a text or web page, not a checkpoint, "
        "as servers send it instead of a file that they withhold; download it again.",
    ]
    page.file_uploader(key="give-small").upload("weights.pkl", content).run()
    assert texts(page) == ["small at 416", "problem: None"]


SHARED = {"server.address": "0.0.0.0", "server.allowedHosts": ["localhost"]}
BEHIND_A_PROXY = {"server.address": "127.0.0.1", "server.allowedHosts": ["nlviz.example"]}


@pytest.mark.parametrize("server_options", [SHARED, BEHIND_A_PROXY, {}])
def test_visitors_of_a_shared_server_bring_no_network_onto_it(page, monkeypatch, server_options):
    monkeypatch.setattr("nlviz.app.startup.st.get_option", server_options.get)
    page.selectbox(key="model").select("small").run()
    assert not page.file_uploader
    assert not page.button
    assert any("python -m nlviz fetch small" in caption.value for caption in page.caption)
    monkeypatch.setattr("sys.argv", ["app.py", "--fetch"])
    page.run()
    assert page.file_uploader
    assert page.button(key="fetch-small")


def test_what_is_here_is_not_overwritten_by_a_given_file(small, content, tmp_path):
    file = tmp_path / "weights.pkl"
    file.write_bytes(content)
    kept = fetch.fetch(zoo.published("small"), source=file)
    before = kept.read_bytes()
    with pytest.raises(FetchError, match="is not overwritten"):
        fetch.fetch(zoo.published("small"), source=file)
    assert kept.read_bytes() == before


def test_a_network_of_ones_own_that_cannot_be_loaded_is_told_beside_the_menu(
    small, tmp_path, monkeypatch
):
    name = f"{tmp_path / 'none.py'}:build"
    monkeypatch.setattr("sys.argv", ["app.py", "--model", name])
    page = AppTest.from_function(sidebar, default_timeout=60).run()
    assert texts(page)[0].startswith("nl-lite0 at")
    (error,) = page.error
    assert "none.py" in error.value


def whole_sidebar():
    from nlviz.app.choice import bundled
    from nlviz.app.sidebar import sidebar
    from nlviz.app.visit import current

    sidebar.choose(current(bundled()[0]))


def test_the_upload_says_what_to_do_with_a_file_that_is_too_large(small):
    page = AppTest.from_function(whole_sidebar, default_timeout=60).run()
    assert not page.exception
    said = page.file_uploader(key="upload").help
    assert all(way in said for way in ("200 MB", "Cut", "python -m nlviz", "maxUploadSize"))
