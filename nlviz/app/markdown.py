"""Plain: other people's words, such as the name of a file, inside Markdown."""

from __future__ import annotations


def plain(text: str) -> str:
    """Text with nothing that Markdown would take for itself."""
    return "".join("\\" + sign if sign in r"\`*_{}[]()<>#$~|:!" else sign for sign in text)
