"""Effects where class scores come from square windows, against the same done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.inference.score_passes import windows_of
from nlviz.models.score_windows import ScoreWindows
from tests.support import make
from tests.support.plain_block import counted_hooks

CLIP = make.clip(frames=3, width=32, height=24)


def network(function="embedded_gaussian"):
    """Its scores come from windows of 16 pixels."""
    made = make.network_that_matters(function, seed=12)
    made.score_windows = ScoreWindows(16)
    return made


def scores(logits):
    """(classes,) softmax of the mean over windows of (1, classes)."""
    return torch.cat(logits).mean(0).softmax(0).numpy()


@torch.no_grad()
def test_effects_are_of_each_block_left_out_of_every_window():
    net = network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    module = net.module.eval()
    given = [window.input(CLIP, net) for window in windows_of(CLIP, net)]
    before = scores([module(each) for each in given])
    drawn = module.stem(net.prepare(nlviz_input(analysis)))
    for effect, other in zip(
        nlviz.effects(analysis, net), (module.second, module.first), strict=True
    ):
        without = [module.classifier(other(module.stem(x)).mean((2, 3, 4))) for x in given]
        after = scores(without)
        assert effect.before == analysis.prediction
        assert effect.after[0].score == pytest.approx(after.max(), abs=1e-6)
        assert effect.fall == pytest.approx((before - after)[before.argmax()], abs=1e-6)
        assert abs(effect.fall) > 1e-3
        block = getattr(module, effect.block)
        z = block(drawn)  # the size is that in the picture
        assert effect.size == pytest.approx(float((z - drawn).norm() / drawn.norm()), rel=1e-5)
        drawn = z
    assert not counted_hooks(module)


def nlviz_input(analysis):
    """The frames as they are drawn, resized by hand."""
    import cv2

    size = analysis.view.input
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in CLIP.frames])


@torch.no_grad()
@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("block", ["first", "second"])
def test_a_mask_takes_the_same_places_out_of_every_window(function, block):
    net = network(function)
    analysis = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), block)
    seen = nlviz.faithfulness(analysis, net, query, fractions=(0.05, 0.4, 1), draws=2)
    module = net.module.eval()
    row = nlviz.row_of(analysis, query)
    allowed = np.flatnonzero(row.allowed)
    order = allowed[np.argsort(-row.weights.ravel()[allowed], kind="stable")]
    grid = analysis.affinity(block).key_grid
    middles = [analysis.view.point(grid.cell(i), grid) for i in range(grid.size)]

    def without(masked):
        """The first class's score with these keys of the picture masked, window by window."""
        logits = []
        for window, corner in zip(windows_of(CLIP, net), (0, 4, 8), strict=True):
            x = module.stem(window.input(CLIP, net))
            x = module.first(x) if block == "second" else x
            own = getattr(module, block)
            single = nlviz.capture(own, x, sample=None).affinities["NonLocalBlock"]
            g = own.g(x)[0].flatten(1).numpy().T
            keep = np.ones(single.key_grid.size)
            step = 24 / single.key_grid.cols
            for j in range(len(keep)):
                cell = single.key_grid.cell(j)
                x0, y0 = corner + (cell.col + 0.5) * step, (cell.row + 0.5) * step
                same = [i for i, at in enumerate(middles) if at.frame == CLIP.indices[cell.t]]
                away = [(middles[i].x - x0) ** 2 + (middles[i].y - y0) ** 2 for i in same]
                keep[j] = same[int(np.argmin(away))]
            keep = np.array([0.0 if int(i) in masked else 1.0 for i in keep])
            left = single.matrix().astype(np.float64) * keep
            if function == "embedded_gaussian":
                left /= left.sum(1, keepdims=True)
            else:
                left *= keep.size / keep.sum()
            y = torch.tensor((left @ g).T.reshape(1, -1, *x.shape[2:]), dtype=torch.float32)
            z = own.W(y) + x
            z = module.second(z) if block == "first" else z
            logits.append(module.classifier(z.mean((2, 3, 4))))
        return scores(logits)

    before = without(set())
    first = int(before.argmax())
    assert (seen.label, seen.before) == (net.classes[first], pytest.approx(before[first], abs=1e-6))
    for share, got in zip((0.05, 0.4, 1), seen.by_affinity, strict=True):
        masked = set(order[: max(round(share * len(order)), 1)].tolist())
        assert got == pytest.approx(without(masked)[first], abs=1e-6)
    assert abs(seen.by_affinity[-1] - seen.before) > 1e-4
    assert list(seen.by_random[:, -1]) == pytest.approx([seen.by_affinity[-1]] * 2, abs=1e-6)
    assert not counted_hooks(net.module)


def test_work_on_windows_is_told_rising_and_can_be_stopped():
    net = network()
    analysis = nlviz.analyse(CLIP, net, size=32)
    query = nlviz.Query(nlviz.Point(5, 12, 9), "second")
    for work in (
        lambda told: nlviz.effects(analysis, net, progress=told),
        lambda told: nlviz.faithfulness(analysis, net, query, draws=1, progress=told),
    ):
        said = []
        work(lambda fraction, what, said=said: said.append((fraction, what)))
        fractions = [fraction for fraction, _ in said]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        assert any("window 2 of 3" in what for _, what in said)

        def stopping(_, what):
            if "window 3 of 3" in what:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work(stopping)
        assert not counted_hooks(net.module)
