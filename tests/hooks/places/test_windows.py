"""A window lies where what it has of its own lies, however the axis was padded for it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.errors import CaptureError
from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Following, Places
from tests.support.places import followed

FRAMES, HEIGHT, WIDTH = 8, 16, 24


def clip() -> torch.Tensor:
    """(1, 3, frames, H, W) whose channels are frame, y and x of each pixel's centre."""
    axes = (torch.arange(n) + 0.5 for n in (FRAMES, HEIGHT, WIDTH))
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]


def kinds_and_centres(way, x):
    """(kind, centre) of each element of what ``way`` makes, channels left out."""
    coordinates, core, out = followed(way, x)
    core = core.select(1, 0) if out.ndim > 3 else core
    return coordinates.kind(core), coordinates.centre(core), core


def kernel(*size: int) -> torch.Tensor:
    return torch.ones(3, 3, *size)


def in_front(x: torch.Tensor, n: int, how: str) -> torch.Tensor:
    """The clip with n frames before its first."""
    if how == "zeros":
        return F.pad(x, (0, 0, 0, 0, n, 0))
    if how == "zeros put before":
        return torch.cat([x.new_zeros(*x.shape[:2], n, *x.shape[3:]), x], 2)
    if how == "first frame repeated":
        return torch.cat([x[:, :, :1]] * n + [x], 2)
    if how == "first frame expanded":
        return torch.cat([x[:, :, :1].expand(-1, -1, n, -1, -1), x], 2)
    return F.pad(x, (0, 0, 0, 0, n, 0), mode=how)


HOWS = (
    *("zeros", "zeros put before", "first frame repeated", "first frame expanded"),
    *("replicate", "reflect", "circular"),
)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("size", [2, 3, 5])
def test_step_t_of_a_causal_convolution_stays_step_t(size, how):
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(in_front(x, size - 1, how), kernel(size, 1, 1)), clip()
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 0, 1].tolist() == [t + 0.5 for t in range(FRAMES)]


@pytest.mark.parametrize("how", HOWS)
def test_a_dilated_causal_convolution_and_one_after_the_other_move_nothing(how):
    def way(x):
        x = F.conv3d(in_front(x, 4, how), kernel(3, 1, 1), dilation=(2, 1, 1))
        x = F.conv3d(in_front(x, 2, how), kernel(3, 3, 3), padding=(0, 1, 1))
        return F.conv3d(in_front(x, 2, how), kernel(3, 3, 3), padding=(0, 1, 1))

    kind, centre, _ = kinds_and_centres(way, clip())
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 5, 7, 1].tolist() == [t + 0.5 for t in range(FRAMES)]
    assert centre[0, 3, :, 7, 2].tolist() == [y + 0.5 for y in range(HEIGHT)]


@pytest.mark.parametrize("how", ["zeros", "first frame repeated"])
def test_a_causal_step_of_two_frames_lies_on_the_two_that_are_new_to_it(how):
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(in_front(x[:, :, :7], 2, how), kernel(3, 1, 1), stride=(2, 1, 1)),
        clip(),
    )
    assert (kind == Kind.CELL).all()
    # Frame 0 alone, then 1 and 2, then 3 and 4: between them, and so evenly before.
    assert centre[0, :, 0, 0, 1].tolist() == [0, 2, 4, 6]


def test_one_frame_through_a_causal_convolution_is_that_frame():
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(in_front(x[:, :, :1], 2, "zeros"), kernel(3, 1, 1)), clip()
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 0, 1].tolist() == [0.5]


def test_masked_convolutions_of_pictures_look_up_and_left_and_stay():
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv2d(F.pad(x, (2, 0, 2, 0)), kernel(3, 3)), clip()[:, :, 0]
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 2].tolist() == [y + 0.5 for y in range(HEIGHT)]
    assert centre[0, 0, :, 3].tolist() == [x + 0.5 for x in range(WIDTH)]


