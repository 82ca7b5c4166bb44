"""Operations before an attention: cells are where their values went, or the block is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

import nlviz
from nlviz.errors import CaptureError
from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.moves import narrowed
from tests.hooks.test_places import COLS, ROWS, patches, picture, tokens
from tests.support.places import followed

N = ROWS * COLS


def mirrored(cells):
    return torch.arange(cells.shape[1]).flip(0)


def each(cells):
    return mirrored(cells)[None, :, None].expand(cells.shape)


def scattered(x):
    cells = tokens(x)
    return torch.zeros_like(cells).scatter_(1, each(cells), cells)


def index_copied(x):
    cells = tokens(x)
    return torch.zeros_like(cells).index_copy_(1, mirrored(cells), cells)


def index_put(x):
    cells = tokens(x)
    out = torch.zeros_like(cells)
    element, slot = torch.meshgrid(torch.arange(cells.shape[0]), mirrored(cells), indexing="ij")
    return out.index_put_((element, slot), cells)


def masked_scattered(x):
    cells = tokens(x)
    first = (torch.arange(N) < N // 2)[None, :, None]
    return cells.clone().masked_scatter_(first, cells[:, N // 2 :])


def turned_in_place(x):
    cells = tokens(x).clone()
    cells.unsqueeze_(0).squeeze_(0)
    cells.transpose_(1, 2)
    return cells.swapaxes_(2, 1)


def written_out(x):
    cells = tokens(x)
    out = torch.empty_like(cells)
    torch.cat([cells[:, N // 2 :], cells[:, : N // 2]], 1, out=out)
    return torch.mul(out, 1, out=cells.flip(1).clone())  # whatever it held before


def summed_to_rows(x):
    """Each row's mean, and beside the mean what it varies."""
    variance, mean = torch.var_mean(patches(x), (3,), keepdim=True)
    return (mean + 0 * variance).expand(-1, -1, -1, COLS)


def patch_expand(x):
    """Swin-UNet's: a linear layer's channels become rows and columns."""
    coarse = F.avg_pool2d(patches(x), 2).movedim(1, -1)
    b, h, w, c = coarse.shape
    made = F.linear(coarse, torch.eye(3).repeat(4, 1)).reshape(b, h, w, 2, 2, c)
    return made.permute(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c)


def unpatchified(x):
    """MAE's way back from patches to pixels, by an einsum."""
    cells = F.linear(tokens(x), torch.eye(3).repeat(4, 1)).reshape(-1, ROWS, COLS, 2, 2, 3)
    return torch.einsum("nhwpqc->nchpwq", cells).reshape(-1, 3, 2 * ROWS, 2 * COLS)


WAYS = {
    "scatter_": scattered,
    "index_copy_": index_copied,
    "index_put_": index_put,
    "masked_scatter_": masked_scattered,
    "turned in place": turned_in_place,
    "out=": written_out,
    "vstack": lambda x: torch.vstack([t[None] for t in tokens(x).flip(1)]),
    "hstack": lambda x: torch.hstack(tokens(x).tensor_split(3, 1)[::-1]),
    "dstack": lambda x: torch.dstack([patches(x)[:, :, 4:], patches(x)[:, :, :4]]),
    "vsplit": lambda x: torch.cat(patches(x).vsplit(x.shape[0])[::-1]),
    "tensordot": lambda x: torch.tensordot(patches(x), torch.eye(3), ([1], [0])),
    "channel_shuffle": lambda x: F.channel_shuffle(patches(x).repeat(1, 2, 1, 1), 2)[:, ::2],
    "lp_pool2d": lambda x: F.avg_pool2d(patches(x), 2) + 0 * F.lp_pool2d(patches(x), 1, 2),
    "topk": lambda x: torch.cat([tokens(x).topk(N, 1).values, tokens(x)], 1)[:, N:],
    "view_as": lambda x: tokens(x).flip(1).view_as(tokens(x)),
    "atleast_3d": lambda x: torch.atleast_3d(tokens(x)),
    "diagonal": lambda x: patches(x)[:, :, :, :ROWS].diagonal(0, 2, 3).transpose(1, 2),
    "shifted by fft's shift": lambda x: torch.fft.fftshift(patches(x), (2, 3)),
    "pad_sequence": lambda x: nn.utils.rnn.pad_sequence([*tokens(x)], batch_first=True),
    "pad_sequence, second axis": lambda x: nn.utils.rnn.pad_sequence([*tokens(x)]),
    "max_pool2d with indices": lambda x: F.max_pool2d(patches(x), 1, return_indices=True)[0],
    "adaptive_max_pool2d with indices": lambda x: F.adaptive_max_pool2d(
        patches(x), (ROWS, COLS), return_indices=True
    )[0],
    "new_tensor of a number": lambda x: tokens(x) * x.new_tensor(1.0),
    "new of a number": lambda x: tokens(x) * x.new([1.0]),
    "new_tensor of the input": lambda x: _changed(
        x, lambda cells: cells.copy_(cells.new_tensor(cells))
    ),
    "randint_like": lambda x: tokens(x) + 0 * torch.randint_like(tokens(x), 3),
    "new_empty_strided": lambda x: tokens(x) + x.new_empty_strided((1,), (1,)).zero_(),
    "x.data =": lambda x: _data(tokens(x)),
}  # fmt: skip


