"""The app with a network of its owner's: an option of the start, and nothing else."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.app import startup
from nlviz.app.choice import Choice, ClipPart, Material, bundled
from nlviz.app.running import network
from nlviz.app.tabs import commands
from nlviz.cli import app, main, parser
from nlviz.viewer.options import Options
from tests.inference.test_user_network import BUILD

APP = str(Path(__file__).resolve().parents[2] / "app.py")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my net.py"
    path.write_text(BUILD)
    return f"{path}:build"


@pytest.mark.parametrize("weights", [(), ("--weights", "w.safetensors")])
def test_the_app_is_served_with_what_it_was_started_with(file, weights, monkeypatch):
    served = []

    class Ended:
        returncode = 0

    def run(command, check):
        served.extend(command)
        return Ended()

    monkeypatch.setattr(app.subprocess, "run", run)
    monkeypatch.setattr("nlviz.inference.user_file.load_into", lambda module, weights: None)
    assert main(["app", "--model", file, *weights]) == 0
    assert served[-len(weights) - 3 :] == ["--", "--model", file, *weights]
    monkeypatch.setattr(sys, "argv", served[served.index("--") :])
    assert startup.user_model() == startup.UserModel(file, weights[-1] if weights else None)
    assert startup.is_user_model(file)
    assert not startup.is_user_model("nl-lite0")


def test_a_file_that_cannot_be_used_stops_the_start(file, monkeypatch, capsys):
    monkeypatch.setattr(app.subprocess, "run", lambda *a, **k: pytest.fail("was served"))
    assert main(["app", "--model", file.replace("build", "fails")]) == 2
    assert "no luck" in capsys.readouterr().err
    assert main(["app", "--weights", "w.pt"]) == 2
    assert "--weights goes with --model" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--model"], ["--other", "x"], ["-q"]])
def test_an_app_started_without_one_has_none(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    assert startup.user_model() is None


def test_the_network_is_loaded_and_its_commands_can_be_repeated(file, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", file])
    assert isinstance(network(file), nlviz.UserNetwork)
    choice = Choice(Material("id", "A title", "clip.mp4"), ClipPart(), file, 64)
    points, options = [nlviz.Point(3, 1.5, 2.0)], Options("Net")
    shown = commands.command("links", choice, points, options)
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert asked.model == file
    assert f"nlviz.load({file!r})" in commands.python(choice, points, options)
    assert "zoo" not in commands.python(choice, points, options)
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", file, "--weights", "my w.pt"])
    assert "--weights 'my w.pt'" in commands.command("links", choice, points, options)
    assert "weights='my w.pt')" in commands.python(choice, points, options)


FOUR = (
    BUILD
    + """

def four():
    return plain(), {"size": 64, "frames": 4}
"""
)


def until_shown(page, holds):
    for _ in range(400):
        if holds(page.session_state["nlviz"].shown):
            return
        time.sleep(0.05)
        page.run()
        assert not page.exception
    pytest.fail("never shown")


def frames_of(page):
    (control,) = (each for each in page.number_input if each.label == "Frames")
    return control


@pytest.mark.slow
def test_the_clip_starts_with_the_frames_that_the_network_declares(tmp_path, monkeypatch):
    path = tmp_path / "net.py"
    path.write_text(FOUR)
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", f"{path}:four"])
    page = AppTest.from_file(APP, default_timeout=120).run()
    assert not page.exception
    assert frames_of(page).value == 4
    until_shown(page, lambda shown: shown is not None)
    assert len(page.session_state["nlviz"].shown.analysis.clip.frames) == 4
    # Another network has its own number, until the visitor chooses one.
    page.selectbox(key="model").select("nl-lite0").run()
    assert frames_of(page).value == 8
    page.selectbox(key="model").select(f"{path}:four").run()
    assert frames_of(page).value == 4
    frames_of(page).set_value(3).run()
    page.selectbox(key="model").select("nl-lite0").run()
    assert frames_of(page).value == 3
    until_shown(page, lambda shown: len(shown.analysis.clip.frames) == 3)


@pytest.mark.slow
@pytest.mark.parametrize(("said", "frames"), [({"frames": "3"}, 3), ({"start": "2"}, 4)])
def test_an_address_keeps_its_frames_and_without_them_the_network_decides(
    said, frames, tmp_path, monkeypatch
):
    path = tmp_path / "net.py"
    path.write_text(FOUR)
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", f"{path}:four"])
    page = AppTest.from_file(APP, default_timeout=120)
    for name, value in {"clip": bundled()[0].name, **said}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert frames_of(page).value == frames
