"""The sidebar's menu of networks: what is here, what can be fetched, and fetching it."""

from __future__ import annotations

import gc
import hashlib
import shlex
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from nlviz import Point
from nlviz.app import analysing, kept, running, store
from nlviz.app.address.query_string import Address, write
from nlviz.app.choice import Choice, ClipPart, OwnWeights, bundled
from nlviz.app.held import DISK
from nlviz.app.sidebar import own_weights
from nlviz.app.tabs import commands, overlay
from nlviz.cli import parser
from nlviz.errors import FetchError, NetworkError
from nlviz.models import zoo
from nlviz.models.published import fetch
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins
from tests.models.test_checkpoints import caffe2_pickle
from tests.support.app_runs import until_done
from tests.support.code_blocks import code_of
from tests.support.restated import PROJECTS, state

APP = str(Path(__file__).resolve().parents[2] / "app.py")


def sidebar():
    import streamlit as st

    from nlviz.app.choice import ClipPart, bundled
    from nlviz.app.sidebar import networks
    from nlviz.app.visit import current

    here = current(bundled()[0])
    choice = networks.choose(here, here.material, ClipPart())
    st.text(f"{choice.network} at {choice.size}")
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


def give(page: AppTest, content: bytes, name: str = "weights.pkl") -> AppTest:
    """The sidebar once the file has been read."""
    page.selectbox(key="model").select("small").run()
    (control,) = page.file_uploader
    control.upload(name, content).run()
    return until_done(page, "given_weights", runs=200)


@pytest.mark.slow
def test_an_uploaded_checkpoint_is_the_visitors_own_network(page, server, content, tmp_path):
    give(page, content)
    assert texts(page) == ["small (weights.pkl) at 416", "problem: None"]
    assert page.selectbox(key="model").value == "small (weights.pkl)"
    checksum = "sha256:" + hashlib.sha256(content).hexdigest()
    said = [caption.value.replace("\\", "") for caption in page.caption]
    assert any(checksum in each and "for you alone" in each for each in said)
    assert not page.file_uploader[0].value  # ready for another
    # Nothing was fetched, and nothing lies where others would find it.
    assert server.asked == []
    assert not zoo.is_here("small")
    assert not (tmp_path / "cache").exists()
    other = AppTest.from_function(sidebar, default_timeout=60).run()
    assert not [name for name in other.selectbox(key="model").options if "weights.pkl" in name]


def test_the_file_itself_is_let_go_once_it_is_read(page, content, monkeypatch):
    held: list[int] = []
    before = DISK.total

    def load(*args, made=zoo.load, **named):
        held.append(DISK.total - before)
        return made(*args, **named)

    monkeypatch.setattr(own_weights.zoo, "load", load)
    # AppTest has a new store of uploads for each run: it must be read in the run that took it.
    monkeypatch.setattr(own_weights, "AT_ONCE", 60)
    give(page, content)
    gc.collect()
    assert held == [len(content)]
    assert DISK.total == before


def test_weights_of_ones_own_are_taken_beside_those_that_were_fetched(page, small, content):
    kept = fetch.fetch(small)
    before = kept.read_bytes()
    give(page.run(), content, "mine.pkl")
    assert texts(page)[0] == "small (mine.pkl) at 416"
    page.selectbox(key="model").select("small").run()
    assert texts(page)[0] == "small at 416"
    assert kept.read_bytes() == before


def test_a_file_that_is_no_checkpoint_of_it_says_why_and_another_can_be_given(page, content):
    before = texts(page)[0]
    give(page, b"<html>")
    assert texts(page) == [
        before,
        "problem: weights.pkl is a text or web page, not a checkpoint, "
        "as servers send it instead of a file that they withhold; download it again.",
    ]
    give(page, content)
    assert texts(page) == ["small (weights.pkl) at 416", "problem: None"]


def test_weights_that_the_server_has_no_room_for_are_refused_in_a_sentence(
    page, content, monkeypatch
):
    tiny = store.Store(100)
    monkeypatch.setattr(store, "shared", lambda: tiny)
    give(page, content)
    assert "'weights.pkl' is larger than all that this server keeps" in texts(page)[1]
    assert tiny.bytes == 0


