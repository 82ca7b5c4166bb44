"""Label propagation against its statement, and J and F on shapes whose scores are known."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

import nlviz
from nlviz.tracking import carrying
from tests.support import make


def square(y, x, side, shape=(100, 120)):
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_region_similarity_is_intersection_over_union():
    assert nlviz.region_similarity(square(10, 10, 20), square(10, 10, 20)) == 1
    assert nlviz.region_similarity(square(10, 10, 20), square(10, 20, 20)) == pytest.approx(1 / 3)
    assert nlviz.region_similarity(square(10, 10, 20), square(50, 50, 20)) == 0
    nothing = np.zeros((100, 120), bool)
    assert nlviz.region_similarity(nothing, nothing) == 1
    assert nlviz.region_similarity(nothing, square(10, 10, 20)) == 0


def test_contour_accuracy_counts_contours_within_two_pixels_of_a_small_frame():
    assert math.ceil(0.008 * math.hypot(100, 120)) == 2
    truth = square(20, 20, 40)
    assert nlviz.contour_accuracy(truth, truth) == 1
    assert nlviz.contour_accuracy(square(22, 22, 40), truth) > 0.95
    assert nlviz.contour_accuracy(square(40, 70, 40), square(10, 10, 20)) == 0
    moved = square(20, 30, 40)
    assert nlviz.contour_accuracy(moved, truth) == pytest.approx(plain_f(moved, truth))
    bent = moved | square(5, 35, 9)
    assert nlviz.contour_accuracy(bent, truth) == pytest.approx(plain_f(bent, truth))
    assert 0.3 < nlviz.contour_accuracy(bent, truth) < nlviz.contour_accuracy(moved, truth) < 0.7
    nothing = np.zeros((100, 120), bool)
    assert nlviz.contour_accuracy(nothing, nothing) == 1
    assert nlviz.contour_accuracy(nothing, truth) == 0
    assert nlviz.contour_accuracy(truth, nothing) == 0
    with pytest.raises(nlviz.QueryError, match="120×100 and 10×10 pixels cannot be compared"):
        nlviz.contour_accuracy(truth, np.zeros((10, 10), bool))


def plain_f(found, truth):
    """F from all pairs of contour pixels."""

    def contour(m):
        return [
            (y, x)
            for y in range(99)
            for x in range(119)
            if m[y, x] != m[y, x + 1] or m[y, x] != m[y + 1, x] or m[y, x] != m[y + 1, x + 1]
        ]

    ours, theirs = contour(found), contour(truth)
    p = np.mean([min(math.dist(a, b) for b in theirs) <= 2 for a in ours])
    r = np.mean([min(math.dist(a, b) for b in ours) <= 2 for a in theirs])
    return 2 * p * r / (p + r)


def by_hand(analysis, block, start, labels, protocol):
    """The labels of each step on the query grid, one cell and key at a time."""
    affinity, view = analysis.affinity(block), analysis.view
    queries, keys = affinity.query_grid, affinity.key_grid
    rows = affinity.matrix()[: queries.size, : keys.size].reshape(*queries.shape, *keys.shape)
    centre = lambda grid, t, r, c: view.point(nlviz.Cell(t, r, c), grid)  # noqa: E731
    window = queries.rows // keys.rows

    def pooled(step):
        return step.reshape(keys.rows, window, keys.cols, window).mean((1, 3))

    done = {start: labels}
    order = [*range(start + 1, queries.t), *range(start - 1, -1, -1)]
    for t in order:
        way = 1 if t > start else -1
        context = {start} | {t - way * n for n in range(1, protocol.context + 1)}
        context = [s for s in sorted(context) if min(start, t) <= s <= max(start, t) and s != t]
        out = np.zeros((queries.rows, queries.cols))
        for r in range(queries.rows):
            for c in range(queries.cols):
                here = centre(queries, t, r, c)
                found = []
                for s in context:
                    known = pooled(done[s])
                    for y in range(keys.rows):
                        for x in range(keys.cols):
                            there = centre(keys, s, y, x)
                            far = math.dist((here.x, here.y), (there.x, there.y)) / 80
                            if protocol.radius is None or far <= protocol.radius:
                                found.append((max(rows[t, r, c, s, y, x], 0), known[y, x]))
                found = sorted(found, reverse=True)[: protocol.heaviest]
                total = sum(weight for weight, _ in found)
                out[r, c] = sum(w * label for w, label in found) / total if total else 0
        done[t] = out
    return [done[t] for t in range(queries.t)]


@pytest.mark.parametrize("function", ["embedded_gaussian", "dot_product"])
@pytest.mark.parametrize(
    ("block", "first", "heaviest"), [("fine", 5, 3), ("coarse", 0, 3), ("special", 5, 40)]
)
def test_labels_are_carried_as_the_protocol_says(function, block, first, heaviest, monkeypatch):
    analysis = make.analysis(function, special=True)
    monkeypatch.setattr(carrying, "_CHUNK_BYTES", 4 * analysis.affinity(block).key_grid.size * 7)
    mask = np.zeros((48, 64), bool)
    mask[10:33, 20:44] = True
    protocol = nlviz.Protocol(context=1, radius=0.35, heaviest=heaviest)
    seen = nlviz.track(analysis, block, mask, frame=first, protocol=protocol)
    labels = mask.reshape(6, 8, 8, 8).mean((1, 3))
    expected = by_hand(analysis, block, first // 5, labels, protocol)
    np.testing.assert_allclose(seen.labels, expected, atol=1e-5)
    assert seen.masks.shape == (4, 48, 64)
    # Pixel (y, x) lies between the centres of the four nearest cells, at 8 · (cell + ½).
    y, x = 21, 34
    row, down = divmod((y + 0.5) / 8 - 0.5, 1)
    col, right = divmod((x + 0.5) / 8 - 0.5, 1)
    four = seen.labels[:, int(row) : int(row) + 2, int(col) : int(col) + 2]
    between = np.einsum("tij,i,j->t", four, [1 - down, down], [1 - right, right])
    np.testing.assert_allclose(seen.masks[:, y, x], between, atol=0.02)  # OpenCV counts 32nds


def test_a_block_that_looks_at_the_same_place_carries_a_still_mask():
    analysis = make.analysis()
    grid = analysis.affinity("fine").query_grid
    places = np.tile(np.eye(48, dtype=np.float32) * 9, 4)
    still = nlviz.Affinity("gaussian", places, places, grid, grid)
    analysis = replace(analysis, affinities={"fine": still})
    mask = nlviz.mask_of(analysis, "fine", nlviz.Region.box(0, 16, 8, 48, 40))
    assert mask.sum() == 32 * 32
    seen = nlviz.track(analysis, "fine", mask)
    for found in seen.masks:
        assert nlviz.region_similarity(found > 0.5, mask) > 0.9
    point = nlviz.mask_of(analysis, "fine", nlviz.Point(0, 20, 20))
    np.testing.assert_array_equal(point, square(16, 16, 8, (48, 64)))


def test_what_cannot_be_tracked_is_told():
    analysis = make.analysis()
    mask = np.ones((48, 64), bool)
    with pytest.raises(nlviz.QueryError, match="mask is 10×10 pixels, the clip 64×48"):
        nlviz.track(analysis, "fine", np.ones((10, 10), bool))
    with pytest.raises(nlviz.QueryError, match="nothing on the object"):
        nlviz.track(analysis, "fine", ~mask)
    with pytest.raises(nlviz.QueryError, match="time steps of queries and of keys: 1 and 1"):
        nlviz.track(make.analysis(frames=1), "fine", mask)
    with pytest.raises(nlviz.QueryError, match="at least 1 frame of context"):
        nlviz.Protocol(context=0)
    affinity = analysis.affinity("fine")
    step = np.arange(affinity.query_grid.size) // 48
    alone = replace(affinity, reach=(nlviz.Groups(step, step),))
    with pytest.raises(nlviz.QueryError, match="within one frame only and can carry nothing"):
        nlviz.track(replace(analysis, affinities={"fine": alone}), "fine", mask)


def test_a_block_that_asks_on_a_part_of_the_clip_cannot_track():
    analysis, mask = make.partial(), np.ones((48, 64), bool)
    with pytest.raises(nlviz.QueryError, match=r"'memory' has queries at 48 of its 192 cells"):
        nlviz.track(analysis, "memory", mask)
    affinity = analysis.affinity("memory")
    (groups,) = affinity.reach
    everywhere = replace(affinity, reach=(nlviz.Groups(0 * groups.query, groups.key),))
    with pytest.raises(nlviz.QueryError, match=r"has keys at 36 of its 48 cells.*choose another"):
        nlviz.track(replace(analysis, affinities={"memory": everywhere}), "memory", mask)


@pytest.fixture
def masks(tmp_path):
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), square(8, 4 * i, 20, (48, 64)) * np.uint8(255))
    return tmp_path


def test_masks_are_read_for_the_sampled_frames(masks):
    clip = make.clip(frames=4)  # every fifth frame of twenty
    read = nlviz.read_masks(masks, clip)
    np.testing.assert_array_equal(read[3], square(8, 12, 20, (48, 64)))
    every_other = replace(clip, indices=(0, 2), frames=clip.frames[:2], timestamps=(0, 1), total=4)
    read = nlviz.read_masks(masks, every_other)
    np.testing.assert_array_equal(read[1], square(8, 8, 20, (48, 64)))
    np.testing.assert_array_equal(
        nlviz.read_mask(masks / "1.png", clip), square(8, 4, 20, (48, 64))
    )


def test_masks_of_another_size_or_length_are_refused(masks):
    with pytest.raises(nlviz.MediaError, match="has 4 masks, but the clip has 15 frames"):
        nlviz.read_masks(masks, make.clip(frames=3))
    with pytest.raises(nlviz.MediaError, match=r"is 64×48 pixels, the clip 32×48"):
        nlviz.read_masks(masks, make.clip(frames=4, width=32))
    with pytest.raises(nlviz.MediaError, match="is 64×48 pixels, the clip 32×48"):
        nlviz.read_mask(masks / "0.png", make.clip(width=32))
    with pytest.raises(nlviz.MediaError, match="is not a folder"):
        nlviz.read_masks(masks / "0.png", make.clip())


class Enough(Exception):
    """Stop was pressed."""


@pytest.mark.parametrize(("follow", "of"), [(nlviz.track, "mask"), (nlviz.track_points, "point")])
def test_stop_is_heard_while_the_constants_of_all_rows_are_worked_out(follow, of, monkeypatch):
    monkeypatch.setattr("nlviz.affinity._CHUNK_BYTES", 1000)
    analysis, told = make.analysis(), []

    def stopping(fraction, word):
        told.append(fraction)
        if len(told) == 4:
            assert word == "adding up the rows of the block"
            raise Enough

    point = nlviz.Point(0, 20, 20)
    given = [point] if of == "point" else nlviz.mask_of(analysis, "fine", point)
    with pytest.raises(Enough):
        follow(analysis, "fine", given, progress=stopping)
    assert 0 == told[0] < told[1] < told[2] < told[3] < 0.2


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_masks_of_numbers_are_those_of_booleans_and_labels_are_refused(kind):
    analysis = make.analysis()
    truth = np.stack([nlviz.mask_of(analysis, "fine", nlviz.Region.box(0, 4, 4, 40, 36))] * 4)
    fine = analysis.affinity("fine")
    works = (
        lambda masks: nlviz.track(analysis, "fine", masks[0]).masks,
        lambda masks: nlviz.track_objects(analysis, "fine", masks[:1]).labels,
        lambda masks: nlviz.region_similarity(masks[0], truth[0]),
        lambda masks: nlviz.contour_accuracy(truth[0], masks[0]),
        lambda masks: nlviz.same_object(analysis, fine, masks).precision,
        lambda masks: [each.value for each in nlviz.scan(analysis, masks).scores],
        lambda masks: [each.value for each in nlviz.scan(analysis, masks, measure="JF").scores],
    )
    labels = truth.astype(kind)
    labels[:, 0, 0] = 2
    for work in works:
        np.testing.assert_array_equal(work(255 * truth.astype(kind)), work(truth))
        with pytest.raises(nlviz.QueryError, match="more numbers than 0 and one other: give mask"):
            work(labels)


def test_a_region_without_a_pixel_is_no_object():
    region = nlviz.Region.box(0, 20.1, 20.1, 20.3, 20.3)
    with pytest.raises(nlviz.QueryError, match="holds the centre of no pixel; draw it larger"):
        nlviz.mask_of(make.analysis(), "fine", region)
    assert nlviz.mask_of(make.analysis(), "fine", nlviz.Region.box(0, 20, 20, 21, 21)).sum() == 1


def test_a_point_has_its_pixel_however_small_its_cell_is():
    whole = make.analysis()
    small = make.clip(4, width=2, height=2)  # enlarged to the network's input: four cells a pixel
    view = nlviz.View((2, 2), whole.view.input, small.indices)
    mask = nlviz.mask_of(replace(whole, clip=small, view=view), "fine", nlviz.Point(0, 1.9, 0.1))
    np.testing.assert_array_equal(mask, [[False, True], [False, False]])
