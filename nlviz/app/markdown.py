"""Escape other people's words, such as a file's name, for Markdown."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text with every sign escaped that Markdown would read."""
    return "".join("\\" + sign if sign in r"\`*_{}[]()<>#$~|:!" else sign for sign in text)