def test_weights_that_had_to_make_room_are_asked_for_again(page, content):
    give(page, content)
    ((model, weights),) = page.session_state["nlviz"].own.values()
    assert running.loaded(model, weights).network.name == "small (weights.pkl)"
    store.shared().drop(("network", model, weights.checksum))
    with pytest.raises(NetworkError, match=r"'weights\.pkl' had to make room .* upload them again"):
        running.loaded(model, weights)


def test_what_a_visitor_gave_weighs_what_its_tensors_do(page, content):
    before = store.shared().bytes
    give(page, content)
    ((model, weights),) = page.session_state["nlviz"].own.values()
    module = running.loaded(model, weights).network.module
    most = sum(value.nbytes for value in module.state_dict().values())
    assert 0.5 * most <= store.shared().bytes - before <= 1.5 * most


@pytest.mark.slow
def test_two_visitors_files_of_one_name_are_two_networks(small, content, tmp_path):
    """Each sees what their own weights give, and neither what the other has."""
    torch.manual_seed(7)
    blobs = {key: each.numpy() for key, each in state(PROJECTS["Caffe2 I3D"]).items()}
    changed = caffe2_pickle(tmp_path / "other.pkl", blobs).read_bytes()
    assert changed != content
    pages = [AppTest.from_function(sidebar, default_timeout=60).run() for _ in range(2)]
    for page, given in zip(pages, (content, changed), strict=True):
        give(page, given)
    (first,), (second,) = (page.session_state["nlviz"].own.values() for page in pages)
    part = ClipPart(frames=8)
    clip = bundled()[0]
    one, other = (Choice(clip, part, model, 96, own) for model, own in (first, second))
    assert one.network == other.network == "small (weights.pkl)"
    made = analysing.make(one, lambda fraction, what: None)
    found = kept.find(one)
    assert found is not None
    assert found.analysis is made.analysis
    assert kept.find(other) is None
    assert kept.find(replace(one, weights=None)) is None
    there = analysing.make(other, lambda fraction, what: None)
    theta = [each.analysis.affinity("res3.nl1").theta for each in (made, there)]
    assert not np.array_equal(*theta)
    digests = [each.analysis.weights for each in (made, there)]
    assert digests == ["sha256:" + hashlib.sha256(each).hexdigest() for each in (content, changed)]
    assert made.analysis.network == "small (weights.pkl)"
    assert made.network().weights == digests[0]


@pytest.mark.slow
def test_the_same_file_under_another_name_is_one_analysis_and_keeps_its_own_name(small, content):
    pages = [AppTest.from_function(sidebar, default_timeout=60).run() for _ in range(2)]
    for page, name in zip(pages, ("secret.pkl", "mine.pkl"), strict=True):
        give(page, content, name)
    (first,), (second,) = (page.session_state["nlviz"].own.values() for page in pages)
    part, clip = ClipPart(frames=8), bundled()[0]
    made = analysing.make(Choice(clip, part, first[0], 96, first[1]), lambda fraction, what: None)
    found = kept.find(Choice(clip, part, second[0], 96, second[1]))
    assert found is not None
    assert found.analysis.network == "small (mine.pkl)"
    assert found.network().name == "small (mine.pkl)"
    assert made.analysis.network == "small (secret.pkl)"


@pytest.mark.slow
def test_the_whole_app_works_with_weights_of_ones_own(small, content):
    page = AppTest.from_file(APP, default_timeout=120)
    page.query_params["size"] = "96"
    page.run()
    visit = page.session_state["nlviz"]
    usual = visit.shown
    visit.sizes["small (weights.pkl)"] = 256
    page.selectbox(key="model").select("small").run()
    page.file_uploader(key="give-small").upload("weights.pkl", content).run()
    for _ in range(400):
        if visit.shown is not usual:
            break
        time.sleep(0.05)
        page.run()
    assert not page.exception
    assert not page.error
    assert visit.shown.analysis.network == "small (weights.pkl)"
    assert visit.shown.analysis.weights == "sha256:" + hashlib.sha256(content).hexdigest()
    assert visit.shown.network().name == "small (weights.pkl)"
    line, lines = code_of(page)
    assert "--model small --weights weights.pkl" in line
    assert "weights='weights.pkl'" in lines
    said = [each.value.replace("\\", "") for each in page.caption]
    assert "Run it in the folder that holds weights.pkl." in said
    page.selectbox(key="model").select("nl-lite0").run()
    for _ in range(400):
        if visit.shown.choice.model == "nl-lite0":
            break
        time.sleep(0.05)
        page.run()
    # The comparison offers it beside the others.
    page.session_state[overlay.TAB_ROW] = "Compare"
    page.session_state["compare-with"] = "Side by side"
    page.run()
    (beside,) = (each for each in page.selectbox if each.key == "beside")
    assert "network small (weights.pkl)" in beside.options
    assert "network small" not in beside.options


