"""Several objects carried under any protocol, against a slow loop; the presets of papers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nlviz
from nlviz.tracking import PRESETS, carrying, preset, propagation, track_objects
from nlviz.tracking.cells import decided
from nlviz.tracking.protocol import DECISIONS
from tests.support import make


def two_squares():
    masks = np.zeros((2, 48, 64), bool)
    masks[0, 4:25, 6:30] = masks[1, 20:44, 34:60] = True
    return masks


def slow(analysis, block, first, p, labels):
    """The labels of each step, one cell and one key at a time, straight from ``Protocol``."""
    affinity = analysis.affinity(block)
    queries, keys = affinity.query_grid, affinity.key_grid
    rows = affinity.matrix()[: queries.size, : keys.size].reshape(*queries.shape, *keys.shape)
    theta, phi = (
        each.reshape(affinity.heads, -1, each.shape[1]) for each in (affinity.theta, affinity.phi)
    )
    f = affinity.scale * np.einsum("hcn,hcm->hnm", theta, phi)[..., : keys.size]
    f = (np.maximum(f, 0) if affinity.function == "concatenation" else f).mean(0)
    f = f.reshape(-1, *keys.shape)
    window = queries.rows // keys.rows
    pooled = lambda step: step.reshape(keys.rows, window, keys.cols, window, -1).mean((1, 3))  # noqa: E731
    done = {first: labels}
    ahead, behind = range(first + 1, queries.t), range(first - 1, -1, -1)
    for t in (*ahead, *behind):
        way = 1 if t > first else -1
        last = [t - way * n for n in range(1, p.context + 1)]
        context = {first, *(s for s in last if (s - first) * way >= 0)}
        out = np.zeros((queries.rows, queries.cols, labels.shape[-1]))
        for r, c in np.ndindex(queries.rows, queries.cols):
            cell = nlviz.Cell(t, r, c)
            reached = affinity.reached(cell)
            found = []
            for s in sorted(context):
                known = pooled(done[s])
                for y, x in np.ndindex(keys.rows, keys.cols):
                    # Cells of 8 pixels; a diagonal of 80.
                    off = [(n + 0.5) * window - (m + 0.5) for n, m in ((y, r), (x, c))]
                    far = max(map(abs, off)) if p.square else math.hypot(*off)
                    far = far if p.in_cells else far * 8 / 80
                    free = p.first_anywhere and s == first
                    if p.radius is not None and far > p.radius and not free:
                        continue
                    weight = rows[t, r, c, s, y, x]
                    if p.temperature is None:
                        weight = max(weight, 0)
                    elif not reached[s, y, x]:
                        continue
                    elif affinity.rows_sum_to_one:
                        weight = weight ** (1 / p.temperature)
                    else:
                        weight = math.exp(f[queries.index(cell), s, y, x] / p.temperature)
                    found.append((weight, tuple(known[y, x])))
            best = sorted(found, reverse=True)[: p.heaviest]
            total = sum(weight for weight, _ in best)
            if total:
                out[r, c] = sum(w * np.array(k) for w, k in best) / total
        done[t] = out
    return np.stack([done[t] for t in range(queries.t)])


@pytest.mark.parametrize(
    ("function", "block", "protocol"),
    [
        ("embedded_gaussian", "fine", nlviz.Protocol(2, 0.31, 5)),
        ("embedded_gaussian", "coarse", nlviz.Protocol(1, 2.0, 4, 0.5, True, True)),
        ("dot_product", "fine", nlviz.Protocol(3, 2, 5, 1.5, True, first_anywhere=True)),
        ("dot_product", "special", nlviz.Protocol(2, None, 5, 2.0)),
        ("concatenation", "special", nlviz.Protocol(1, 0.35, 60, 1.0)),
    ],
)
def test_several_objects_are_carried_as_the_protocol_says(function, block, protocol):
    analysis = make.analysis(function, special=True)
    masks = two_squares()
    seen = track_objects(analysis, block, masks, names=("a", "b"), frame=5, protocol=protocol)
    labels = np.moveaxis(masks.reshape(2, 6, 8, 8, 8).mean((2, 4)), 0, -1)
    np.testing.assert_allclose(seen.labels, slow(analysis, block, 1, protocol, labels), atol=2e-5)
    assert seen.names == ("a", "b")
    assert seen.objects.shape == (4, 48, 64)
    np.testing.assert_array_equal(seen.numbers(1), seen.objects[1])


def test_one_object_alone_is_what_it_is_among_others():
    analysis, masks = make.analysis(), two_squares()
    together = track_objects(analysis, "coarse", masks)
    alone = nlviz.track(analysis, "coarse", masks[1])
    np.testing.assert_allclose(together.labels[..., 1], alone.labels, atol=1e-6)
    np.testing.assert_array_equal(alone.objects[2], decided(alone.masks[2][None], "half") == 1)


def test_a_pixel_is_on_what_the_decision_says():
    soft = np.array([[[0.9, 0.3, 0.3, 0.0]], [[0.05, 0.3, 0.4, 0.1]]], np.float32)
    # Half of 0.9 and of 0.4; in the second pixel the second label is nearer to its highest.
    np.testing.assert_array_equal(decided(soft, "half"), [[1, 2, 2, 0]])
    # Background: 0.05, 0.4, 0.3, 0.9.
    np.testing.assert_array_equal(decided(soft, "most"), [[1, 0, 2, 0]])
    # Stretched: background 0, 0.41, 0.29, 1; labels over 0.9, and less 0.05 over 0.35.
    np.testing.assert_array_equal(decided(soft, "stretched"), [[1, 2, 2, 0]])
    thin = soft * np.float32(0.2)  # no label of the first reaches 0.2
    np.testing.assert_array_equal(decided(thin, "half"), [[0, 0, 0, 0]])


def test_presets_are_the_numbers_of_the_papers_code():
    told = {name: (each.protocol, each.short_side) for name, each in PRESETS.items()}
    assert told["crw"] == (
        nlviz.Protocol(20, 11.99, 10, 0.05, True, False, True, "most"),
        480,
    )
    assert told["dino"] == (nlviz.Protocol(7, 12, 5, 0.1, True, True, False, "stretched"), 480)
    assert told["dinov3"] == (nlviz.Protocol(7, 12, 5, 0.2, True, False, False, "stretched"), 960)
    assert preset("dino").size(854, 480) == preset("dino").size(480, 854) == 854
    with pytest.raises(nlviz.QueryError, match="'vos' is unknown; choose one of crw, dino, dinov3"):
        preset("vos")


def test_a_protocol_tells_its_numbers_and_refuses_others():
    assert preset("dino").protocol.numbers == (
        "7 frames of context, 5 heaviest keys within 12 cells down and across, temperature 0.1"
    )
    assert nlviz.Protocol(1, None, 1).numbers == "1 frame of context, 1 heaviest key anywhere"
    for decision in DECISIONS:
        assert nlviz.Protocol(decision=decision).words.count(". ") >= 4
    with pytest.raises(nlviz.QueryError, match="temperature must be above 0; got 0"):
        nlviz.Protocol(temperature=0)
    with pytest.raises(nlviz.QueryError, match="'best' is unknown; choose one of half, most"):
        nlviz.Protocol(decision="best")


def test_objects_that_cannot_be_carried_are_told():
    analysis, masks = make.analysis(), two_squares()
    masks[1] = False
    with pytest.raises(nlviz.QueryError, match="mask of object 'b' has nothing on the object"):
        track_objects(analysis, "fine", masks, names=("a", "b"))
    with pytest.raises(nlviz.QueryError, match="2 masks need as many names; got 1"):
        track_objects(analysis, "fine", masks, names=("a",))


def test_labels_of_many_objects_are_taken_in_few_cells_at_a_time(monkeypatch):
    analysis, chunked, steps = make.analysis(), carrying._chunked, []
    masks = np.repeat(two_squares(), 40, axis=0)
    before = track_objects(analysis, "fine", masks)

    def seen(count, step):
        steps.append(step)
        return chunked(count, step)

    monkeypatch.setattr(carrying, "_chunked", seen)
    monkeypatch.setattr(carrying, "_CHUNK_BYTES", 4 * 10 * 80 * 5)  # five cells' labels
    after = track_objects(analysis, "fine", masks)
    assert set(steps) == {5}
    np.testing.assert_allclose(after.labels, before.labels, atol=1e-6)


def test_more_objects_than_are_carried_together_are_refused(monkeypatch):
    analysis, masks = make.analysis(), two_squares()
    monkeypatch.setattr(propagation, "_MOST", 4 * 2 * 48 * 64)
    track_objects(analysis, "fine", masks)
    three = np.concatenate([masks, masks[:1]])
    with pytest.raises(nlviz.BudgetError, match=r"3 objects of 64×48 pixels .* at most 2 fit"):
        track_objects(analysis, "fine", three)
    monkeypatch.setattr(propagation, "_MOST", 1)
    track_objects(analysis, "fine", masks[:1])
