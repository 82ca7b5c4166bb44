"""Places followed through operations lie where the very values of the input went.

The input's channels are its own rows, columns and frames, and the patches are means: whatever is
done to them, a slot that holds (y, x, frame) must be followed to (y, x, frame).
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nlviz.hooks.places.coordinates import Kind
from nlviz.hooks.places.follow import Following, Places
from nlviz.hooks.places.notes import Unknown

HEIGHT, WIDTH, PATCH = 32, 48, 4
ROWS, COLS = HEIGHT // PATCH, WIDTH // PATCH


def picture(frames: int = 1) -> torch.Tensor:
    """(frames, 3, H, W) whose channels are y, x and the frame's number."""
    y, x = torch.meshgrid(torch.arange(HEIGHT) + 0.5, torch.arange(WIDTH) + 0.5, indexing="ij")
    each = [torch.stack([y, x, torch.full_like(y, t)]) for t in range(frames)]
    return torch.stack(each)


def patches(x: torch.Tensor) -> torch.Tensor:
    """(frames, 3, rows, columns) the mean of each patch."""
    weight = torch.eye(3)[:, :, None, None].expand(3, 3, PATCH, PATCH) / PATCH**2
    return F.conv2d(x, weight, stride=PATCH)


def tokens(x: torch.Tensor) -> torch.Tensor:
    return patches(x).flatten(2).transpose(1, 2)


