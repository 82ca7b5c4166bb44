"""The gallery, and the addresses that name what is in it, with and without matplotlib's picture."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.app.choice import Choice, ClipPart, bundled, offered, sample
from nlviz.app.sidebar import restore
from nlviz.app.tabs import commands
from nlviz.app.visit import Visit
from nlviz.cli import parser
from nlviz.media import samples
from nlviz.viewer.options import Options
from tests.support import media_files as make
from tests.support.given import uploaded

PHOTOGRAPH = "grace_hopper.jpg"


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib is not installed."""
    monkeypatch.setattr(samples, "find_spec", lambda name: None)


def gallery():
    from nlviz.app.choice import bundled
    from nlviz.app.sidebar import gallery
    from nlviz.app.visit import current

    gallery.show(current(bundled()[0]))


def tiles() -> dict[str, str]:
    """Title → what is told of it."""
    page = AppTest.from_function(gallery, default_timeout=60).run()
    assert not page.exception
    assert len(page.get("html")) == len(page.button)
    return {button.label: button.help for button in page.button}


def opened(**said: str) -> Visit:
    visit = Visit(bundled()[0])
    restore.from_address(visit, {name: [value] for name, value in said.items()})
    return visit


def test_the_photograph_is_a_tile_with_its_source_and_licence():
    told = tiles()
    assert list(told) == [each.title for each in offered()]
    about = told[sample(PHOTOGRAPH).title]
    assert "US Navy, in the public domain" in about
    assert "matplotlib" in about


@pytest.mark.usefixtures("without")
def test_without_matplotlib_the_gallery_is_the_bundled_samples():
    assert list(tiles()) == [each.title for each in bundled()]
    assert sample("ball.mp4") == bundled()[0]


def test_a_swapped_photograph_leaves_the_gallery_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "_home", lambda package: tmp_path)
    (tmp_path / "mpl-data" / "sample_data").mkdir(parents=True)
    (tmp_path / "mpl-data" / "sample_data" / PHOTOGRAPH).write_bytes(b"not a picture")
    assert list(tiles()) == [each.title for each in bundled()]


def chosen_below() -> None:
    from nlviz.app.choice import bundled
    from nlviz.app.sidebar import gallery
    from nlviz.app.visit import current

    visit = current(bundled()[0])
    draw_late = gallery.show(visit)
    visit.choose_material(bundled()[1])  # as a control does that is drawn after the gallery
    draw_late()


def test_the_frame_is_round_what_was_chosen_while_the_page_was_drawn(monkeypatch):
    drawn = dict.fromkeys((each.id for each in offered()), "data:,")
    monkeypatch.setattr("nlviz.app.sidebar.gallery._pictures", drawn)
    page = AppTest.from_function(chosen_below, default_timeout=60).run()
    assert not page.exception
    framed = ['class="chosen"' in each.proto.body for each in page.get("html")]
    assert framed == [each == bundled()[1] for each in offered()]


def test_an_address_opens_the_photograph():
    visit = opened(clip=PHOTOGRAPH)
    assert visit.material == sample(PHOTOGRAPH)
    assert visit.remarks == ()


@pytest.mark.usefixtures("without")
def test_without_matplotlib_an_address_of_the_photograph_gets_one_sentence():
    visit = opened(clip=PHOTOGRAPH)
    assert visit.material == bundled()[0]
    (said,) = visit.remarks
    assert said.startswith(f"The sample '{PHOTOGRAPH}' comes with matplotlib, which is not")


def test_an_address_of_no_sample_is_told_those_that_there_are():
    visit = opened(clip="dog.mp4")
    assert visit.material == bundled()[0]
    (said,) = visit.remarks
    assert said.startswith("The sample 'dog.mp4' does not exist; choose one of ball.mp4, ")
    assert PHOTOGRAPH in said


@pytest.mark.parametrize("material", offered(), ids=lambda each: each.name)
def test_the_command_shown_of_a_sample_names_it_in_any_folder_and_no_path(
    material, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    on_screen = Choice(material, ClipPart(), "nl-lite0", 320)
    shown = commands.command("links", on_screen, [material.at], Options("nl5"))
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert asked.input == f"sample:{material.name}"
    assert nlviz.read(asked.input, frames=1).name == material.name
    assert f"nlviz.read('{asked.input}'" in commands.python(on_screen, [material.at], Options())


def test_an_upload_that_is_called_like_a_sample_is_not_taken_for_it(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    name = "sample:ball.mp4"
    material = uploaded(name, make.animation("GIF", 3))
    Path(name).write_bytes(material.held.path.read_bytes())
    assert (material.name, material.title) == (name, name)
    shown = commands.command("links", Choice(material, ClipPart(), "nl-lite0", 320), [], Options())
    asked = parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert nlviz.read(asked.input).total == 3
