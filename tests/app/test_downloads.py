"""What the Export tab offers: names, the commands that make the same, and how it was made."""

from __future__ import annotations

import shlex
from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz import export
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.shown import Shown
from nlviz.app.tabs import export as export_tab
from nlviz.app.tabs.context import TabContext
from nlviz.app.tabs.downloads import Download, palette_options, shade_of, shade_options
from nlviz.cli import parser
from nlviz.heat.colormap import PALETTE
from nlviz.viewer.colour_layer import ColourLayer
from nlviz.viewer.messages import links_of
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins
from tests.support import make

SHADED = Options(block="fine", k=5, scale="block", curve="log", colours="cividis", opacity=0.35)


def context(options: Options = SHADED, **material) -> TabContext:
    analysis = make.analysis()
    choice = Choice(
        Material("id", "A title", "my clip.mp4", **material), ClipPart(), "nl-lite0", 640
    )
    pins = Pins().add(nlviz.Point(0, 1, 2)).add(nlviz.Point(5, 20, 10)).remove("pin-1")
    pins = pins.add(nlviz.Region.box(10, 3, 3, 30, 30))
    links = {pin: links_of(analysis, pin, options) for pin in pins.shown}
    return TabContext(Shown(choice, analysis, (), ()), links, options)


def file(shown: TabContext, verb: str, ending: str) -> Download:
    options = [*shade_options(shown), *palette_options(shown.pins)] if verb != "export" else []
    return Download(ending, "", lambda _: b"", verb, ("a/net.py:build", shown.block), options)


@pytest.mark.parametrize("verb", ["figure", "film"])
def test_the_command_takes_the_viewers_heat_and_colours_along(verb):
    here = context()
    made = file(here, verb, "png" if verb == "figure" else "gif")
    line = shlex.split(made.command(here).replace("\\\n", " "))
    asked = parser().parse_args(line[3:])
    heat = (asked.heat, asked.curve, asked.colours, asked.opacity)
    assert heat == ("block", "log", "cividis", 0.35)
    assert (asked.block, asked.k) == ("fine", 5)
    assert asked.palette == (PALETTE[1], PALETTE[0])
    assert asked.at == [pin.point for pin in here.pins]
    assert not asked.sharpen
    sharpened = context(replace(SHADED, sharpened=True))
    assert shade_of(sharpened).sharpened
    assert not sharpened.shade.sharpened, "small pictures stay as they are"
    said = shlex.split(file(sharpened, verb, made.ending).command(sharpened).replace("\\\n", " "))
    assert parser().parse_args(said[3:]).sharpen
    assert asked.output == f"noise-a-net.py-build-fine.{made.ending}"


def test_heat_that_is_switched_off_stays_off():
    assert shade_of(context(replace(SHADED, heat=False))).opacity == 0
    assert shade_options(context(replace(SHADED, heat=False)))[1].endswith("--opacity 0")


@pytest.mark.parametrize(
    ("clip", "name"),
    [("../../étude №1.mp4", "tude-1-b.csv"), (";rm -rf.mp4", "rm-rf-b.csv"), ("…", "b.csv")],
)
def test_names_of_files_mind_no_shell_and_no_file_system(clip, name):
    here = context()
    analysis = replace(here.analysis, clip=replace(here.analysis.clip, name=clip))
    here = replace(here, shown=replace(here.shown, analysis=analysis))
    assert Download("csv", "", lambda _: b"", "export", ("b",)).name(here) == name


def test_what_is_taken_from_a_session_names_the_weights_of_then():
    plain = context()
    made = export.Provenance.of(plain.analysis, command="…")
    held = export.Session(plain.analysis, replace(made, model="net", weights="sha256:abc"))
    here = context(session=held, digest="00")
    told = file(here, "export", "json").provenance(here)
    assert (told.model, told.weights) == ("net", "sha256:abc")
    assert "--frames" not in told.command
    assert "'my clip.mp4'" in told.command
    with pytest.raises(nlviz.NetworkError, match="is a saved session and holds no network"):
        here.shown.network()


def test_a_page_that_takes_long_is_made_with_its_progress_and_then_taken_away(monkeypatch):
    here, offered, told, wanted = context(), [], [], []
    monkeypatch.setattr(export_tab, "_holds", lambda *_: None)
    monkeypatch.setattr(export_tab, "_offer", lambda _, file: offered.append(file))
    monkeypatch.setattr(export_tab, "show_command", lambda *_: told.append("command"))
    monkeypatch.setattr(export_tab.st, "iframe", lambda *_, **__: told.append("page"))
    monkeypatch.setattr(export_tab, "is_wanted", lambda label, *_, **__: wanted.append(label))
    export_tab._page(here)
    assert (wanted.pop(), told) == ("Preview", [])
    assert offered.pop(), "a quick one is made at a click"
    monkeypatch.setattr(export_tab, "_LONG", 1)
    export_tab._page(here)
    assert (wanted.pop(), told, offered) == ("Make the page", ["command"], [])
    monkeypatch.setattr(export_tab, "is_wanted", lambda *_, **__: True)
    monkeypatch.setattr(export_tab, "job_result", lambda *_, **__: None)
    export_tab._page(here)
    assert not offered, "while it is being made"
    monkeypatch.setattr(export_tab, "job_result", lambda *_, **__: b"<html>")
    export_tab._page(here)
    (file,) = offered
    assert told[-1] == "page"
    assert file.make(None) == b"<html>", "it is not made once more"


def test_a_preview_is_of_the_very_colours_that_are_over_the_clip(monkeypatch):
    here = context()
    for name in ("_holds", "_offer"):
        monkeypatch.setattr(export_tab, name, lambda *_: None)
    seen = []
    monkeypatch.setattr(export_tab, "is_wanted", lambda _, what, **__: seen.append(what))
    grid = here.analysis.affinity("fine").query_grid
    for _ in range(2):
        colours, shown = np.zeros((*grid.shape, 3), np.uint8), np.ones(grid.shape, np.bool_)
        layer = ColourLayer(grid, colours, shown, ("grey",))
        export_tab._page(replace(here, shown=here.shown.with_layer(layer)))
        assert layer in seen[-1], "what is gone may leave its number in memory to another"
    assert seen[0] != seen[1]