@pytest.mark.parametrize("side", ["left", "right"])
def test_sequences_of_several_lengths_are_padded_where_they_end(side):
    def way(x):
        first, second = tokens(x)[:2]
        return nn.utils.rnn.pad_sequence([first, second[:9]], batch_first=True, padding_side=side)

    coordinates, core, _ = followed(way, picture(2))
    padding = coordinates.kind(core[..., 0]) == Kind.PADDING
    assert not padding[0].any()
    assert padding[1].nonzero()[:, 0].tolist() == [
        *(range(N)[9:] if side == "right" else range(N - 9))
    ]
    assert (coordinates.centre(core[..., 0])[1][~padding[1]][:, 0] == 1).all()


@pytest.mark.parametrize("other", [torch.rand(3), torch.rand(1, N, 3), None])
def test_a_likeness_lies_where_what_is_compared_does(other):
    def way(x):
        return F.cosine_similarity(tokens(x), tokens(x) * 2 if other is None else other, dim=-1)

    coordinates, core, out = followed(way, picture())
    assert core.shape == out.shape
    assert (coordinates.kind(core) == Kind.CELL).all()
    torch.testing.assert_close(
        coordinates.centre(core)[0, :, 2:], tokens(picture())[0, :, :2], atol=1e-2, rtol=0
    )


def _data(cells):
    out = torch.zeros_like(cells)
    out.data = cells.flip(1)
    return out


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_place_is_where_its_values_went(way, frames):
    coordinates, core, out = followed(WAYS[way], picture(frames))
    for axis in range(core.ndim):
        core = narrowed(core, axis)
    channels = next(i for i, n in enumerate(out.shape) if n == 3 and core.shape[i] == 1)
    values = out.movedim(channels, -1)
    core = core.movedim(channels, -1)[..., 0].expand(values.shape[:-1])
    assert (coordinates.kind(core) == Kind.CELL).all()
    centre = coordinates.centre(core)
    torch.testing.assert_close(centre[..., 2:], values[..., :2], atol=1e-2, rtol=0)
    torch.testing.assert_close(centre[..., 0], values[..., 2], atol=1e-3, rtol=0)


@pytest.mark.parametrize("way", [patch_expand, unpatchified])
def test_channels_that_become_rows_and_columns_lie_inside_their_cell(way):
    coordinates, core, out = followed(way, picture())
    axis = out.shape.index(3)
    centre = coordinates.centre(core.select(axis, 0))[0]
    coarse = out.select(0, 0).movedim(axis - 1, -1)
    off = centre[..., 2:] - coarse[..., :2]
    size = coordinates.size(core.select(axis, 0))[0, 0, 0, 2:]
    assert (off.abs() == size / 2).all()
    assert (centre[1:, :, 2] - centre[:-1, :, 2] == size[0]).all()
    assert (centre[:, 1:, 3] - centre[:, :-1, 3] == size[1]).all()


def test_heads_and_copies_are_no_small_cells():
    def way(x):
        cells = patches(x).movedim(1, -1)  # (frames, rows, cols, 3)
        heads = cells.unsqueeze(1).expand(-1, 2, -1, -1, -1).flatten(0, 1)
        return heads.reshape(-1, 2, ROWS, COLS, 3)[:, 0]

    coordinates, core, out = followed(way, picture(2))
    centre = coordinates.centre(core[..., 0])
    torch.testing.assert_close(centre[..., 2:], out[..., :2], atol=1e-2, rtol=0)


def shifted_in_time(x, part):
    """TSM's shift: a part of the channels from the frame after, a part from the one before."""
    frames, channels = x.shape[0], x.shape[1]
    fold = int(channels * part)
    out = torch.zeros_like(x)
    out[: frames - 1, :fold] = x[1:, :fold]
    out[1:, fold : 2 * fold] = x[:-1, fold : 2 * fold]
    out[:, 2 * fold :] = x[:, 2 * fold :]
    return out


class Attends(nn.Module):
    """An attention over all that ``way`` makes of frames (T, 3, H, W), put into channels."""

    def __init__(self, way, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, stride=4)
        self.way = way
        self.theta, self.phi, self.g = (nn.LazyLinear(8) for _ in range(3))

    def forward(self, x):
        x = self.way(self.stem(x))
        x = x.movedim(1, -1).flatten(0, 2)[None] if x.ndim == 4 else x
        weights = (self.theta(x) @ self.phi(x).transpose(-2, -1) / 8**0.5).softmax(-1)
        return weights @ self.g(x)


