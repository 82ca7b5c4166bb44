"""The measure of class scores counts what it says it counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlviz.models import zoo
from training.measures import class_scores


def softmax(best: int, score: float) -> torch.Tensor:
    """1000 scores of which one is ``score`` and the rest fall with the class's number."""
    rest = torch.arange(1000, 0, -1).float()
    rest[best] = 0
    scores = rest / rest.sum() * (1 - score)
    scores[best] = score
    return scores


def test_agreement_is_counted_over_all_and_where_the_backbone_is_sure(monkeypatch):
    network = zoo.load("nl-lite0", device="cpu")
    ours = iter([softmax(7, 0.9), softmax(7, 0.5), softmax(900, 0.6), softmax(7, 0.4)] * 2)
    plain = iter([softmax(7, 0.8), softmax(7, 0.3), softmax(950, 0.7), softmax(1, 0.2)])
    monkeypatch.setattr(class_scores, "_scores", lambda *_: next(ours))
    monkeypatch.setattr(class_scores, "_plain", lambda *_: next(plain))
    photographs = [np.zeros((8, 8, 3), np.uint8)] * 4
    drawn, windows = class_scores.measure(network, photographs)
    assert (drawn.source, windows.source) == ("one pass at 640 pixels", "square windows")
    assert windows.photographs == 4
    assert windows.top1 == 2 / 4
    assert windows.top1_sure == 1 / 2
    assert windows.top5 == 3 / 4  # class 1 is among ours, class 950 is not
    assert windows.confidence == pytest.approx((0.9 + 0.5 + 0.6 + 0.4) / 4)
    assert windows.reference == pytest.approx((0.8 + 0.3 + 0.7 + 0.2) / 4)
    rows = class_scores.table([drawn, windows]).splitlines()
    assert rows[3] == "| square windows | 4 | 0.50 | 0.50 | 0.75 | 0.60 | 0.50 |"


def test_ways_differ_by_the_windows_alone():
    network = zoo.load("nl-lite0", device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    (drawn, windows) = class_scores.measure(network, [picture])
    assert drawn.confidence != windows.confidence
    assert drawn.reference == windows.reference
