"""Class scores from square windows: what they are, and that nothing else changes with them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import nlviz
from nlviz.inference.score_passes import class_output, windows_of
from nlviz.inference.scores import class_scores
from nlviz.models import zoo
from nlviz.models.efficientnet_lite import backbone, normalise
from nlviz.models.score_windows import ScoreWindows
from tests.support import make
from tests.support.plain_block import counted_hooks

SHAPES = {"landscape": (64, 48), "portrait": (40, 72), "square": (48, 48)}


WINDOWS = ScoreWindows(16)


def network(windows=WINDOWS):
    """A tiny network with blocks that matter, and windows of 16 pixels."""
    made = make.network()
    torch.manual_seed(3)
    for parameter in made.module.parameters():
        nn.init.normal_(parameter, std=0.5)
    made.score_windows = windows
    return made


def cut_by_hand(frames, size):
    """The windows' frames, (windows, T, size, size, 3), by their definition."""
    height, width = frames.shape[1:3]
    side, room = min(width, height), abs(width - height)
    for start in (0, room // 2, room) if room else (0,):
        x, y = (start, 0) if width > height else (0, start)
        cut = frames[:, y : y + side, x : x + side]
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        yield np.stack([cv2.resize(frame, (size, size), interpolation=how) for frame in cut])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), ((0, 0), (140, 0), (280, 0))),
        ((30, 41), ((0, 0), (0, 5), (0, 11))),
        ((50, 50), ((0, 0),)),
    ],
)
def test_windows_lie_evenly_along_the_longer_side(size, expected):
    assert ScoreWindows().corners(*size) == expected


def test_windows_are_told_as_many_as_there_are():
    told = ScoreWindows(224)
    assert told.words(640, 360) == "three square windows at 224 pixels, mean of logits"
    assert told.words(50, 50) == "one square window at 224 pixels"


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 8])
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_the_softmax_of_the_mean_logits_of_the_windows(shape, frames):
    net = network()
    clip = make.clip(frames, *SHAPES[shape])
    analysis = nlviz.analyse(clip, net, size=32)
    module = net.module.eval()
    logits = [module(net.prepare(cut))[0] for cut in cut_by_hand(clip.frames, 16)]
    assert len(logits) == (1 if shape == "square" else 3)
    expected = torch.stack(logits).mean(0).softmax(0)
    scores = {each.label: each.score for each in analysis.prediction}
    assert [scores[name] for name in net.classes] == pytest.approx(expected.tolist(), abs=1e-6)
    drawn = nlviz.analyse(clip, network(None), size=32)
    assert abs(analysis.prediction[0].score - drawn.prediction[0].score) > 1e-5
    assert (analysis.score_windows, drawn.score_windows) == (net.score_windows, None)
    of = "one square window" if shape == "square" else "three square windows"
    assert analysis.facts[-1].startswith(f"class scores from {of} at 16 pixels")
    assert drawn.facts[-1] == "class scores from the pass that is drawn"


@pytest.fixture(scope="module")
def bundled():
    return zoo.load("nl-lite0", device="cpu")


@torch.no_grad()
def test_a_bundled_network_without_its_blocks_says_what_its_backbone_says(bundled):
    plain = backbone()
    children = nn.Sequential(plain)
    children.load_state_dict(zoo.backbone_weights())
    children.eval()
    clip = make.clip(2, 96, 64)
    with ExitStack() as without:
        for block in bundled.taps:
            without.enter_context(nlviz.ablated(bundled.module, block))
        output = class_output(clip, nlviz.View((96, 64), (96, 64), clip.indices), bundled)
    logits = [
        children(normalise(torch.tensor(frame)).permute(2, 0, 1)[None])[0]
        for cut in cut_by_hand(clip.frames, 224)
        for frame in cut
    ]
    assert len(logits) == 3 * 2
    expected = torch.stack(logits).mean(0).softmax(0)
    torch.testing.assert_close(class_scores(output, bundled.classes), expected)


def test_windows_leave_what_is_captured_as_it_was_to_the_bit(bundled):
    clip = make.clip(2, 96, 64)
    ours = nlviz.analyse(clip, bundled, size=96)
    without = nlviz.analyse(clip, replace(bundled, score_windows=None), size=96)
    assert ours.prediction != without.prediction
    assert dict(ours.fidelity) == dict(without.fidelity)
    assert ours.blocks == without.blocks
    for block in ours.blocks:
        for part in ("theta", "phi"):
            a, b = (getattr(each.affinity(block), part) for each in (ours, without))
            np.testing.assert_array_equal(a, b)


class Stopped(Exception):
    pass


def test_a_stop_within_a_window_leaves_the_network_as_it_was():
    net, clip = network(), make.clip()
    whole = nlviz.analyse(clip, net, size=32)
    net.module.train()

    told = []

    def stopping(_, what):
        told.append(what)
        if told.count("class scores of tiny, window 2 of 3") == 3:  # before its third stage
            raise Stopped

    with pytest.raises(Stopped):
        nlviz.analyse(clip, net, size=32, progress=stopping)
    assert net.module.training
    assert net.module.first.training
    assert not counted_hooks(net.module)
    assert nlviz.analyse(clip, net, size=32).prediction == whole.prediction


def test_progress_rises_over_the_picture_and_each_window_stage_by_stage():
    net, told = network(), []
    nlviz.analyse(make.clip(), net, size=32, progress=lambda *each: told.append(each))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    words = [what for _, what in told[1:-1]]
    assert words[: len(net.stages)] == [f"running tiny: {stage}" for stage in net.stages]
    windows = [f"class scores of tiny, window {number} of 3" for number in (1, 2, 3)]
    assert words[len(net.stages) :] == [each for each in windows for _ in net.stages]


def test_windows_that_do_not_fit_into_memory_are_told(monkeypatch):
    from nlviz.inference import score_passes

    net, clip = network(), make.clip()
    monkeypatch.setattr(score_passes, "MOST_INPUT", 3 * 16 * 16)
    with pytest.raises(nlviz.BudgetError, match="4 frames at 16×16, which class scores come from"):
        nlviz.analyse(clip, net, size=32)
    monkeypatch.undo()
    calls = []

    def short(*_):
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError

    hook = net.module.register_forward_pre_hook(short)
    with pytest.raises(nlviz.BudgetError, match="memory for class scores of 4 frames"):
        nlviz.analyse(clip, net, size=32)
    hook.remove()
    assert not counted_hooks(net.module)


def test_networks_of_others_keep_their_scores_from_the_pass_that_is_drawn(bundled):
    own = nlviz.UserNetwork(network().module, {"classes": ("cat", "dog"), "layout": "BCTHW"})
    clip = make.clip()
    assert windows_of(clip, own) == ()
    assert nlviz.analyse(clip, own).score_windows is None
    assert {zoo.load(name, device="cpu").score_windows for name in zoo.bundled()[:1]} == {
        ScoreWindows(224, 3)
    }
    unnamed = network()
    unnamed.classes = ()
    analysis = nlviz.analyse(clip, unnamed, size=32)
    assert (analysis.prediction, analysis.score_windows) == ((), None)


def test_scores_that_fit_no_class_are_told_with_windows_too():
    net = network()
    net.classes = ("a", "b", "c")
    analysis = nlviz.analyse(make.clip(), net, size=32)
    assert analysis.prediction == ()
    assert analysis.clip.notes[-1].startswith("No class is shown: 3 classes are named")
