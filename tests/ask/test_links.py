"""Queries and their top links."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from tests.support import make


def query(**options):
    options = {"point": nlviz.Point(5, 30.0, 20.0), "block": "fine", "k": 10, **options}
    return nlviz.Query(**options)


@pytest.mark.parametrize("block", ["fine", "coarse"])
@pytest.mark.parametrize("exclude", ["none", "cell", "frame"])
def test_links_are_the_heaviest_allowed_weights_of_the_row(block, exclude):
    analysis = make.analysis()
    links = nlviz.top_links(analysis, query(block=block, exclude=exclude))
    affinity, view = analysis.affinity(block), analysis.view
    cell = view.cell(nlviz.Point(5, 30.0, 20.0), affinity.query_grid)
    row = affinity.row(cell)
    if exclude == "frame":
        row = np.delete(row, 1, axis=0)
    if exclude == "cell":
        window = affinity.query_grid.rows // affinity.key_grid.rows
        row[1, cell.row // window, cell.col // window] = -1
    expected = np.sort(row.ravel())[::-1][:10]
    assert [link.rank for link in links] == list(range(1, 11))
    np.testing.assert_allclose([link.weight for link in links], expected, rtol=1e-6)


def test_a_link_ends_at_the_centre_of_a_cell_in_source_pixels_on_a_sampled_frame():
    analysis = make.analysis()
    for link in nlviz.top_links(analysis, query()):
        assert link.target.frame in analysis.clip.indices
        assert link.target.frame != 5
        assert link.target.x % 8 == 4
        assert link.target.y % 8 == 4
        assert link.source == nlviz.Point(5, 30.0, 20.0)


def test_shares_of_a_whole_softmax_row_add_up_to_one():
    links = nlviz.top_links(make.analysis(), query(k=10_000, exclude="none"))
    assert sum(link.share for link in links) == pytest.approx(1, abs=1e-5)
    assert all(link.share == pytest.approx(link.weight, abs=1e-6) for link in links)


def test_shares_of_a_signed_row_are_of_its_absolute_weights():
    analysis = make.analysis("dot_product")
    links = nlviz.top_links(analysis, query(k=10_000, exclude="none"))
    assert min(link.weight for link in links) < 0
    assert sum(link.share for link in links) == pytest.approx(1, abs=1e-5)


def test_leaving_out_the_only_frame_is_refused_with_what_to_choose():
    analysis = make.analysis(frames=1)
    with pytest.raises(nlviz.QueryError, match=r"clip of 1 frame; choose exclude='none' or 'cell'"):
        nlviz.top_links(analysis, query(point=nlviz.Point(0, 1, 1)))
    assert nlviz.top_links(analysis, query(point=nlviz.Point(0, 1, 1), exclude="cell"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"block": "res6"}, "Block 'res6' is not captured; choose one of coarse, fine"),
        ({"point": nlviz.Point(7, 1, 1)}, "Frame 7 was not sampled; choose one of 0, 5, 10, 15"),
        ({"point": nlviz.Point(5, 64, 1)}, "outside the 64×48 frame"),
        ({"k": 0}, "k must be at least 1; got 0"),
        ({"exclude": "row"}, "exclude must be one of none, cell, frame; got 'row'"),
    ],
)
def test_a_wrong_query_says_what_is_allowed(wrong, message):
    with pytest.raises(nlviz.QueryError, match=message):
        nlviz.top_links(make.analysis(), query(**wrong))
