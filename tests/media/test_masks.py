"""Masks as people have them: which pixels are the object, in any kind of picture."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import nlviz
from nlviz.media.masks import mask_pngs, object_pngs, read_objects
from tests.support import make

SIZE = (48, 64)
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, *[0] * 9, 64, 0, 0]  # VOC's


def box(top: int, left: int, height: int = 12, width: int = 16) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


ONE, OTHER, TINY = box(8, 6), box(28, 40), box(40, 2, 2, 2)


def clip(**given: int) -> nlviz.Clip:
    return make.clip(**given)


def saved(folder: Path, image: Image.Image, name: str = "mask.png", **options: object) -> Path:
    image.save(folder / name, **options)
    return folder / name


def grey(*levels: tuple[np.ndarray, int], kind: type = np.uint8) -> Image.Image:
    values = np.zeros(SIZE, kind)
    for where, level in levels:
        values[where] = level
    return Image.fromarray(values)


def palette(*levels: tuple[np.ndarray, int], colours: list[int] = PALETTE) -> Image.Image:
    image = grey(*levels)
    image.putpalette(colours)
    return image


def colours(
    *levels: tuple[np.ndarray, tuple[int, ...]], ground: tuple[int, ...] = (0, 0, 0)
) -> Image.Image:
    values = np.full((*SIZE, len(ground)), ground, np.uint8)
    for where, colour in levels:
        values[where] = colour
    return Image.fromarray(values)


CLEAR = (0, 0, 0, 0)
ONE_OBJECT = {
    "0 and 1": grey((ONE, 1)),
    "0 and 255": grey((ONE, 255)),
    "0 and a dark grey": grey((ONE, 38)),
    "black and white in one bit": grey((ONE, 255)).convert("1"),
    "16 bits, 0 and 1": grey((ONE, 1), kind=np.uint16),
    "16 bits, 0 and 255": grey((ONE, 255), kind=np.uint16),
    "16 bits, 0 and 65535": grey((ONE, 65535), kind=np.uint16),
    "palette, index 1": palette((ONE, 1)),
    "palette, index 8, dark red": palette((ONE, 8)),
    "palette without colours": palette((ONE, 1), colours=[0] * 6),
    "palette whose index 0 is the object": palette((~ONE, 1), colours=[255, 255, 255, 0, 0, 0]),
    "red on black": colours((ONE, (255, 0, 0))),
    "dark red on black": colours((ONE, (64, 0, 0))),
    "red on white": colours((ONE, (255, 0, 0)), ground=(255, 255, 255)),
    "red on nothing": colours((ONE, (255, 0, 0, 255)), ground=CLEAR),
    "black on nothing": colours((ONE, (0, 0, 0, 255)), ground=CLEAR),
    "white on clear white": colours((ONE, (255,) * 4), ground=(255, 255, 255, 0)),
    "half opaque red on nothing": colours((ONE, (255, 0, 0, 127)), ground=CLEAR),
    "white on opaque black": colours((ONE, (255,) * 4), ground=(0, 0, 0, 255)),
    "grey with alpha": colours((ONE, (200, 255)), ground=(0, 0)),
    "bright on dark, no black": grey((ONE, 220), (~ONE, 30)),
}


@pytest.mark.parametrize("image", ONE_OBJECT.values(), ids=ONE_OBJECT)
def test_one_object_is_found_whatever_numbers_it_has(image, tmp_path):
    np.testing.assert_array_equal(nlviz.read_mask(saved(tmp_path, image), clip()), ONE)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "GIF", "BMP"])
def test_other_lossless_files_are_masks_too(kind, tmp_path):
    options = {"lossless": True} if kind == "WEBP" else {}
    path = saved(tmp_path, grey((ONE, 255)), f"mask.{kind.lower()}", **options)
    np.testing.assert_array_equal(nlviz.read_mask(path, clip()), ONE)


@pytest.mark.parametrize("most", [1.0, 0.25, 255.0])
def test_measured_shares_are_a_mask(most, tmp_path):
    path = saved(tmp_path, Image.fromarray(ONE * np.float32(most)), "mask.tif")
    np.testing.assert_array_equal(nlviz.read_mask(path, clip()), ONE)


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_keep_a_mask_of_0_and_1(channels, tmp_path):
    values = np.repeat(ONE[..., None].astype(np.uint16), channels, axis=2)
    values[..., 3:] = 65535
    assert cv2.imwrite(str(tmp_path / "mask.png"), values)
    np.testing.assert_array_equal(nlviz.read_mask(tmp_path / "mask.png", clip()), ONE)


SEVERAL = {
    "index values": (grey((ONE, 1), (OTHER, 2)), ("1", "2")),
    "a small object": (grey((ONE, 2), (TINY, 1)), ("1", "2")),
    "spaced greys": (grey((ONE, 128), (OTHER, 255)), ("128", "255")),
    "no zero": (grey((~ONE, 1), (ONE, 2)), ("1", "2")),
    "16 bits": (grey((ONE, 26_001), (OTHER, 26_002), kind=np.uint16), ("26001", "26002")),
    "palette": (palette((ONE, 1), (OTHER, 2)), ("1", "2")),
    "palette, far apart": (palette((ONE, 3), (OTHER, 8)), ("3", "8")),
    "palette of greys": (
        palette((ONE, 1), (OTHER, 2), colours=[0, 0, 0, 90, 90, 90, 255, 255, 255]),
        ("1", "2"),
    ),
    "colours": (colours((ONE, (255, 0, 0)), (OTHER, (0, 255, 0))), ("#00ff00", "#ff0000")),
    "dark colours": (colours((ONE, (64, 0, 0)), (OTHER, (128, 0, 0))), ("#400000", "#800000")),
    "a small colour": (colours((ONE, (255, 0, 0)), (TINY, (0, 0, 255))), ("#0000ff", "#ff0000")),
    "colours on nothing": (
        colours((ONE, (0, 0, 0, 255)), (OTHER, (255, 0, 0, 255)), ground=CLEAR),
        ("#000000", "#ff0000"),
    ),
}


@pytest.mark.parametrize(("image", "names"), SEVERAL.values(), ids=SEVERAL)
def test_several_objects_are_never_one(image, names, tmp_path):
    path = saved(tmp_path, image)
    with pytest.raises(
        nlviz.MediaError, match=f"has 2 objects \\({names[0]}, {names[1]}\\); choose"
    ):
        nlviz.read_mask(path, clip())
    masks = [nlviz.read_mask(path, clip(), label=name) for name in names]
    assert not (masks[0] & masks[1]).any()
    assert any((mask == ONE).all() for mask in masks)
    with pytest.raises(nlviz.MediaError, match=f"has no object '77'; it has {names[0]}, "):
        nlviz.read_mask(path, clip(), label=77)


def test_many_instances_are_as_many_objects(tmp_path):
    values = np.kron(np.arange(48).reshape(6, 8), np.ones((8, 8))).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(values))
    np.testing.assert_array_equal(nlviz.read_mask(path, clip(), label=29), values == 29)
    with pytest.raises(
        nlviz.MediaError, match=r"has 47 objects \(1, 2, 3, 4, 5, 6, 7, 8 and 39 more\); choose"
    ):
        nlviz.read_mask(path, clip())


def smooth(mask: np.ndarray, times: int = 8) -> np.ndarray:
    """A share for each pixel, as drawing programs smooth an outline."""
    large = np.kron(mask, np.ones((times, times)))
    turned = cv2.getRotationMatrix2D((14 * times, 14 * times), 20, 1)
    large = cv2.warpAffine(large, turned, large.shape[::-1], flags=cv2.INTER_NEAREST)
    return large.reshape(SIZE[0], times, SIZE[1], times).mean((1, 3))


@pytest.mark.parametrize("times", [2, 4, 16])
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "LA"])
def test_the_steps_of_a_soft_edge_are_no_objects(times, mode, tmp_path):
    share = smooth(ONE, times)
    image = Image.fromarray(np.rint(share * 255).astype(np.uint8))
    if mode == "LA":
        image = Image.merge("LA", (Image.new("L", image.size, 200), image))
    elif mode == "RGB":
        image = Image.merge("RGB", (image, Image.new("L", image.size), Image.new("L", image.size)))
    else:
        image = image.convert(mode)
    found = nlviz.read_mask(saved(tmp_path, image), clip())
    near = np.abs(share - 0.5) < 0.01
    np.testing.assert_array_equal(found[~near], (share > 0.5)[~near])


def test_two_colours_with_soft_edges_stay_two(tmp_path):
    image = np.zeros((*SIZE, 3))
    image[..., 0], image[..., 1] = 255 * smooth(ONE), 255 * smooth(OTHER)
    path = saved(tmp_path, Image.fromarray(np.rint(image).astype(np.uint8)))
    assert read_objects(path, clip()).names == ("#00ff00", "#ff0000")
    found = nlviz.read_mask(path, clip(), label="#FF0000")
    np.testing.assert_array_equal(found, smooth(ONE) > 0.5)


def test_two_colours_on_nothing_that_touch_with_a_soft_edge_stay_two(tmp_path):
    left, right = box(8, 6, 30, 20), box(8, 26, 30, 20)
    mixed = np.zeros((*SIZE, 4))
    for where, colour in ((left, (255, 0, 0, 255)), (right, (0, 0, 255, 255))):
        mixed[where] = colour
    for row in range(8, 38):  # a slanting line between them, of other mixtures in each row
        share = (row - 7) / 32
        mixed[row, 26] = (255 * (1 - share), 0, 255 * share, 255)
    path = saved(tmp_path, Image.fromarray(np.rint(mixed).astype(np.uint8)))
    assert read_objects(path, clip()).names == ("#0000ff", "#ff0000")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_photo_that_is_cut_out_is_one_object(mode, kind, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    smooth_photo = cv2.GaussianBlur(noise, (5, 5), 2)
    photo = Image.fromarray(np.dstack([smooth_photo, 255 * ONE.astype(np.uint8)])).convert(mode)
    path = saved(tmp_path, photo, f"mask.{kind.lower()}", quality=95)
    found = nlviz.read_mask(path, clip())
    np.testing.assert_array_equal(found, ONE)
    np.testing.assert_array_equal(nlviz.read_mask(path, clip(), label="opaque"), ONE)


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (90, 90, 90)])
def test_a_jpeg_is_a_mask_though_its_numbers_ring(colour, tmp_path):
    path = saved(tmp_path, colours((ONE, colour)), "mask.jpg", quality=85, subsampling=0)
    found = nlviz.read_mask(path, clip())
    assert nlviz.region_similarity(found, ONE) > 0.97


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
@pytest.mark.parametrize("ground", [(0, 0, 0), CLEAR], ids=["black", "nothing"])
@pytest.mark.parametrize("colour", [(255, 255, 255), (230, 30, 20), (90, 90, 90)])
def test_a_lossy_picture_of_one_colour_is_one_object(colour, kind, ground, tmp_path):
    image = colours((ONE, (*colour, 255)[: len(ground)]), ground=ground)
    path = saved(tmp_path, image, f"mask.{kind.lower()}", quality=60)
    assert nlviz.region_similarity(nlviz.read_mask(path, clip()), ONE) > 0.97


def test_two_colours_of_a_jpeg_are_two_objects(tmp_path):
    image = colours((ONE, (255, 0, 0)), (OTHER, (0, 0, 255)))
    path = saved(tmp_path, image, "mask.jpg", quality=95, subsampling=0)
    blue, red = read_objects(path, clip()).names
    for name, truth in ((red, ONE), (blue, OTHER)):
        assert nlviz.region_similarity(nlviz.read_mask(path, clip(), label=name), truth) > 0.97


def test_a_jpeg_of_nothing_has_no_object(tmp_path):
    noise = np.random.default_rng(0).integers(0, 4, SIZE).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "mask.jpg")
    assert not nlviz.read_mask(path, clip()).any()


def test_all_white_is_all_object_and_all_black_or_clear_is_none(tmp_path):
    everywhere = np.ones(SIZE, bool)
    assert nlviz.read_mask(saved(tmp_path, grey((everywhere, 255))), clip()).all()
    assert not nlviz.read_mask(saved(tmp_path, grey()), clip()).any()
    assert not nlviz.read_mask(saved(tmp_path, colours(ground=CLEAR)), clip()).any()
    with pytest.raises(nlviz.MediaError, match="has no object '1'; it has none"):
        nlviz.read_mask(saved(tmp_path, grey()), clip(), label=1)


def test_a_photo_turned_by_exif_is_turned_as_a_mask_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = grey((ONE, 255)).transpose(Image.Transpose.ROTATE_90)
    path = saved(tmp_path, turned, exif=exif)
    np.testing.assert_array_equal(nlviz.read_mask(path, clip()), ONE)


def test_one_label_is_one_object_in_all_frames(tmp_path):
    moving = [box(8, 4 * t) for t in range(4)]
    for t, mask in enumerate(moving):
        first = [(OTHER, 2)] if t < 2 else []
        saved(tmp_path, palette((mask, 1), *first), f"{t}.png")
    with pytest.raises(nlviz.MediaError, match=r"has 2 objects \(1, 2\)"):
        nlviz.read_masks(tmp_path, clip(frames=4))
    np.testing.assert_array_equal(nlviz.read_masks(tmp_path, clip(frames=4), label=1), moving)
    second = nlviz.read_masks(tmp_path, clip(frames=4), label="2")
    assert [mask.any() for mask in second] == [True, True, False, False]


def test_frames_saved_in_different_kinds_are_one_folder(tmp_path):
    saved(tmp_path, grey((ONE, 255)), "0.png")
    saved(tmp_path, grey((ONE, 255)).convert("1"), "1.png")
    saved(tmp_path, colours((ONE, (255, 255, 255))), "2.png")
    saved(tmp_path, palette((ONE, 1), colours=[0, 0, 0, 255, 255, 255]), "3.png")
    np.testing.assert_array_equal(nlviz.read_masks(tmp_path, clip(frames=4)), [ONE] * 4)


def test_masks_that_a_track_wrote_are_read_as_its_objects(tmp_path):
    analysis = make.analysis()
    found = nlviz.track(analysis, "fine", ONE)
    for name, content in mask_pngs(found.masks, analysis.clip.indices):
        (tmp_path / name).write_bytes(content)
    read = nlviz.read_masks(tmp_path, analysis.clip)
    np.testing.assert_array_equal(read, np.rint(found.masks * 255) > 127)


def test_a_damaged_mask_is_one_sentence(tmp_path):
    file = io.BytesIO()
    grey((ONE, 255)).save(file, "png")
    (tmp_path / "mask.png").write_bytes(file.getvalue()[:60])
    with pytest.raises(nlviz.MediaError, match=r"^'mask.png' is damaged or cut off"):
        nlviz.read_mask(tmp_path / "mask.png", clip())


def test_objects_are_written_with_the_palette_of_davis_and_read_again(tmp_path):
    numbers = np.zeros((12, 20), np.uint16)
    numbers[2:6, 2:8], numbers[6:11, 10:18] = 1, 3
    ((name, content),) = object_pngs([numbers], [7])
    assert name == "00007.png"
    (tmp_path / name).write_bytes(content)
    image = Image.open(tmp_path / name)
    assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    clip = nlviz.Clip(np.zeros((1, 12, 20, 3), np.uint8), (0,), (0.0,), "a", 1)
    found = read_objects(tmp_path / name, clip)
    assert found.names == ("1", "3")
    np.testing.assert_array_equal(found.mask("3")[0], numbers == 3)
    with pytest.raises(nlviz.ExportError, match="palette holds 255 objects"):
        list(object_pngs([numbers + 255], [0]))
