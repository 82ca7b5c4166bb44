"""What effects come to is said in words, with the numbers that are the reason."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from nlviz import Effect, Prediction


def effect(block="nl5", size=0.1, score=0.5, fall=0.0, after="cat"):
    before = (Prediction("cat, house cat", score),)
    return Effect(block, size, before, (Prediction(after, score),), fall)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            [effect("nl4", fall=0.02), effect(fall=-0.2)],
            "Leaving out nl5 changes most: the score of cat rises from 50.0% to 70.0%.",
        ),
        (
            [effect("nl4", fall=0.3, after="dog"), effect(fall=-0.2)],
            "Leaving out nl4 changes most: the score of cat falls from 50.0% to 20.0%, and dog is "
            "first instead.",
        ),
        (
            [effect(score=0.03, fall=0.0013)],
            "Leaving out a block changes the score of cat by at most 0.13 points: the network is "
            "not sure of anything here, its best class has 3.0%, so there is little that a block "
            "could change.",
        ),
        (
            [effect("nl4", size=0.01), effect(size=0.002, fall=0.001)],
            "Leaving out a block changes the score of cat by at most 0.10 points: what a block "
            "adds is at most 1.0% of the size of its input (nl4).",
        ),
        (
            [effect(fall=-0.009)],
            "Leaving out a block changes the score of cat by at most 0.90 points: a block adds up "
            "to 10.0% of the size of its input (nl5), but the network says cat with 50.0% all the "
            "same.",
        ),
        (
            [Effect("nl5", 0.1, (), (), 0.0)],
            "The network names no classes, so only the size of what each block adds is known.",
        ),
        ([], "There is no block to leave out."),
    ],
)
def test_effects_are_told_or_why_there_is_none(found, words):
    assert nlviz.effects_in_words(found) == words


@pytest.mark.parametrize(
    ("before", "affinity", "random", "words"),
    [
        (0.3, [0.28, 0.2], [[0.3, 0.28]], "is 5.00 points lower than masked at random"),
        (0.3, [0.3, 0.3], [[0.28, 0.2]], "is 6.00 points higher than masked at random"),
        (0.3, [0.3, 0.299], [[0.302, 0.3]], "by at most 0.20 points: too little"),
        (0.03, [0.031, 0.03], [[0.03, 0.03]], "not sure of it anyway: too little"),
    ],
)
def test_masking_is_told_or_that_it_moves_too_little(before, affinity, random, words):
    query = nlviz.Query(nlviz.Point(0, 1, 1), "nl5")
    shares = np.array([0.1, 0.5])
    found = nlviz.Faithfulness(
        query, "cat, house cat", before, shares, np.array(affinity), np.array(random)
    )
    said = nlviz.masking_in_words(found)
    assert words in said
    assert f"the score of cat ({before:.1%})" in said
