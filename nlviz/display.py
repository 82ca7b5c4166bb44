"""How records and other people's words are shown: as HTML, every text escaped, or on one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_BAR = 120  # pixels across of the longest bar
_MOST = 8  # names in a row; a block may have hundreds of tokens


def listed(names: Sequence[str]) -> str:
    """The names, or of many the first and how many more there are: "a, b and 98 more"."""
    shown = names if len(names) <= _MOST + 1 else names[:_MOST]
    more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
    return ", ".join(shown) + more


def one_line(text: str, most: int) -> str:
    """A name that somebody else gave, without spaces around it: see ``printable``."""
    return " ".join(printable(text, len(text)).split())[:most]


def printable(text: str, most: int) -> str:
    """What somebody else wrote: at most ``most`` signs, all of which show, on one line."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:most])


def as_text(name: str) -> str:
    """A file's name as text that can be written: bytes that are no UTF-8 become question marks."""
    return name.encode("utf-8", "replace").decode("utf-8")


def begun(words: str) -> str:
    """The words as a sentence begins: "Output of nl5", but "θ of nl5" as it is, not Θ."""
    first = words[:1]
    return first.upper() + words[1:] if first.isascii() else words


def links_cover(count: int) -> str:
    """How a sentence on what links cover begins: "1 link covers", "20 links cover"."""
    return "1 link covers" if count == 1 else f"{count} links cover"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> str:
    """An HTML table."""
    caption = f'<caption style="text-align: left">{escape(title)}</caption>' if title else ""
    lines = ["".join(f"<td>{escape(str(cell))}</td>" for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table>{caption}<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"


def bars(shares: Iterable[tuple[str, float]], title: str) -> str:
    """An HTML table of shares from 0 to 1, each with a bar; the longest bar is the largest."""
    named = list(shares)
    most = max((share for _, share in named), default=0.0) or 1.0
    body = "".join(
        f"<tr><td>{escape(name)}</td><td>{share:.1%}</td>"
        f'<td style="text-align: left"><div style="width: {_BAR * share / most:.0f}px; '
        'height: 0.7em; background: currentColor; opacity: 0.6"></div></td></tr>'
        for name, share in named
    )
    caption = f'<caption style="text-align: left">{escape(title)}</caption>'
    return f"<table>{caption}<tbody>{body}</tbody></table>"


def image(address: str, name: str) -> str:
    """An HTML image."""
    return f'<img alt="{escape(name)}" src="{escape(address)}">'


def seconds_in_words(seconds: float) -> str:
    """A length of time as one says it: "0.4 s", "42 s", "9 min", "2 h 5 min"."""
    if seconds < 9.5:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min"


def bytes_in_words(count: float) -> str:
    """An amount of bytes as one says it: "40 MB", "1.3 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 0.995e9 else f"{max(round(count / 1e6), 1)} MB"
