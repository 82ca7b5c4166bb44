"""Images, animations and folders: any mode to upright RGB, and one sentence for each bad one."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlviz.errors import MediaError
from nlviz.media import probe, read
from tests.support import media_files as make

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def one(data: bytes, name: str = "a.png") -> tuple[np.ndarray, tuple[str, ...]]:
    clip = read(data, name=name)
    assert clip.is_image
    assert clip.indices == (0,)
    info = probe(data, name=name)
    assert (info.width, info.height, info.total) == (clip.width, clip.height, 1)
    return clip.frames[0], clip.notes


@pytest.mark.parametrize(
    "kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000", "GIF", "JPEG", "AVIF"]
)
def test_a_still_is_a_clip_of_one_frame(kind):
    smooth = np.repeat(np.arange(0, 240, 12, dtype=np.uint8)[None, :, None], 12, 0).repeat(3, 2)
    options = {"lossless": True} if kind == "WEBP" else {}
    frame, notes = one(make.encoded(Image.fromarray(smooth), kind, **options), f"a.{kind}")
    assert np.abs(frame.astype(int) - smooth).max() <= 6
    assert notes == ()


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3000, 17)])
def test_odd_sizes_work(size):
    frame, _ = one(make.encoded(Image.new("RGB", size, (1, 2, 3)), "PNG"))
    assert frame.shape == (size[1], size[0], 3)


def test_sixteen_bit_grey_keeps_its_range():
    values = np.array([[0, 257, 32896, 65535]], ">u2")
    frame, notes = one(make.png(4, 1, b"\0" + values.tobytes(), depth=16, colour=0))
    assert frame[0, :, 0].tolist() == [0, 1, 128, 255]
    assert notes == ("Its 16-bit values are shown in 8 bits.",)


def test_sixteen_bit_colour_keeps_its_range():
    values = np.array([0, 32896, 65535], ">u2")
    frame, _ = one(make.png(1, 1, b"\0" + values.tobytes(), depth=16))
    assert np.abs(frame[0, 0].astype(int) - [0, 128, 255]).max() <= 1


def test_measured_values_are_spread_from_black_to_white():
    values = np.array([[-2.0, 0.0, 2.0]], np.float32)
    frame, notes = one(make.encoded(Image.fromarray(values), "TIFF"), "a.tif")
    assert frame[0, :, 0].tolist() == [0, 128, 255]
    assert notes == ("Its values, -2 to 2, are shown as black to white.",)


def test_grey_black_and_white_and_palette_become_rgb():
    for mode in ("L", "1", "P"):
        image = Image.fromarray(COLOURS).convert(mode)
        frame, _ = one(make.encoded(image, "PNG"))
        np.testing.assert_array_equal(frame, np.asarray(image.convert("RGB")))


def test_cmyk_becomes_rgb_and_is_told():
    frame, notes = one(make.encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), "a.jpg")
    assert np.abs(frame.astype(int) - (255, 0, 0)).max() <= 3
    assert notes == ("Its CMYK colours are shown without a colour profile.",)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_pixels_lie_on_white(mode):
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 128))
    image.putpixel((2, 0), (0, 0, 0, 0))
    kind = "TIFF" if mode == "PA" else "PNG"
    image = image if mode == "PA" else image.convert(mode)
    frame, notes = one(make.encoded(image, kind))
    assert frame[0, :, 0].tolist() == [0, 127, 255]
    assert notes == ("Transparent pixels are shown on white.",)


def test_a_transparent_colour_of_a_palette_lies_on_white():
    image = Image.new("P", (2, 1), 0)
    image.putpalette([9, 9, 9, 50, 60, 70])
    image.putpixel((1, 0), 1)
    frame, _ = one(make.encoded(image, "PNG", transparency=0))
    assert frame[0].tolist() == [[255, 255, 255], [50, 60, 70]]


def test_alpha_that_hides_nothing_is_no_news():
    _, notes = one(make.encoded(Image.new("RGBA", (3, 3), (1, 2, 3, 255)), "PNG"))
    assert notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_sets_the_picture_upright(orientation, kind):
    """Pillow's own turning is the measure."""
    from PIL import ImageOps

    image = Image.fromarray(make.picture(3, 64, 48, corner=True))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    frame, notes = one(make.encoded(image, kind, exif=exif, **options), f"a.{kind}")
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).mean() < 4
    assert notes == (() if orientation == 1 else ("Turned upright as its EXIF orientation says.",))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_a_clip(kind):
    data = make.animation(kind, 9, **({} if kind == "TIFF" else {"duration": 80}))
    clip = read(data, frames=4, name="a")
    assert clip.total == 9
    assert make.numbers(clip.frames) == list(clip.indices) == [0, 3, 5, 8]
    step = 0.1 if kind == "TIFF" else 0.08
    assert clip.timestamps == pytest.approx([i * step for i in clip.indices])
    info = probe(data, name="a")
    assert (info.total, info.duration) == (9, pytest.approx(9 * step))


