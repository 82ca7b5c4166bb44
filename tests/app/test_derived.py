"""Compare's All layers: what is chosen is what is made, and the command shown makes it again."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz import cli
from nlviz.app.choice import Choice, ClipPart, Material
from nlviz.app.shown import Shown
from nlviz.app.tabs import commands, derived, waiting
from nlviz.app.tabs.context import TabContext
from nlviz.cli.question import Question
from nlviz.cli.rollout import _check
from nlviz.experiments import layers
from nlviz.experiments.derived import alone
from nlviz.experiments.recipe import Recipe
from nlviz.export import open_session
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pins
from nlviz.viewer.staged import packed
from tests.support import make, tiny_vit

POINT, ELSEWHERE = nlviz.Point(0, 20.0, 20.0), nlviz.Point(0, 40.0, 30.0)
FIRST, SECOND, THIRD = (f"layers.{number}.attn" for number in range(3))


@pytest.fixture(scope="module")
def on_screen(tmp_path_factory):
    path = str(make.picture(tmp_path_factory.mktemp("derived") / "photo.png"))
    model = f"{os.path.relpath(Path(tiny_vit.__file__))}:build"
    choice = Choice(Material("id", "Photo", path), ClipPart(frames=1), model, 64)
    network = nlviz.load(model)
    return choice, nlviz.analyse(nlviz.read(path, frames=1), network, size=64), network


def context_of(choice, analysis, block):
    pin = Pins().add(POINT).shown[0]
    shown = Shown(choice, analysis, *packed(analysis))
    return TabContext(shown, {pin: ()}, Options(block, k=4, exclude="none")), pin


def made(choice, analysis, network, recipe):
    """What the All layers piece makes of a recipe."""
    context, pin = context_of(choice, analysis, THIRD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shown, "network", lambda _: network)
        patch.setattr(derived, "one_at_a_time", lambda progress, _: nullcontext(progress))
        return derived._made(context, recipe, pin)(lambda *_: None)


RECIPES = [
    Recipe(residual=0.25, fusion="max", first=SECOND, last=THIRD, seed=0),
    Recipe("cat"),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
def test_the_command_shown_makes_the_block_on_screen(recipe, on_screen, tmp_path, monkeypatch):
    choice, analysis, network = on_screen
    found = made(choice, analysis, network, recipe)
    own = found.own if recipe.seed is None else found.shuffled
    (name,) = own.blocks
    assert name == recipe.name
    context, _ = context_of(choice, own, name)
    assert context.recipe == recipe
    root = Path.cwd()
    shown = commands.command(
        "html", choice, [POINT], context.options, "-o page.html", recipe=context.recipe
    )
    first, second = (shlex.split(each)[3:] for each in shown.replace("\\\n", " ").split(" && "))
    first[first.index("--model") + 1] = str(root / choice.model)
    monkeypatch.chdir(tmp_path)
    assert cli.main([*first, "--device", "cpu"]) == 0
    again = open_session("derived.nlviz").analysis
    cell = own.view.cell(POINT, own.affinity(name).query_grid)
    np.testing.assert_allclose(
        again.affinity(name).row(cell), own.affinity(name).row(cell), atol=1e-6
    )
    assert cli.main(second) == 0
    assert name in Path("page.html").read_text()


def test_links_of_a_derived_block_are_one_command(on_screen):
    choice, *_ = on_screen
    recipe = Recipe(residual=0.25, first=FIRST, last=SECOND)
    options = Options(recipe.name, k=4, exclude="none")
    shown = commands.command("links", choice, [POINT], options, recipe=recipe)
    asked = cli.parser().parse_args(shlex.split(shown.replace("\\\n", " "))[3:])
    assert (asked.residual, asked.fusion, asked.first, asked.last) == (0.25, None, FIRST, SECOND)
    assert (asked.k, asked.exclude, asked.block, asked.at) == (4, "none", None, [POINT])


def test_who_looks_here_and_a_head_are_not_asked_of_the_command_that_makes_the_block(on_screen):
    choice, *_ = on_screen
    recipe = Recipe()
    for reverse in (False, True):
        options = Options(recipe.name, head=0, reverse=reverse, k=4)
        shown = commands.command("links", choice, [POINT], options, recipe=recipe)
        first, *more = (shlex.split(each)[3:] for each in shown.replace("\\\n", " ").split(" && "))
        made = cli.parser().parse_args(first)
        _check(made, Question.of(argparse.Namespace(**vars(made), typed="")))
        asked = [cli.parser().parse_args(each) for each in more]
        assert [each.reverse for each in asked] == [True] * reverse
        assert made.output == ("derived.nlviz" if reverse else None)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
def test_the_python_lines_make_the_block_on_screen(recipe, on_screen, tmp_path, monkeypatch):
    choice, analysis, network = on_screen
    found = made(choice, analysis, network, recipe)
    own = found.own if recipe.seed is None else found.shuffled
    options = Options(recipe.name, k=4, exclude="none")
    lines = commands.python(choice, [POINT], options, recipe)
    model = Path.cwd() / choice.model
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(lines.replace(repr(choice.model), repr(str(model))), names)
    (links,) = names["links"]
    wanted = nlviz.top_links(own, nlviz.Query(POINT, recipe.name, 4, "none"))
    assert [link.target for link in links] == [link.target for link in wanted]
    np.testing.assert_allclose([x.weight for x in links], [x.weight for x in wanted], atol=1e-6)


def all_layers() -> None:
    """A script of the app: All layers for one pin of a tiny vision transformer."""
    from nlviz.app.choice import Choice, ClipPart, bundled
    from nlviz.app.shown import Shown
    from nlviz.app.tabs import derived
    from nlviz.app.tabs.context import TabContext
    from nlviz.viewer.messages import links_of
    from nlviz.viewer.options import Options
    from nlviz.viewer.pins import Pins
    from nlviz.viewer.staged import packed
    from tests.app.test_derived import POINT, THIRD, analysed

    analysis, options = analysed(), Options(block=THIRD, k=3)
    choice = Choice(bundled()[0], ClipPart(frames=2), "tiny", 32)
    pin = Pins().add(POINT).shown[0]
    links = {pin: links_of(analysis, pin, options)}
    derived.show(TabContext(Shown(choice, analysis, *packed(analysis)), links, options), pin)


def analysed():
    return nlviz.analyse(make.clip(2), tiny_vit.network())


def until(page, done):
    end = time.monotonic() + 60
    while not done(page):
        assert time.monotonic() < end, [x.value for x in [*page.info, *page.error, *page.caption]]
        time.sleep(0.1)
        page.run()
    assert not page.exception
    return page


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setattr(waiting, "for_network", lambda _: False)
    network = tiny_vit.network()
    monkeypatch.setattr(Shown, "network", lambda _: network)
    monkeypatch.setattr(derived, "openable", lambda tiles, *_, **__: derived.st.text(str(tiles)))
    return AppTest.from_function(all_layers, default_timeout=60).run()


def told(page):
    return " ".join(each.value for each in [*page.markdown, *page.text])


def test_the_settings_of_rollout_are_those_of_the_block_that_is_drawn(page):
    page.number_input("derived-residual").set_value(0.3)
    page.segmented_control("derived-fusion").set_value("min")
    page.select_slider("derived-layers").set_value((FIRST, SECOND)).run()
    assert "Rank correlation" not in told(page), "nothing is worked out before it is asked for"
    page.button[0].click().run()
    until(page, lambda each: "Rank correlation" in told(each))
    name = Recipe(residual=0.3, fusion="min", first=FIRST, last=SECOND).name
    assert name in told(page)
    assert Recipe(residual=0.3, fusion="min", first=FIRST, last=SECOND, seed=0).name in told(page)
    page.number_input("derived-residual").set_value(0.4).run()
    assert "Rank correlation" not in told(page)


def test_a_class_has_no_settings_of_rollout(page):
    label = analysed().prediction[0].label
    page.selectbox("derived-what").set_value(label).run()
    assert not page.number_input
    page.button[0].click().run()
    until(page, lambda each: "Rank correlation" in told(each))
    assert f"relevance: {label.split(',')[0]} (derived)" in told(page)


def test_stop_ends_it_before_the_next_layer(page, monkeypatch):
    begun = []
    honest = layers.Chain._products

    def products(self, layer, *given):
        begun.append(layer)
        while (job := page.session_state["nlviz-jobs"]._latest) is None:
            time.sleep(0.01)
        job.stop()
        return honest(self, layer, *given)

    monkeypatch.setattr(layers.Chain, "_products", products)
    page.button[0].click().run()
    until(page, lambda each: any(one.value == "Stopped." for one in each.caption))
    assert len(begun) == 1


def test_a_visitor_keeps_the_last_eight_derived_blocks(on_screen):
    choice, analysis, _ = on_screen
    shown = Shown(choice, analysis, *packed(analysis))
    own, names = shown, []
    for residual in (0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95):
        found = nlviz.rollout(analysis, [POINT], residual=residual)
        names.append(found.blocks[-1])
        shown = shown.with_derived(alone(found, names[-1])).with_constants(names[-1], b"blob")
    assert len(shown.constants) == 8, "what belonged to the first has gone with it"
    assert shown.analysis.blocks == (*analysis.blocks, *names[1:])
    assert set(shown.analysis.kinds) == set(shown.analysis.blocks)
    assert (len(shown.blobs), len(shown.tags)) == (len(own.blobs) + 8, len(own.tags) + 8)
    assert shown.blobs[: len(own.blobs)] == own.blobs
    again = shown.with_derived(alone(found, names[-1]))
    assert again.tags == shown.tags
    there = alone(nlviz.rollout(analysis, [ELSEWHERE], residual=0.95), names[-1])
    moved = shown.with_derived(there)
    assert moved.analysis.blocks == shown.analysis.blocks
    assert moved.tags[:-1] == shown.tags[:-1]
    assert moved.tags[-1] != shown.tags[-1]
    assert len(moved.constants) == 7, "those of other rows"


def test_a_baseline_stands_behind_its_block_and_what_else_is_known_stays(on_screen):
    choice, analysis, _ = on_screen
    hidden = {"hides": "self-attention"}
    analysis = replace(analysis, kinds={**hidden, **analysis.kinds})
    shown = Shown(choice, analysis, *packed(analysis)).with_constants(analysis.blocks[1], b"blob")
    first, *others = analysis.blocks
    found = nlviz.baseline(analysis, None, first, "uniform")
    more = shown.beside(found)
    assert more.analysis.blocks == (first, f"{first} (uniform)", *others)
    assert (more.tags[1], more.tags[3:]) == (shown.tags[1], shown.tags[2:])
    assert next(iter(more.analysis.kinds)) == "hides", "where a layer that was refused stands"
    assert more.constants == shown.constants
    assert more.beside(found) is more
