"""A derived block's name says how it was made, and is read back as that."""

from __future__ import annotations

from dataclasses import replace

import pytest

import nlviz
from nlviz import export
from nlviz.experiments.recipe import Recipe
from tests.support import make, tiny_vit

BLOCKS = ("res3.1", "layers.0.attn", "layers.10.attn")

NAMES = {
    "rollout (derived)": Recipe(),
    "rollout (derived, residual 0.35, max of heads)": Recipe(residual=0.35, fusion="max"),
    "rollout (derived, layers.0.attn to layers.10.attn)": Recipe(
        first="layers.0.attn", last="layers.10.attn"
    ),
    "rollout (derived, min of heads, shuffled weights)": Recipe(fusion="min", seed=0),
    "relevance: dog (derived, shuffled weights, seed 7)": Recipe("dog", seed=7),
    "relevance: man in res3.1 (derived)": Recipe("man", "res3.1"),
    "relevance: dog in water (two of them), hound (derived, all layers)": Recipe(
        "dog in water (two of them), hound"
    ),
    "relevance: dog in res3.1 (derived, all layers)": Recipe("dog in res3.1"),
    "relevance: dog in res3.1 in res3.1 (derived, shuffled weights)": Recipe(
        "dog in res3.1", "res3.1", seed=0
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_back_as_what_it_was_made_of(name):
    assert NAMES[name].name == name
    assert Recipe.of(name, BLOCKS) == NAMES[name]


def test_a_name_of_before_classes_were_told_from_blocks_is_still_read():
    assert Recipe.of("relevance: dog in water (derived)", BLOCKS) == Recipe("dog in water")
    assert Recipe.of("relevance: dog in res3.1 (derived)", BLOCKS) == Recipe("dog", "res3.1")


@pytest.mark.parametrize(
    "name",
    [
        "relevance: dog (derived, all layers)",
        "layers.0.attn",
        "res3.1 (cosine)",
        "rollout (derived, of a, b)",
        "rollout (derived, residual half)",
        "rollout (derived, seed 4)",
        "rollout (made)",
        "",
    ],
)
def test_another_name_has_no_recipe(name):
    assert Recipe.of(name, BLOCKS) is None


def test_the_blocks_that_are_made_have_the_names_of_their_recipes():
    network = tiny_vit.network()
    analysis = nlviz.analyse(make.clip(1), network)
    first, second, third = analysis.blocks

    def name(**how):
        return nlviz.rollout(analysis, ["class"], **how).derived[0]

    assert name() == Recipe().name
    cascade = Recipe(residual=0.2, first=first, last=second)
    assert name(residual=0.2, blocks=[second, first]) == cascade.name
    assert name(blocks=[second]) == Recipe(first=second, last=second).name
    assert name(blocks=[first, third]) == f"rollout (derived, of {first}, {third})"
    (found,) = nlviz.relevance(analysis, network, "cat", ["class"], block=second).derived
    assert found == Recipe("cat", second).name


def test_whatever_is_derived_has_a_name_that_a_session_takes():
    network = tiny_vit.network(depth=30)
    analysis = nlviz.analyse(make.clip(1), network)
    every = analysis.blocks
    ends = nlviz.rollout(analysis, ["class"], blocks=[every[0], every[2], every[29]])
    assert ends.derived == (f"rollout (derived, of {every[0]}, {every[2]}, {every[29]})",)
    some = nlviz.rollout(analysis, ["class"], blocks=every[::2])
    numbers = ", ".join(map(str, range(0, 30, 2)))
    assert some.derived == (f"rollout (derived, of layers {numbers})",)
    label = "a\r\nb" * 100
    named = replace(network.input, classes=(label, "cat", "bird"))
    network = nlviz.UserNetwork(network.module, named)
    found = nlviz.relevance(some, network, label, ["class"])
    made = export.Provenance.of(found)
    again = export.open_session(export.save(export.Session(found, made, (), {})))
    assert again.analysis.derived == found.derived
    assert Recipe.of(found.derived[1], every).label.startswith("a  ba  b")


def test_a_class_that_ends_like_a_block_has_a_block_of_its_own():
    network = tiny_vit.network()
    analysis = nlviz.analyse(make.clip(1), network)
    _, second, _ = analysis.blocks
    named = replace(network.input, classes=(f"cat in {second}", "cat", "bird"))
    network = nlviz.UserNetwork(network.module, named)
    whole = nlviz.relevance(analysis, network, f"cat in {second}", ["class"])
    one = nlviz.relevance(analysis, network, "cat", ["class"], block=second)
    names = [found.derived[0] for found in (whole, one)]
    recipes = [Recipe.of(name, analysis.blocks) for name in names]
    assert recipes == [Recipe(f"cat in {second}"), Recipe("cat", second)]
