"""Qt resource files (``.rcc``), in which some Debian packages keep their photographs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_DIRECTORY, _ZLIB, _ZSTD = 2, 1, 4
_LARGEST = 64 << 20  # bytes of one file inside
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def unpack_resources(file: Path, folder: Path) -> int:
    """Write the pictures of a Qt resource file into a folder and return how many there were.

    The file is a header (four offsets), a tree of nodes, their names in UTF-16 and the data, all
    big-endian. Names that climb out of the folder, and other kinds of files, are passed over.

    Raises:
        ValueError: the file is not a Qt resource file, or is damaged.
    """
    count = 0
    try:
        for name, content in _files(file.read_bytes()):
            path = PurePosixPath(name)
            if path.suffix.lower() in _PICTURES and not {"..", "/"} & set(path.parts):
                target = folder.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                count += 1
    except (struct.error, zlib.error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file.name} is a damaged resource file: {error}") from error
    return count


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file; compressed ones are opened, up to ``_LARGEST`` bytes."""
    magic, version, tree, contents, names = struct.unpack_from(">4sIIII", data)
    if magic != b"qres" or version not in (1, 2, 3):
        raise ValueError("Not a Qt resource file of version 1 to 3.")
    size = 14 if version == 1 else 22
    visited: set[int] = set()

    def name_of(offset: int) -> str:
        (length,) = struct.unpack_from(">H", data, names + offset)
        start = names + offset + 6  # after the length and a hash
        return data[start : start + 2 * length].decode("utf-16-be")

    def walk(node: int, above: str) -> Iterator[tuple[str, bytes]]:
        if node in visited:
            raise ValueError("The tree of the resource file has a loop.")
        visited.add(node)
        at = tree + node * size
        name, flags = struct.unpack_from(">IH", data, at)
        path = above + name_of(name) if node else above
        if flags & _DIRECTORY:
            children, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + children):
                yield from walk(child, f"{path}/" if node else "")
        elif not flags & _ZSTD:
            (offset,) = struct.unpack_from(">I", data, at + 10)
            (length,) = struct.unpack_from(">I", data, contents + offset)
            start = contents + offset + 4
            content = data[start : start + length]
            if flags & _ZLIB:  # four bytes of length come first
                content = zlib.decompressobj().decompress(content[4:], _LARGEST)
            yield path, content

    yield from walk(0, "")
