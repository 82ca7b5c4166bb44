"""Pixels to cells and back."""

from __future__ import annotations

import itertools

import pytest

from nlviz import Cell, Grid, Point, QueryError, View

EVEN = View(source=(640, 480), input=(320, 240), frames=(0, 10, 20, 30))
# Sides of 16·m + 1 with cells centred on pixels 0, 16, 32, … as the bundled network has them.
CENTRED = View(source=(854, 480), input=(641, 353), frames=(0, 3, 9))
STRIDE_16 = Grid(3, 23, 41, stride=(1, 16, 16), first=(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("view", "grid"),
    [
        (EVEN, Grid(4, 15, 20)),
        (EVEN, Grid(2, 7, 9)),
        (CENTRED, STRIDE_16),
        (CENTRED, STRIDE_16.pooled((3, 11, 20))),
        (View((1, 1), (33, 33), (0,)), Grid(1, 3, 3, (1, 16, 16), (0.5, 0.5, 0.5))),
    ],
)
def test_the_centre_of_every_cell_inside_the_frame_maps_back_to_it(view, grid):
    width, height = view.source
    for index in range(grid.size):
        cell = grid.cell(index)
        point = view.point(cell, grid)
        if 0 < point.x < width - 1e-9 and 0 < point.y < height - 1e-9:
            assert view.cell(point, grid) == cell


@pytest.mark.parametrize(("view", "grid"), [(EVEN, Grid(4, 15, 20)), (CENTRED, STRIDE_16)])
def test_every_pixel_lies_in_the_footprint_of_its_cell(view, grid):
    width, height = view.source
    for x, y in itertools.product((0, 1, 37.5, width / 2, width - 0.01), (0, 99, height - 0.01)):
        for frame in view.frames:
            box = view.footprint(view.cell(Point(frame, x, y), grid), grid)
            assert box.x0 <= x <= box.x1
            assert box.y0 <= y <= box.y1
            assert frame in box.frames


def test_footprints_of_an_even_grid_tile_the_frame():
    grid = Grid(4, 15, 20)
    boxes = [EVEN.footprint(grid.cell(i), grid) for i in range(grid.size)]
    assert sum((b.x1 - b.x0) * (b.y1 - b.y0) for b in boxes) == pytest.approx(4 * 640 * 480)


def test_a_step_in_time_covers_the_frames_of_its_stride():
    grid = Grid(2, 1, 1)
    assert EVEN.footprint(Cell(1, 0, 0), grid).frames == (20, 30)
    assert EVEN.point(Cell(1, 0, 0), grid).frame == 20
    assert EVEN.cell(Point(30, 0, 0), grid).t == 1


def test_more_steps_than_frames_stand_for_the_nearest_frame():
    grid = Grid(8, 1, 1)
    covered = [EVEN.footprint(Cell(t, 0, 0), grid).frames for t in range(8)]
    assert {frame for frames in covered for frame in frames} == {0, 10, 20, 30}
    assert all(len(frames) == 1 for frames in covered)


def test_a_pooled_cell_sits_in_the_middle_of_its_window():
    pooled = STRIDE_16.pooled((3, 11, 20))
    assert pooled.stride == (1, 32, 32)
    assert pooled.first == (0.5, 8.5, 8.5)
    assert Grid(3, 4, 4).pooled((3, 2, 2)) == Grid(3, 2, 2)


@pytest.mark.parametrize(
    ("cells", "keys", "stride", "first"),
    [(22, 11, 32, 16), (23, 11, 32, 16), (3, 1, 32, 16), (5, 3, 32, 16), (7, 2, 48, 24)],
)
def test_pooling_windows_are_those_that_the_counts_tell(cells, keys, stride, first):
    grid = Grid(1, cells, 1, stride=(1, 16, 16), first=(0.5, 8, 8)).pooled((1, keys, 1))
    assert (grid.stride[1], grid.first[1]) == (stride, first)


def test_index_and_cell_are_inverse():
    grid = Grid(2, 3, 4)
    assert [grid.index(grid.cell(i)) for i in range(grid.size)] == list(range(24))


@pytest.mark.parametrize("point", [Point(0, -1, 5), Point(0, 640, 5), Point(0, 5, 480)])
def test_a_point_outside_the_frame_is_refused_with_the_range(point):
    with pytest.raises(QueryError, match=r"outside the 640×480 frame.*0 to 639.*0 to 479"):
        EVEN.cell(point, Grid(4, 15, 20))


def test_a_frame_that_was_not_sampled_is_refused_with_those_that_were():
    with pytest.raises(QueryError, match="Frame 5 was not sampled; choose one of 0, 10, 20, 30"):
        EVEN.cell(Point(5, 1, 1), Grid(4, 15, 20))


@pytest.mark.parametrize(
    ("frame", "sentence"),
    [
        (31, "the nearest ones are 30 and 32, or sample"),
        (-1, "the nearest one is 0, or sample"),
        (99, "the nearest one is 62, or sample"),
    ],
)
def test_of_many_frames_the_nearest_are_named(frame, sentence):
    many = View((640, 480), (640, 480), tuple(range(0, 64, 2)))
    with pytest.raises(QueryError, match=f"Frame {frame} was not sampled; {sentence}"):
        many.check(Point(frame, 1, 1))


def test_a_position_that_is_not_a_number_is_refused():
    with pytest.raises(QueryError):
        EVEN.cell(Point(0, float("nan"), 1), Grid(4, 15, 20))