def test_an_animation_keeps_its_own_times():
    data = make.animation("GIF", 4, duration=[50, 300, 0, 200])
    assert read(data, name="a").timestamps == pytest.approx([0, 0.05, 0.35, 0.45])


def test_pages_of_several_sizes_are_one_image():
    pages = [Image.new("RGB", (20, 12)), Image.new("RGB", (5, 3))]
    data = make.encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert one(data)[0].shape == (12, 20, 3)


def test_a_damaged_animation_gives_its_first_frames():
    noise = np.random.default_rng(0).integers(0, 255, (6, 40, 60, 3), dtype=np.uint8)
    frames = [Image.fromarray(frame) for frame in noise]
    data = make.encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    clip = read(data[: len(data) * 3 // 5], frames=6, name="a.png")
    assert 1 < len(clip.frames) < 6
    np.testing.assert_array_equal(clip.frames, noise[: len(clip.frames)])
    assert "damaged" in clip.notes[-1]


def folder(path: Path, names: list[str]) -> Path:
    path.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.fromarray(make.picture(index, 20, 12)).save(path / name)
    return path


def test_a_folder_is_a_clip_in_natural_order(tmp_path):
    names = ["f1.png", "f2.PNG", "f10.png", "f11.bmp", "g.png"]
    home = folder(tmp_path / "shots", names)
    (home / "notes.txt").write_text("hello")
    (home / ".hidden.png").write_text("x")
    clip = read(home)
    assert make.numbers(clip.frames) == [0, 1, 2, 3, 4]
    assert (clip.name, clip.total, clip.path) == ("shots", 5, str(home))
    assert clip.timestamps == pytest.approx([i / 25 for i in range(5)])
    assert clip.notes == (
        "The clip has 5 frames; all 5 are used.",
        "A folder has no clock; 25 frames a second are assumed.",
    )
    info = probe(home)
    assert (info.width, info.height, info.total, info.rate) == (20, 12, 5, 25)
    assert read(home, frames=2, stride=2, start=1).indices == (1, 3)


def test_a_folder_of_one_image_is_an_image(tmp_path):
    assert read(folder(tmp_path / "a", ["x.png"])).is_image


def test_images_of_different_sizes_are_no_clip(tmp_path):
    home = folder(tmp_path / "a", ["1.png", "2.png"])
    Image.new("RGB", (21, 12)).save(home / "3.png")
    for verb in (read, probe):
        with pytest.raises(
            MediaError, match=r"'1.png' is 20×12, '3.png' is 21×12; make them alike"
        ):
            verb(home)


def test_a_link_that_leaves_its_folder_is_refused(tmp_path):
    home = folder(tmp_path / "a", ["1.png"])
    (folder(tmp_path / "b", ["secret.png"]) / "secret.png").rename(tmp_path / "secret.png")
    (home / "2.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(MediaError, match="is a link that leaves its folder"):
        read(home)


def test_a_folder_without_images_is_told(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    with pytest.raises(MediaError, match="has no images; give a folder of PNG"):
        read(tmp_path)


def bomb(width: int, height: int) -> bytes:
    return make.png(width, height, bytes(1000))


def truncated() -> bytes:
    return make.encoded(Image.fromarray(COLOURS).resize((200, 200)), "PNG")[:5000]


def text_bomb() -> bytes:
    whole = make.encoded(Image.new("RGB", (4, 4)), "PNG")
    body = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return whole[:33] + chunk + whole[33:]


BAD = {
    "20,000 × 20,000": (
        lambda: bomb(20_000, 20_000),
        "more than 67 million pixels; make it smaller first",
    ),
    "12,000 × 9,000": (
        lambda: bomb(12_000, 9_000),
        "is 12000×9000, 108 million pixels; at most 67",
    ),
    "2^31 wide": (lambda: bomb(2**31 - 1, 2**31 - 1), "more than 67 million pixels"),
    "no pixels": (lambda: bomb(0, 7), "damaged or cut off|no pixels|not a video or image"),
    "cut off": (truncated, "is damaged or cut off"),
    "header only": (lambda: b"\x89PNG\r\n\x1a\n", "is damaged or cut off"),
    "jpeg header only": (lambda: b"\xff\xd8\xff\xe0" + bytes(50), "is damaged or cut off"),
    "noise after gif": (lambda: b"GIF89a" + bytes(range(50)), "is damaged or cut off"),
    "text that starts like a bitmap": (lambda: b"BM is short for bitmap" * 9, "damaged or cut off"),
    "a text chunk that unpacks to 200 MB": (text_bomb, "is damaged or cut off"),
    "heic": (lambda: b"\0\0\0\x18ftypheic" + bytes(50), "is a HEIC photo, .* as JPEG or PNG"),
    "postscript": (
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "not a video or image",
    ),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a video or image"),
    "pdf": (lambda: b"%PDF-1.4\n", "not a video or image"),
    "empty": (lambda: b"", r"is empty \(0 bytes\)"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("verb", [read, probe])
def test_each_bad_image_gets_one_sentence(kind, verb, capfd):
    build, says = BAD[kind]
    if verb is probe and kind in ("cut off",):
        assert probe(build(), name="a.png").width == 200  # its header is whole
        return
    with pytest.raises(MediaError, match=says) as caught:
        verb(build(), name="a.png")
    assert str(caught.value).startswith("'a.png'")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_too_large_an_image_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", None)
    for size in (20_000, 9_000):
        with pytest.raises(MediaError, match="smaller first"):
            read(bomb(size, size), name="a.png")


def test_no_memory_says_what_to_lower(monkeypatch):
    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("nlviz.media.images.rgb", full)
    with pytest.raises(MediaError, match="ask for fewer frames, or make it smaller"):
        read(make.encoded(Image.new("RGB", (4, 4)), "PNG"), name="a.png")


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow's own words on damaged headers
@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "JPEG", "BMP"])
def test_damage_anywhere_is_a_media_error_or_a_picture(kind):
    rng = np.random.default_rng(0)
    whole = (
        make.animation(kind, 3)
        if kind not in ("JPEG", "BMP")
        else make.encoded(Image.fromarray(COLOURS), kind)
    )
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(4, len(data), 3):
            data[at] = rng.integers(256)
        cut = bytes(data[: rng.integers(12, len(data) + 1)])
        for verb in (read, probe):
            with suppress(MediaError):
                verb(cut, name="a")


def test_a_gif_that_grows_is_read_up_to_there(tmp_path):
    small = io.BytesIO()
    Image.new("P", (10, 10)).save(small, "GIF")
    start = small.getvalue()[:-1]  # without the trailer
    large = io.BytesIO()
    Image.new("P", (3000, 3000)).save(large, "GIF")
    body = large.getvalue()
    frame = body[body.index(b",") :]  # its image descriptor and what follows
    path = tmp_path / "grows.gif"
    path.write_bytes(start + frame)
    clip = read(path)
    assert (clip.width, clip.height, len(clip.frames)) == (10, 10, 1)
    assert "only the first ones can be read" in clip.notes[-1]


@pytest.mark.parametrize("do", [probe, read])
def test_an_animation_that_expands_is_refused_before_anything_is_decoded(do, monkeypatch):
    """A few kB of small frames on a canvas of 8192²: each has to be laid on the one before."""
    data = bytearray(make.animation("GIF", 40))
    data[6:10] = struct.pack("<HH", 8192, 8192)
    monkeypatch.setattr(
        "PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("a frame was decoded")
    )
    with pytest.raises(MediaError, match="has 40 frames of 8192×8192 to play through"):
        do(bytes(data), name="bomb.gif")
