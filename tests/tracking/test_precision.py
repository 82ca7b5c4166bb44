"""Same-object precision against a slow loop written straight from its words."""

from __future__ import annotations

import numpy as np
import pytest

import nlviz
from nlviz.errors import QueryError
from nlviz.tracking import mean_after, same_object
from nlviz.tracking.precision import COVERED, LINKS, cells_on
from tests.support import make


def masks_of(analysis):
    masks = np.zeros(analysis.clip.frames.shape[:3], bool)
    masks[:, 8:32, 8:40] = True
    masks[1] = False
    return masks


@pytest.mark.parametrize("block", ["coarse", "fine"])
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
def test_it_is_the_share_of_the_heaviest_links_that_land_on_the_object(function, block):
    analysis = make.analysis(function)
    masks, view, affinity = masks_of(analysis), analysis.view, analysis.affinity(block)
    keys = [affinity.key_grid.cell(j) for j in range(affinity.key_grid.size)]
    on = {}
    for key in keys:
        point = view.point(key, affinity.key_grid)
        on[key] = masks[view.frames.index(point.frame), int(point.y), int(point.x)]
    hits, best, shares = [], [], []
    asked = []
    for i in range(affinity.query_grid.size):
        cell = affinity.query_grid.cell(i)
        box = view.footprint(cell, affinity.query_grid)
        pixels = masks[cell.t, int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
        if pixels.mean() < COVERED:
            continue
        asked.append(cell)
        row = affinity.row(cell)
        others = sorted((k for k in keys if k.t != cell.t), key=lambda k: -row[k.t, k.row, k.col])
        hits += [on[key] for key in others[:LINKS]]
        best += [on[next(k for k in others if k.t == t)] for t in range(4) if t != cell.t]
        weights = [row[k.t, k.row, k.col] for k in others]
        shares.append(sum(weights[:LINKS]) / sum(weights))
    found = same_object(analysis, affinity, masks)
    assert set(asked) == set(cells_on(analysis, affinity, masks))
    assert found.precision == pytest.approx(np.mean(hits))
    assert found.best_a_frame == pytest.approx(np.mean(best))
    assert found.chance == pytest.approx(masks.mean())
    if function == "dot_product":
        assert found.share is None
    else:
        assert found.share == pytest.approx(np.median(shares), rel=1e-5)


def test_too_small_an_object_or_one_frame_has_none():
    analysis = make.analysis()
    masks = np.zeros(analysis.clip.frames.shape[:3], bool)
    masks[0, :8, :8] = True
    assert same_object(analysis, analysis.affinity("fine"), masks) is None
    alone = make.analysis(frames=1)
    assert same_object(alone, alone.affinity("fine"), np.ones((1, 48, 64), bool)) is None


def test_masks_of_another_size_are_refused():
    analysis = make.analysis()
    with pytest.raises(QueryError, match="give one of the clip's size for each frame"):
        same_object(analysis, analysis.affinity("fine"), np.ones((4, 10, 10), bool))


def test_the_first_frame_does_not_count_in_the_mean():
    truth = np.zeros((3, 20, 20), bool)
    truth[:, 5:15, 5:15] = True
    found = truth.copy()
    found[0] = False
    assert mean_after(found, truth) == (1.0, 1.0)
    found[1, 5:10] = False
    j = (0.5 + 1) / 2
    f = (nlviz.contour_accuracy(found[1], truth[1]) + 1) / 2
    assert mean_after(found, truth) == pytest.approx((j, f))
    with pytest.raises(QueryError, match="at least 2"):
        mean_after(found[:1], truth[:1])