def windows(x: torch.Tensor) -> torch.Tensor:
    cut = patches(x).reshape(-1, 3, ROWS // 4, 4, COLS // 4, 4)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, 3)


def kept(x: torch.Tensor) -> torch.Tensor:
    cells = tokens(x)
    order = torch.rand(cells.shape[:2], generator=torch.Generator().manual_seed(0)).argsort(1)
    index = order[:, :20].unsqueeze(-1)
    return torch.gather(cells, 1, index.repeat(1, 1, 3))


def written(x: torch.Tensor) -> torch.Tensor:
    cells = patches(x)
    out = torch.zeros_like(cells)
    out[:, :, :4] = cells[:, :, 4:8]
    out[:, :, 4:] = cells[:, :, :4]
    return out


def added_in_place(x: torch.Tensor) -> torch.Tensor:
    cells = patches(x).flip(3).contiguous()
    cells += 0
    return cells.mul_(1)


def swapped_by_copies(x: torch.Tensor) -> torch.Tensor:
    cells = tokens(x)
    out = cells.clone()
    out[:, :48].copy_(cells[:, 48:])
    out[:, 48:].copy_(cells[:, :48])
    return out


def an_old_view(x: torch.Tensor) -> torch.Tensor:
    cells = tokens(x).clone()
    old = cells.view(*cells.shape)
    cells[:] = tokens(x).flip(1)
    return old


def padded_one_by_one(x: torch.Tensor) -> torch.Tensor:
    whole = torch.zeros(len(x), 3, HEIGHT + 8, WIDTH)
    for each, padded in zip(x, whole, strict=True):
        padded[:, :HEIGHT].copy_(each)
    return patches(whole)[:, :, :ROWS]


def put_out_into_parts(x: torch.Tensor) -> torch.Tensor:
    cells = tokens(x)
    out = torch.empty_like(cells)
    torch.add(cells[:, 48:], 0, out=out[:, :48])
    torch.mul(cells[:, :48], torch.ones(()), out=out[:, 48:])
    return out


WAYS = {
    "patches": patches,
    "tokens": tokens,
    "windows": windows,
    "shifted windows": lambda x: windows(x.roll((-8, -8), (2, 3))),
    "mirrored": lambda x: patches(x.flip(-1)),
    "mirrored by its overload": lambda x: patches(torch.ops.aten.flip.default(x, [-1])),
    "turned": lambda x: patches(x.rot90(1, (2, 3))),
    "cropped": lambda x: patches(x[..., 8:28, 4:40]),
    "kept patches": kept,
    "masked patches": lambda x: tokens(x)[torch.arange(x.shape[0] * ROWS * COLS).reshape(
        x.shape[0], -1) % 3 == 0],
    "every other row": lambda x: patches(x)[:, :, ::2],
    "halves exchanged": lambda x: torch.cat(patches(x).chunk(2, dim=3)[::-1], dim=3),
    "written into zeros": written,
    "neighbours added up": lambda x: (patches(x)[:, :, 1:] + patches(x)[:, :, :-1]) / 2,
    "frames added up one by one": lambda x: sum(patches(x).unbind(0)).unsqueeze(0) / len(x),
    "in place": added_in_place,
    "exchanged through views": swapped_by_copies,
    "seen by an older view": an_old_view,
    "padded one by one": padded_one_by_one,
    "put out into parts": put_out_into_parts,
    "pooled": lambda x: F.avg_pool2d(patches(x), 2),
    "pooled adaptively": lambda x: F.adaptive_avg_pool2d(patches(x), (4, 6)),
    "pooled and put back": lambda x: F.interpolate(
        F.avg_pool2d(x, 8), scale_factor=2, mode="bilinear"
    )[..., 1:-1, 1:-1],
    "rows as sequences": lambda x: patches(x).permute(0, 2, 3, 1).flatten(0, 1),
    "frames joined": lambda x: tokens(x).reshape(1, -1, 3),
    "heads": lambda x: tokens(x).unsqueeze(1).expand(-1, 2, -1, -1).flatten(0, 1),
    "unbound and stacked": lambda x: torch.stack(patches(x).unbind(2)[::-1], dim=2),
    "unfolded": lambda x: F.unfold(x, PATCH, stride=PATCH)
    .reshape(x.shape[0], 3, PATCH**2, -1).mean(2).transpose(1, 2),
    "patches by a linear layer": lambda x: F.linear(
        x.reshape(-1, 3, ROWS, PATCH, COLS, PATCH).permute(0, 2, 4, 1, 3, 5).flatten(3),
        torch.eye(3).repeat_interleave(PATCH**2, 1) / PATCH**2,
    ),
    "a fraction of einsum": lambda x: torch.einsum("bchw,cd->bwhd", patches(x), torch.eye(3)),
    "attention's own": lambda x: F.scaled_dot_product_attention(
        *[tokens(x).flip(1)[:, None]] * 2, tokens(x).flip(1)[:, None],
        torch.eye(ROWS * COLS).bool(),
    ),
    "repeated": lambda x: tokens(x).repeat(1, 2, 1),
    "sorted by itself": lambda x: torch.take_along_dim(
        tokens(x), tokens(x).sum(-1).argsort(1, descending=True)[..., None], dim=1
    ),
    "moved by a convolution": lambda x: F.conv2d(
        patches(x), torch.eye(3)[:, :, None, None] * F.pad(torch.ones(1, 1), (1, 1, 1, 1)),
        padding=1,
    ),
    "behind a norm's own shape": lambda x: patches(x).movedim(1, -1).unflatten(1, (2, -1)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("frames", [1, 3])
def test_a_place_is_followed_to_where_its_values_went(way, frames):
    x = picture(frames)
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = WAYS[way](x)
    known = places.of(out).read()
    assert not isinstance(known, Unknown), known
    (core,) = known.cores
    channels = next(i for i, n in enumerate(out.shape) if n == 3 and core.shape[i] == 1)
    values = out.movedim(channels, -1)
    core = core.movedim(channels, -1)[..., 0].expand(values.shape[:-1])
    assert (places.coordinates.kind(core) == Kind.CELL).all()
    centre = places.coordinates.centre(core)
    expected = values.float()
    torch.testing.assert_close(centre[..., 2:], expected[..., :2], atol=1e-2, rtol=0)
    torch.testing.assert_close(centre[..., 0], expected[..., 2], atol=1e-3, rtol=0)


LOST = {
    "a Fourier transform": (lambda x: torch.fft.fft2(tokens(x)).real, "fft_fft2"),
    "a sum with its own mirror image": (lambda x: patches(x) + patches(x).flip(3), "add"),
    "a running sum": (lambda x: tokens(x).cumsum(1), "cumsum"),
    "tokens that are merged by what they are": (
        lambda x: torch.zeros_like(tokens(x)).scatter_add(
            1, tokens(x).sum(-1, keepdim=True).argsort(1).repeat(1, 1, 3), tokens(x)
        ),
        "scatter_add",
    ),
}


@pytest.mark.parametrize("way", LOST)
def test_what_cannot_be_followed_is_lost_and_named(way):
    run, by = LOST[way]
    x = picture()
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = run(x) * 2
    known = places.of(out).read()
    assert isinstance(known, Unknown)
    assert by in known.by


def test_a_mean_over_everything_is_no_place_and_a_gate_of_it_moves_none():
    x = picture()
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        cells = patches(x)
        whole = cells.mean((2, 3), keepdim=True)
        gated = cells * whole.sigmoid()
    (core,) = places.of(gated).read().cores
    (plain,) = places.of(cells).read().cores
    assert (core == plain).all()
    (core,) = places.of(whole).read().cores
    assert places.coordinates.size(core).squeeze()[2:].tolist() == [HEIGHT, WIDTH]


def test_padding_around_a_picture_is_no_cell():
    x = picture()
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        out = patches(F.pad(x, (8, 8, 0, 4)))
    (core,) = places.of(out).read().cores
    kind = places.coordinates.kind(core)[0, 0]
    assert kind.shape == (ROWS + 1, COLS + 4)
    assert (kind[:ROWS, 2:-2] == Kind.CELL).all()
    assert (kind[ROWS] == Kind.PADDING).all()
    assert (kind[:, :2] == Kind.PADDING).all()
    centre = places.coordinates.centre(core)[0, 0, :ROWS, 2:-2, 2:]
    torch.testing.assert_close(centre, patches(x)[0, :2].movedim(0, -1), atol=1e-3, rtol=0)


def test_learned_vectors_are_told_apart_and_know_the_frame_they_were_put_beside():
    module = nn.Module()
    module.cls_token = nn.Parameter(torch.randn(1, 1, 3))
    module.pos_embed = nn.Parameter(torch.randn(1, 1 + ROWS * COLS, 3))
    x = picture(2)
    places = Places(module, (x,))
    with torch.no_grad(), Following(places):
        slots = torch.cat([module.cls_token.expand(2, -1, -1), tokens(x)], 1) + module.pos_embed
    (core,) = places.of(slots).read().cores
    kind = places.coordinates.kind(core)[..., 0]
    assert (kind[:, 0] == Kind.TOKEN).all()
    assert (kind[:, 1:] == Kind.CELL).all()
    numbers = places.coordinates.token(core[:, 0, 0]).long().tolist()
    first = ("cls_token", 0, 1 + ROWS * COLS)  # at the first of the positions
    assert [places.coordinates.tokens[i] for i in numbers] == [first] * 2
    assert places.coordinates.centre(core[:, 0, 0])[:, 0].tolist() == [0, 1]


def test_nothing_is_left_on_the_input_or_the_module():
    module, x = nn.Linear(3, 3), picture()
    before = set(vars(x)), set(vars(module))
    places = Places(module, (x,))
    with torch.no_grad(), Following(places):
        module(tokens(x))
    assert (set(vars(x)), set(vars(module))) == before


def test_an_index_or_mask_is_read_as_it_was_when_it_was_used():
    x = picture()
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        cells = tokens(x)
        mask = torch.zeros(ROWS * COLS, dtype=torch.bool)
        mask[:12] = True
        index = torch.arange(12)
        kept = cells[:, mask], cells[:, index], cells.index_select(1, index)
        mask.logical_not_()
        index.add_(5)
    for out in kept:
        (core,) = places.of(out).read().cores
        centre = places.coordinates.centre(core)[0, :, 0, 2:]
        torch.testing.assert_close(centre, out[0, :, :2], atol=1e-2, rtol=0)


def test_notes_hold_none_of_the_modules_tensors():
    import gc
    import weakref

    x = picture()
    places = Places(nn.Identity(), (x,))
    with torch.no_grad(), Following(places):
        cells = patches(x)
        middle = [cells.relu(), F.avg_pool2d(cells, 2), cells[:, :, ::2], F.pad(cells, (1, 1))]
        alive = [weakref.ref(each) for each in middle]
        out = torch.cat([each.flatten(2) for each in middle], 2)
        del middle
    gc.collect()
    assert not any(ref() is not None for ref in alive)
    assert not isinstance(places.of(out).read(), Unknown)