@pytest.mark.parametrize("pads", [(0, 1, 0, 1), (1, 0, 1, 0)])
def test_a_convolution_that_halves_an_axis_padded_on_one_side_tiles_it(pads):
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv2d(F.pad(x, pads), kernel(3, 3), stride=2), clip()[:, :, 0]
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 2].tolist() == [2 * i + 1 for i in range(HEIGHT // 2)]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_an_even_kernel_that_keeps_the_size_keeps_the_places():
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv2d(x, kernel(4, 2), padding="same"), clip()[:, :, 0]
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 2].tolist() == [y + 0.5 for y in range(HEIGHT)]


@pytest.mark.parametrize(
    ("size", "stride", "padding"),
    [(1, 1, 0), (3, 1, 1), (7, 2, 3), (3, 2, 1), (4, 2, 1), (7, 4, 3), (4, 4, 0), (1, 2, 0),
     (2, 1, 1), (5, 3, 2), (3, 1, 0)],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_with_as_much_padding_on_both_sides_a_window_lies_at_its_middle(
    size, stride, padding, mode
):
    def way(x):
        if mode == "constant":
            return F.conv2d(x, kernel(size, size), stride=stride, padding=padding)
        x = F.pad(x, (padding,) * 4, mode=mode)
        return F.conv2d(x, kernel(size, size), stride=stride)

    kind, centre, _ = kinds_and_centres(way, clip()[:, :, 0])
    assert (kind == Kind.CELL).all()
    middle = -padding + (size - 1) / 2 + 0.5
    assert centre[0, :, 0, 2].tolist() == [middle + stride * i for i in range(centre.shape[1])]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_a_patch_that_is_partly_padding_is_a_cell(mode):
    x = clip()[:, :, 0, :13, :]  # one row of the last four is real

    def way(x):
        return F.conv2d(F.pad(x, (0, 0, 0, 3), mode=mode), kernel(4, 4), stride=4)

    kind, centre, _ = kinds_and_centres(way, x)
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 2].tolist() == [2, 6, 10, 14]


def by_a_linear_layer(x):
    x = F.pad(x, (0, 0, 0, 3)).reshape(1, 3, 4, 4, 6, 4)
    return F.linear(x.permute(0, 2, 4, 1, 3, 5).flatten(3), torch.ones(3, 48)).permute(0, 3, 1, 2)


def merged_by_fours(x):
    x = F.pad(x, (0, 0, 0, 3))
    parts = [x[:, :, i::4, j::4] for i in range(4) for j in range(4)]
    return F.conv2d(torch.cat(parts, 1), torch.ones(3, 48, 1, 1))


def unfolded(x):
    x = F.unfold(F.pad(x, (0, 0, 0, 3)), 4, stride=4)
    return F.linear(x.transpose(1, 2), torch.ones(3, 48)).transpose(1, 2).reshape(1, 3, 4, 6)


EDGES = {
    "a linear layer": by_a_linear_layer,
    "strided parts": merged_by_fours,
    "unfold": unfolded,
    "a pool": lambda x: F.avg_pool2d(x, 4, ceil_mode=True),
    "a pool of extremes": lambda x: F.max_pool2d(x, 4, ceil_mode=True),
    "a pool of powers": lambda x: F.lp_pool2d(x, 2, 4, ceil_mode=True),
}


@pytest.mark.parametrize("way", EDGES)
def test_a_patch_that_is_partly_real_is_a_cell_also_by(way):
    kind, centre, core = kinds_and_centres(EDGES[way], clip()[:, :, 0, :13, :])
    assert (kind == Kind.CELL).all()
    assert core.shape == (1, 4, 6)
    assert centre[0, :, 0, 2].tolist() == [2, 6, 10, 14]


def test_the_windows_of_an_unfold_with_padding_are_cells_at_their_middle():
    def way(x):
        x = F.unfold(x, 3, padding=1, stride=2)
        x = F.linear(x.transpose(1, 2), torch.ones(3, 27)).transpose(1, 2)
        return x.reshape(1, 3, HEIGHT // 2, WIDTH // 2)

    kind, centre, _ = kinds_and_centres(way, clip()[:, :, 0])
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 2].tolist() == [2 * i + 0.5 for i in range(HEIGHT // 2)]


def test_an_unfold_keeps_the_numbers_of_places_that_single_precision_cannot_hold():
    x = clip()[:, :, 0]
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = F.unfold(x, 4, stride=4)
    numbers = 2**24 + 1 + torch.arange(HEIGHT * WIDTH).reshape(1, 1, HEIGHT, WIDTH)
    (core,) = places.of(out).rule((numbers,)).cores
    assert core.unique().tolist() == numbers.flatten().tolist()
    assert core[0, :5, 0].tolist() == [2**24 + 1 + i for i in (0, 1, 2, 3, WIDTH)]


@pytest.mark.parametrize("mode", ["constant", "replicate", "circular"])
def test_padding_leaves_the_numbers_of_the_places_that_are_there(mode):
    x = clip()[:, :, 0]
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = F.pad(x, (2, 1, 3, 0), mode=mode)
    (before,), (after,) = (places.of(each).read().cores for each in (x, out))
    assert torch.equal(after[:, :, 3:, 2:-1], before)


def test_a_window_of_nothing_but_padding_stays_padding():
    kind, _, _ = kinds_and_centres(
        lambda x: F.conv2d(F.pad(x, (0, 9, 0, 5)), kernel(3, 3), padding=1), clip()[:, :, 0]
    )
    assert (kind[0, :HEIGHT, :WIDTH] == Kind.CELL).all()
    assert (kind[0, HEIGHT:] == Kind.PADDING).all()
    assert (kind[0, :, WIDTH:] == Kind.PADDING).all()


def test_frames_that_are_not_copies_of_the_first_are_not_taken_for_padding():
    def way(x):  # the last two frames first
        return F.conv3d(x.roll(2, 2), kernel(3, 1, 1))

    _, centre, core = kinds_and_centres(way, clip())
    assert core.shape[1] == FRAMES - 2
    assert centre[0, 2:, 0, 0, 1].tolist() == [t + 1.5 for t in range(FRAMES - 4)]


REPEATED = {  # way of a clip of 8 frames, the frames at the middle of each step of two
    "frames repeated": (
        lambda x: x[:, :, :2].repeat_interleave(4, 2), [0.5, 0.5, 1.5, 1.5]
    ),
    "frames repeated by an index": (
        lambda x: x[:, :, [0, 0, 1, 1, 2, 2]], [0.5, 1.5, 2.5]
    ),
    "two frames, each twice": (lambda x: x[:, :, [0, 0, 1, 1]], [0.5, 1.5]),
    "the last frame held": (lambda x: x[:, :, [0, 1, 2, 3, 3, 3]], [1.0, 3.0, 3.5]),
    "a loop": (lambda x: torch.cat([x, x], 2), [1, 3, 5, 7, 1, 3, 5, 7]),
    "forth and back": (lambda x: torch.cat([x, x.flip(2)], 2), [1, 3, 5, 7, 7, 5, 3, 1]),
    "a frame that is no edge": (lambda x: x[:, :, [0, 1, 2, 3, 4, 1]], [1, 3, 3]),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_frames_that_stand_again_are_cells_and_no_padding(name):
    way, frames = REPEATED[name]
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(way(x), kernel(2, 4, 4), stride=(2, 4, 4)), clip()
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 0, 1].tolist() == frames
    model = Attends(lambda x: F.conv3d(way(x), kernel(2, 4, 4), stride=(2, 4, 4)))
    refused = len(set(frames)) < len(frames) or "held" in name
    told = pytest.raises(CaptureError, match=r"more than one query|several sizes")
    with told if refused else nullcontext():
        nlviz.capture(model, torch.rand(1, 3, FRAMES, HEIGHT, WIDTH))


def test_what_is_padded_to_whole_windows_of_an_attention_is_padding():
    def way(x):  # SwinIR's mirrored border, wider than the convolution behind it reaches
        return F.conv2d(F.pad(x, (0, 0, 0, 7), mode="reflect"), kernel(3, 3), padding=1)

    kind, centre, _ = kinds_and_centres(way, clip()[:, :, 0])
    assert (kind[0, :HEIGHT] == Kind.CELL).all()
    assert (kind[0, HEIGHT:] == Kind.PADDING).all()
    assert centre[0, :, 5, 2].tolist() == [y + 0.5 for y in range(HEIGHT + 7)]


RATES = [(11, 0.45), (19, 0.15), (13, 0.75), (8, 0.9), (16, 0.95), (16, 0.5), (12, 1 / 3)]


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize(("size", "rate"), RATES)
@pytest.mark.parametrize("way", ["scale", "size", "recomputed", "aten"])
def test_the_nearest_cell_is_the_one_that_is_read(size, rate, mode, way):
    new = int(size * rate)
    ways = {
        "scale": {"scale_factor": rate},
        "size": {"size": new},
        "recomputed": {"scale_factor": rate, "recompute_scale_factor": True},
    }
    exact = mode == "nearest-exact"
    aten = torch._C._nn._upsample_nearest_exact2d if exact else torch._C._nn.upsample_nearest2d

    def read(x):
        return (
            F.interpolate(x, **ways[way], mode=mode) if way in ways else aten(x, None, [rate] * 2)
        )

    axis = torch.arange(float(size)) + 0.5
    x = torch.stack(torch.meshgrid(torch.zeros(1), axis, axis, indexing="ij"))[None, :, 0]
    kind, centre, _ = kinds_and_centres(read, x)
    assert (kind == Kind.CELL).all()
    torch.testing.assert_close(centre[0, ..., 2:], read(x)[0, 1:].movedim(0, -1))


@pytest.mark.parametrize(("size", "rate"), [(8, 2.3), (7, 1.5), (8, 0.9), (11, 0.45)])
@pytest.mark.parametrize("told", [False, True])
def test_what_lies_between_cells_is_read_at_the_rate_that_was_given(size, rate, told):
    def read(x):
        if told:
            return torch._C._nn.upsample_bilinear2d(x, None, False, [rate, rate])
        return F.interpolate(x, scale_factor=rate, mode="bilinear")

    axis = torch.arange(float(size)) + 0.5
    x = torch.stack(torch.meshgrid(torch.zeros(1), axis, axis, indexing="ij"))[None, :, 0]
    kind, centre, _ = kinds_and_centres(read, x)
    assert (kind == Kind.CELL).all()
    inner = slice(2, -2)  # at the edge torch repeats what is there
    torch.testing.assert_close(
        centre[0, inner, inner, 2:], read(x)[0, 1:, inner, inner].movedim(0, -1)
    )


def behind(x: torch.Tensor, how: str) -> torch.Tensor:
    """One frame and three behind it."""
    if how == "zeros put behind":
        return torch.cat([x, x.new_zeros(*x.shape[:2], 3, *x.shape[3:])], 2)
    return F.pad(x, (0, 0, 0, 0, 0, 3), mode=how)


ALONE = {  # one frame that is made a tubelet of four: where that lies, and how far it reaches
    "zeros behind": (lambda x: behind(x, "constant"), 2.0, 4.0),
    "zeros put behind": (lambda x: behind(x, "zeros put behind"), 2.0, 4.0),
    "zeros in front": (lambda x: in_front(x, 3, "zeros"), -1.0, 4.0),
    "zeros put before": (lambda x: in_front(x, 3, "zeros put before"), -1.0, 4.0),
    "repeated behind": (lambda x: behind(x, "replicate"), 0.5, 1.0),
    "repeated in front": (lambda x: in_front(x, 3, "replicate"), 0.5, 1.0),
}


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("flat", [False, True])
def test_one_frame_that_is_padded_to_a_tubelet_is_its_cell(name, flat):
    way, frame, reach = ALONE[name]

    def tubelet(x):
        return F.conv3d(way(x[:, :, None] if flat else x), kernel(4, 4, 4), stride=4)

    x = clip()[:, :, 0] if flat else clip()[:, :, :1]
    layout = "BCHW" if flat else "BCTHW"
    places = Places(nn.Identity(), (x,), layout=layout)
    with torch.no_grad(), Following(places):
        out = tubelet(x)
    (core,) = places.of(out).read().cores
    assert (places.coordinates.kind(core) == Kind.CELL).all()
    centre, size = (
        get(core)[0, 0, 0] for get in (places.coordinates.centre, places.coordinates.size)
    )
    assert (centre[..., 1] == frame).all()
    assert (size[..., 1] == reach).all()
    assert centre[:, 0, 2].tolist() == [2, 6, 10, 14]
    seen = nlviz.capture(Attends(tubelet), torch.rand(x.shape), layout=layout)
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == (1, 4, 6)


def test_tubelets_of_every_third_frame_lie_between_their_frames():
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(x[:, :, ::2], kernel(2, 4, 4), stride=(2, 4, 4)), clip()
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 0, 1].tolist() == [1.5, 5.5]
    kind, centre, _ = kinds_and_centres(
        lambda x: F.conv3d(x[:, :, ::6], kernel(2, 4, 4), stride=(2, 4, 4)), clip()
    )
    assert (kind == Kind.CELL).all()
    assert centre[0, :, 0, 0, 1].tolist() == [3.5]


class Attends(nn.Module):
    """An attention over all that ``way`` makes of a clip."""

    def __init__(self, way) -> None:
        super().__init__()
        self.way = way
        self.theta, self.phi, self.g = (nn.Linear(3, 8) for _ in range(3))

    def forward(self, x):
        x = self.way(x).flatten(2).transpose(1, 2)
        weights = (self.theta(x) @ self.phi(x).transpose(1, 2) / 8**0.5).softmax(-1)
        return weights @ self.g(x)


SEEN = {  # (strides, first) of the queries' grid, None where it tiles the input
    "a causal convolution": (
        lambda x: F.conv3d(in_front(x, 2, "zeros"), kernel(3, 4, 4), stride=(1, 4, 4)),
        (8, 4, 6),
        None,
    ),
    "a causal convolution behind repeated frames": (
        lambda x: F.conv3d(
            in_front(x, 2, "first frame repeated"), kernel(3, 4, 4), stride=(1, 4, 4)
        ),
        (8, 4, 6),
        None,
    ),
    "causal steps of two frames": (
        lambda x: F.conv3d(in_front(x[:, :, :7], 2, "zeros"), kernel(3, 4, 4), stride=(2, 4, 4)),
        (4, 4, 6),
        ((2, 4, 4), (0, 2, 2)),
    ),
    "patches over the edge": (
        lambda x: F.avg_pool3d(x, (1, 5, 5), ceil_mode=True),
        (8, 4, 5),
        ((1, 5, 5), (0.5, 2.5, 2.5)),
    ),
    "tubelets of every second frame": (
        lambda x: F.conv3d(x[:, :, ::2], kernel(2, 4, 4), stride=(2, 4, 4)),
        (2, 4, 6),
        ((4, 4, 4), (1.5, 2, 2)),
    ),
}


@pytest.mark.parametrize("name", SEEN)
def test_the_cells_of_an_attention_behind(name):
    torch.manual_seed(0)
    way, shape, lies = SEEN[name]
    seen = nlviz.capture(Attends(way), torch.rand(1, 3, FRAMES, HEIGHT, WIDTH))
    assert not seen.refused
    (affinity,) = seen.affinities.values()
    grid = affinity.query_grid
    assert affinity.theta.shape[1] == grid.size
    assert grid.shape == shape
    assert lies == (None if grid.stride is None else (grid.stride, grid.first))