def test_the_command_of_weights_of_ones_own_names_their_file_and_not_the_published_ones():
    own = OwnWeights("-my weights.pkl", "sha256:00")
    choice = Choice(bundled()[0], ClipPart(), "i3d-nl-32x2", 256, own)
    shown = commands.command("links", choice, [Point(0, 1, 1)], Options("res3.nl1"))
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert (asked.model, asked.weights) == ("i3d-nl-32x2", "./-my weights.pkl")
    assert "nlviz.load('i3d-nl-32x2', weights='./-my weights.pkl')" in commands.python(
        choice, [Point(0, 1, 1)], Options("res3.nl1")
    )


@pytest.mark.slow
def test_an_address_of_weights_of_ones_own_opens_no_other_weights_in_their_place(small):
    own = OwnWeights("weights.pkl", "sha256:00")
    choice = Choice(bundled()[0], ClipPart(), "small", 256, own)
    said = write(Address.of(choice, Pins(), Options()))
    assert "weights.pkl" in said
    page = AppTest.from_file(APP, default_timeout=120)
    for name, value in parse_qs(said).items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    shown = page.session_state["nlviz"].shown
    assert shown.choice.model == "nl-lite0"
    said = page.warning[0].value.replace("\\", "")
    assert "choose small in the sidebar and upload them" in said


SHARED = {"server.address": "0.0.0.0", "server.allowedHosts": ["localhost"]}
BEHIND_A_PROXY = {"server.address": "127.0.0.1", "server.allowedHosts": ["nlviz.example"]}


@pytest.mark.slow
@pytest.mark.parametrize("server_options", [SHARED, BEHIND_A_PROXY, {}])
def test_visitors_of_a_shared_server_bring_no_network_onto_it(page, monkeypatch, server_options):
    monkeypatch.setattr("nlviz.app.startup.st.get_option", server_options.get)
    page.selectbox(key="model").select("small").run()
    assert not page.button  # weights of one's own are another matter: they are for nobody else
    assert page.file_uploader(key="give-small")
    assert any("python -m nlviz fetch small" in caption.value for caption in page.caption)
    monkeypatch.setattr("sys.argv", ["app.py", "--fetch"])
    page.run()
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
    import streamlit as st

    from nlviz.app.choice import bundled
    from nlviz.app.sidebar import sidebar
    from nlviz.app.visit import current

    sidebar.choose(current(bundled()[0]), st.empty())


def test_the_upload_says_what_to_do_with_a_file_that_is_too_large(small):
    page = AppTest.from_function(whole_sidebar, default_timeout=60).run()
    assert not page.exception
    said = page.file_uploader(key="upload").help
    assert all(way in said for way in ("200 MB", "Cut", "command line", "--media"))


@pytest.mark.parametrize(
    ("size", "offered"), [(28, ["28", "56", "112", "224", "256"]), (640, ["256", "320"])]
)
def test_a_network_of_small_pictures_is_offered_small_inputs(
    small, tmp_path, monkeypatch, size, offered
):
    (tmp_path / "net.py").write_text(
        f"import torch\n\n\ndef build():\n    return torch.nn.ReLU(), {{'size': {size}}}\n"
    )
    monkeypatch.setattr("sys.argv", ["app.py", "--model", f"{tmp_path}/net.py:build"])
    page = AppTest.from_function(sidebar, default_timeout=60).run()
    assert texts(page)[0].endswith(f"at {size}")
    (slider,) = page.select_slider
    sizes = [option.removesuffix(" px") for option in slider.options]
    assert sizes[: len(offered)] == offered
