"""Escape other people's words, such as a file's name, for Markdown."""

from __future__ import annotations

import re

_SIGNS = re.compile(r"[\\`*_{}\[\]()<>#$~|:!&@]")
_LIST = re.compile(r"^(\s*\d*)([-+=.])")
# Streamlit makes links of bare addresses after the escapes are undone; a word joiner, which is
# not seen, parts them.
_ADDRESS = re.compile(r"(?i)(?<=\bhttp)(?=s?:)|(?<=\bwww)(?=\.)|(?<=@)|(?<=\bmailto)(?=:)")
_JOINER = "\N{WORD JOINER}"


def plain(text: str) -> str:
    """The text on one line, with every sign escaped that Markdown would read.

    Whatever a stranger wrote goes through here into Streamlit's calls: the words of a label, a
    caption, a message or a help text. Nothing in it becomes a picture, a link, HTML, a formula, an
    icon or an emoji.
    """
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    parted = _ADDRESS.sub(_JOINER, shown)
    return _LIST.sub(r"\1\\\2", _SIGNS.sub(r"\\\g<0>", parted))
