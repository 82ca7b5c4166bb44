"""Answers are kept by what was asked of what, and weigh no more than they may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz.ask import answers
from nlviz.ask.answers import Answers
from tests.support import make


@pytest.fixture
def asked(monkeypatch):
    """The queries that were really worked out."""
    worked_out = []

    def counted(analysis, query):
        worked_out.append(query)
        return nlviz.top_links(analysis, query)

    monkeypatch.setattr(answers, "top_links", counted)
    return worked_out


def region(number):
    return nlviz.Query(nlviz.Region.box(5, number, 4, 40 + number, 44), "coarse", exclude="cell")


def test_the_eighth_region_costs_one_answer(asked):
    analysis, kept = make.analysis(), Answers()
    for shown in range(1, 9):
        for number in range(shown):
            links = kept.top_links(analysis, region(number))
            assert links == nlviz.top_links(analysis, region(number))
    assert asked == [region(number) for number in range(8)]


def test_the_same_numbers_are_one_analysis_and_others_are_not(asked):
    analysis, kept = make.analysis(), Answers()
    kept.top_links(analysis, region(0))
    kept.top_links(make.analysis(), region(0))
    assert len(asked) == 1
    affinity = analysis.affinity("coarse")
    every = nlviz.Groups(np.arange(affinity.query_grid.size) % 2, np.arange(48) % 2)
    for other in (
        replace(affinity, theta=affinity.theta * np.float32(1.0001)),  # the same in float16
        replace(affinity, scale=2.0),
        replace(affinity, reach=(every,)),
        replace(affinity, reach=(replace(every, until=every.query + 1),)),
    ):
        changed = replace(analysis, affinities={"coarse": other})
        assert kept.top_links(changed, region(0)) == nlviz.top_links(changed, region(0))
    assert len(asked) == 5


def test_contributions_are_kept_by_their_sizes(asked):
    analysis, kept = make.analysis(), Answers()
    query = replace(region(0), rank_by="contribution")
    for size in (1.0, 2.0):
        sized = replace(analysis, sizes={"coarse": np.full(48, size, np.float32)})
        assert kept.top_links(sized, query) == nlviz.top_links(sized, query)
    assert len(asked) == 2


def test_what_was_asked_longest_ago_leaves_first(asked):
    analysis, kept = make.analysis(), Answers(budget=30_000)  # three answers of 20 links
    for number in (0, 1, 2, 0, 3, 0, 1):
        kept.top_links(analysis, region(number))
        assert 0 < kept.held <= kept.budget
    assert asked == [region(number) for number in (0, 1, 2, 3, 1)]


def test_an_error_is_raised_and_not_kept(asked):
    kept, query = Answers(), nlviz.Query(nlviz.Point(7, 1, 1), "coarse")
    for _ in range(2):
        with pytest.raises(nlviz.QueryError, match="Frame 7 was not sampled"):
            kept.top_links(make.analysis(), query)
    assert len(asked) == 2
    assert kept.held == 0
