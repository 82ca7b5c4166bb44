"""Figure: a finished drawing, as PNG, SVG or PDF bytes or as a file that is whole or not there."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backends import backend_agg, backend_pdf, backend_svg
from matplotlib.figure import Figure as Drawing

from nlviz.errors import FigureError
from nlviz.provenance import Provenance
from nlviz.writing import check, write

ENDINGS = (".png", ".svg", ".pdf")
SMALLEST_DPI, LARGEST_DPI = 30, 1200
_SCREEN_DPI = 120

# Text as paths in SVG and as TrueType in PDF, each frame an image of its own, and the same bytes
# each time: no random ids, no dates.
STYLE: Any = {  # keys are Literals in Matplotlib's types
    "svg.fonttype": "path",
    "svg.hashsalt": "nlviz",
    "svg.image_inline": True,
    "pdf.fonttype": 42,
    "image.composite_image": False,
    "text.parse_math": False,  # a name may have dollar signs
}
CANVASES = {
    "png": backend_agg.FigureCanvasAgg,
    "svg": backend_svg.FigureCanvasSVG,
    "pdf": backend_pdf.FigureCanvasPdf,
}
# Matplotlib's settings are global, and the app draws in several threads.
_SETTINGS = threading.Lock()


@contextmanager
def drawing_style(more: Any = None) -> Iterator[None]:
    """While it lasts Matplotlib's settings are those of the figures, and ``more`` by name; alone.

    Two threads that each put back what they found would leave one's settings to all.
    """
    with _SETTINGS, matplotlib.rc_context({**STYLE, **(more or {})}):
        yield


class Figure:
    """A finished figure; the same drawing gives the same bytes.

    Each file says how it was made: in words, and as a JSON list with one ``Provenance`` for each
    network. A PNG has texts ``Description`` and ``nlviz``, an SVG ``dc:description`` and
    ``dc:source``, a PDF ``Subject`` and ``Keywords``.

    Args:
        drawing: the Matplotlib figure; images in it are drawn at the resolution they have.
        made: how what it shows was made.
    """

    def __init__(self, drawing: Drawing, made: Sequence[Provenance] = ()) -> None:
        self.drawing = drawing
        self.made = tuple(made)

    def signed(self, made: Provenance) -> Figure:
        """The same figure, whose files say that it was made so."""
        return Figure(self.drawing, [made])

    def save(self, path: str | os.PathLike[str], *, dpi: int = 300) -> None:
        """Write a .png, .svg or .pdf, by the ending; ``dpi`` is for PNG.

        Raises:
            ExportError: another ending, a missing folder, or a file that cannot be written;
                what was there before is then still there.
        """
        ending = check(path, ENDINGS, force=True)
        write(path, self.png(dpi=dpi) if ending == ".png" else self._render(ending[1:]))

    def png(self, *, dpi: int = 300) -> bytes:
        """A PNG image of ``dpi`` pixels an inch, 30 to 1200; FigureError outside that."""
        check_dpi(dpi)
        return self._render("png", dpi)

    def _repr_png_(self) -> bytes:
        """In a notebook: at the resolution of a screen."""
        return self.png(dpi=_SCREEN_DPI)

    def svg(self) -> bytes:
        """An SVG: arrows and text are paths, frames embedded images."""
        return self._render("svg")

    def pdf(self) -> bytes:
        """A PDF: arrows are paths, text is text with its font embedded, frames are images."""
        return self._render("pdf")

    def _render(self, kind: str, dpi: int = 300) -> bytes:
        content = io.BytesIO()
        with drawing_style():
            for image in (image for axes in self.drawing.axes for image in axes.images):
                # Smooth in pixels; as it is where the reader's program draws it.
                image.set_interpolation("auto" if kind == "png" else "none")
            CANVASES[kind](self.drawing)
            self.drawing.savefig(content, format=kind, dpi=dpi, metadata=_metadata(kind, self.made))
        return content.getvalue()


def _metadata(kind: str, made: Sequence[Provenance]) -> dict[str, str | None]:
    """How it was made, in words and as JSON, where each format keeps such a thing; no dates."""
    words = "\n\n".join(each.words for each in made) or None
    whole = f"[{', '.join(each.json for each in made)}]" if made else None
    everything: dict[str, dict[str, str | None]] = {
        "png": {"Software": "nlviz", "Description": words, "nlviz": whole},
        "svg": {"Creator": "nlviz", "Date": None, "Description": words, "Source": whole},
        "pdf": {
            "Creator": "nlviz",
            "Producer": None,
            "CreationDate": None,
            "Subject": words,
            "Keywords": whole,
        },
    }
    unsaid = {"Date", "Producer", "CreationDate"}  # None keeps Matplotlib from writing its own
    return {k: v for k, v in everything[kind].items() if v is not None or k in unsaid}


def check_dpi(dpi: int) -> None:
    """FigureError for pixels an inch outside 30 to 1200."""
    if not SMALLEST_DPI <= dpi <= LARGEST_DPI:
        raise FigureError(
            f"dpi must be {SMALLEST_DPI} to {LARGEST_DPI}; got {dpi}. Choose "
            "300 for print or 100 for a screen."
        )
