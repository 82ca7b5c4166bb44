"""Masks drawn along the picture's edges: the frame decides where, and only there."""

from __future__ import annotations

import numpy as np

import nlviz
from nlviz.tracking.edges import along_edges


def test_a_coarse_mask_follows_the_edge_of_a_bright_square():
    frame = np.full((64, 64, 3), 30, np.uint8)
    frame[20:44, 20:44] = (220, 180, 60)
    truth = np.zeros((64, 64), bool)
    truth[20:44, 20:44] = True
    view, grid = nlviz.View((64, 64), (64, 64), (0,)), nlviz.Grid(1, 4, 4)
    # Cells of 16 pixels: the share of each that is on the square, brought up bilinearly.
    shares = truth.reshape(4, 16, 4, 16).mean((1, 3)).astype(np.float32)
    at = np.clip((np.arange(64) + 0.5) / 16 - 0.5, 0, 3)
    low, part = np.minimum(at.astype(int), 2), at - np.minimum(at.astype(int), 2)
    rows = shares[low] * (1 - part)[:, None] + shares[low + 1] * part[:, None]
    soft = (rows[:, low] * (1 - part) + rows[:, low + 1] * part)[None].astype(np.float32)
    coarse = nlviz.region_similarity(soft[0] > soft.max() / 2, truth)
    drawn = along_edges(soft, frame, view, grid, "half")
    assert drawn.shape == (64, 64)
    assert nlviz.region_similarity(drawn == 1, truth) > max(0.95, coarse + 0.05)