def captured(way, *, frames: int = 3):
    torch.manual_seed(0)
    model, x = Attends(way), torch.rand(frames, 3, 16, 24)
    with torch.no_grad():
        model(x)  # its lazy layers take their sizes
    return nlviz.capture(model, x, sample=None)


def test_channels_shifted_in_time_lie_where_most_of_them_come_from():
    seen = captured(lambda x: shifted_in_time(x, 1 / 8))
    assert not seen.refused
    (affinity,) = seen.affinities.values()
    assert affinity.query_grid.shape == (3, 4, 6)
    assert affinity.query_grid.stride is None


def test_channels_of_which_no_cell_has_most_are_refused():
    with pytest.raises(CaptureError, match="cells of several sizes"):
        captured(lambda x: shifted_in_time(x, 1 / 2))


def shuffle(x):
    """An operation that torch does not have."""
    if has_torch_function_unary(x):
        return handle_torch_function(shuffle, (x,), x)
    return x.flip(2)


class Weighed(nn.Module):
    """Linear layers and convolutions whose weights are worked out, as by LoRA or weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.small = nn.Parameter(torch.eye(3)), nn.Parameter(torch.zeros(3, 1))
        self.gain, self.position = nn.Parameter(torch.ones(3)), torch.zeros(1, 3, ROWS, COLS)

    def forward(self, x):
        weight = self.weight + self.small @ self.small.T
        cells = F.linear(tokens(x), weight).transpose(1, 2).unflatten(2, (ROWS, COLS))
        cells = cells + F.conv2d(self.position, weight[:, :, None, None])
        cells = cells + F.conv2d(self.position, self.weight[:, :, None, None])
        norm = F.layer_norm(self.position.movedim(1, -1), (3,), self.gain * 1, self.gain)
        return cells + 0 * norm.movedim(-1, 1) + 0 * F.linear(norm, weight).movedim(-1, 1)


def test_weights_that_are_worked_out_have_no_places():
    module, x = Weighed(), picture()
    coordinates, core, _ = followed(module, x, module)
    centre = coordinates.centre(core[0, 0])
    torch.testing.assert_close(centre[..., 2:], patches(x)[0, :2].movedim(0, -1))


class Worked(nn.Module):
    """Two halves of the cells, each multiplied by a matrix that is worked out of learned ones."""

    def __init__(self, way) -> None:
        super().__init__()
        self.way, self.weight = way, nn.Parameter(torch.eye(3))

    def forward(self, x):
        parts = [self.way(each, self.weight) for each in tokens(x).tensor_split(2, 1)]
        out = torch.zeros_like(tokens(x))
        out[:, : N // 2] = parts[0]
        return out * 0 + torch.cat(parts, 1)


MULTIPLIED = {
    "matmul": lambda x, w: x @ w.t(),
    "matmul, of a memory": lambda x, w: x + 0 * (torch.ones(3, 3) @ w.t())[None, :1],
    "einsum": lambda x, w: torch.einsum("bnc,dc->bnd", x, w * 1),
    "addmm": lambda x, w: torch.addmm(torch.zeros(3), x[0], w.t())[None],
    "tensordot": lambda x, w: torch.tensordot(x, w * 1, ([2], [0])),
    "linear": lambda x, w: F.linear(x, w / w.norm() * 3**0.5),
}


@pytest.mark.parametrize("name", MULTIPLIED)
def test_a_learned_matrix_makes_no_product_of_places(name):
    module, x = Worked(MULTIPLIED[name]), picture()
    coordinates, core, _ = followed(module, x, module)
    centre = coordinates.centre(core[0, :, 0])[:, 2:]
    torch.testing.assert_close(centre, tokens(x)[0, :, :2], atol=1e-2, rtol=0)


REFUSED = {
    "an operation that torch does not have": (shuffle, "shuffle"),
    "a running sum along the rows": (lambda x: x.cumsum(2), "cumsum"),
    "fold": (
        lambda x: F.fold(F.unfold(x, 3, padding=1), (4, 6), 3, padding=1), "fold"
    ),
    "grid_sample": (
        lambda x: F.grid_sample(x, torch.zeros(3, 4, 6, 2), align_corners=False), "grid_sample"
    ),
    "scatter_add": (
        lambda x: torch.zeros_like(x).scatter_add(2, torch.zeros_like(x).long(), x), "scatter_add"
    ),
    "index_put that adds up": (
        lambda x: torch.zeros_like(x).index_put_((torch.tensor([0, 1, 1]),), x, True), "index_put"
    ),
    "weights made of the input": (
        lambda x: F.conv2d(torch.ones(1, 4, 6, 9), x.reshape(12, 4, 4, 6), padding=(1, 1)),
        "conv2d with weights from the input",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_followed_is_refused_by_name(name):
    way, named = REFUSED[name]
    with pytest.raises(CaptureError, match=f"nlviz cannot follow '{named}"):
        captured(way)


def test_what_was_filled_has_no_place_and_the_rest_keeps_its_own():
    def way(x):
        cells = tokens(x).clone()
        cells[:, :5].zero_()
        cells[:, 5:7].fill_(3)
        return cells

    coordinates, core, _ = followed(way, picture())
    kind = coordinates.kind(core[0, :, 0])
    assert (kind[:7] == Kind.NOTHING).all()
    assert (kind[7:] == Kind.CELL).all()


MEMORY = torch.rand(1, N, 3)

OVERWRITTEN = {  # the first five slots are a memory's, of which the input knows nothing
    "[:] =": lambda x: _changed(x, lambda cells: cells.__setitem__(slice(0, 5), MEMORY[0, :5])),
    "copy_ into a part": lambda x: _changed(x, lambda cells: cells[:5].copy_(MEMORY[0, :5])),
    "index_copy_": lambda x: _changed(
        x, lambda cells: cells.index_copy_(0, torch.arange(5), MEMORY[0, :5])
    ),
    "index_put_": lambda x: _changed(
        x, lambda cells: cells.index_put_((torch.arange(5),), MEMORY[0, :5])
    ),
    "scatter_": lambda x: _changed(
        x, lambda cells: cells.scatter_(0, torch.arange(5)[:, None].expand(5, 3), MEMORY[0])
    ),
    "masked_scatter_": lambda x: _changed(
        x, lambda cells: cells.masked_scatter_(torch.arange(N)[:, None] < 5, MEMORY[0])
    ),
    "slice_scatter": lambda x: tokens(x)[0].slice_scatter(MEMORY[0, :5], 0, 0, 5)[None],
    "copy_ of another type": lambda x: _changed(
        x, lambda cells: cells[:5].copy_(MEMORY[0, :5].half())
    ),
}  # fmt: skip


def _changed(x, change):
    cells = tokens(x).clone()
    change(cells[0])
    return cells


@pytest.mark.parametrize("way", OVERWRITTEN)
def test_what_a_memory_was_written_over_is_no_cell_any_more(way):
    coordinates, core, _ = followed(OVERWRITTEN[way], picture())
    kind = coordinates.kind(core.expand(1, N, 3)[0, :, 0])
    assert (kind[:5] == Kind.NOTHING).all()
    assert (kind[5:] == Kind.CELL).all()


MASKED = {
    "a number": lambda cells: cells.__setitem__(slice(0, 5), 0),
    "one vector for all": lambda cells: cells.__setitem__(torch.arange(N) < 5, MEMORY[0, 0]),
    "one vector expanded": lambda cells: cells[:5].index_put_(
        (torch.arange(5),), MEMORY[0, :1].expand(5, 3)
    ),
}


@pytest.mark.parametrize("way", MASKED)
def test_a_masked_patch_still_lies_where_it_was(way):
    coordinates, core, _ = followed(lambda x: _changed(x, MASKED[way]), picture())
    centre = coordinates.centre(core[0, :, 0])[:, 2:]
    torch.testing.assert_close(centre, tokens(picture())[0, :, :2], atol=1e-2, rtol=0)


class Remembers(nn.Module):
    """Keys that a memory is written over, as the queries keep their places."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 16, 4, stride=4), first
        self.register_buffer("memory", torch.rand(1, N, 16))

    def forward(self, x):
        q = self.stem(x).flatten(2).transpose(1, 2)
        k = q.clone()
        if self.first < N:
            k[:, : self.first] = self.memory[:, : self.first]
        else:
            k.copy_(self.memory)
        return F.scaled_dot_product_attention(q[:, None], k[:, None], k[:, None])


def test_keys_that_a_memory_was_written_over_are_constants_beside_the_others():
    torch.manual_seed(0)
    x = torch.rand(1, 3, ROWS * 4, COLS * 4)
    (affinity,) = nlviz.capture(Remembers(5), x).affinities.values()
    assert affinity.tokens == tuple(f"constant {i + 1}" for i in range(5))
    with pytest.raises(CaptureError, match="no place of the picture among its slots"):
        nlviz.capture(Remembers(N), x)


def test_a_matrix_from_the_left_mixes_the_rows():
    def way(x):  # x.__rmatmul__(weights)
        return torch.Tensor.__rmatmul__(tokens(x), torch.eye(N))

    coordinates, core, _ = followed(way, picture())
    assert len(core.unique()) == 1  # each is a sum over all
    assert coordinates.size(core).flatten()[2:].tolist() == [ROWS * 4, COLS * 4]
