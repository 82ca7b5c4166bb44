"""Components drawn: a strip of frames for a paper, and a film."""

from __future__ import annotations

from fractions import Fraction

from matplotlib.figure import Figure as Drawing

from nlviz.clip import Clip
from nlviz.display import begun
from nlviz.errors import ExportError, QueryError
from nlviz.features.pca import OPACITY, Components
from nlviz.figures.figure import Figure
from nlviz.figures.marks import GREY, text
from nlviz.figures.panel import draw_frame, frames_shown
from nlviz.figures.strip import CM_PER_INCH, GAP, Strip, check_width, columns_for
from nlviz.figures.style import PLAIN, Style
from nlviz.film.film import Film
from nlviz.film.query_heat import caption
from nlviz.film.sheet import Picture, Sheet
from nlviz.provenance import Provenance

_RATE = 4.0


def components_strip(
    found: Components,
    *,
    width_cm: float = 17.4,
    columns: int | None = None,
    opacity: float = OPACITY,
    style: Style = PLAIN,
) -> Figure:
    """The clip's frames in grey under their components as red, green and blue.

    Args:
        found: what ``pca`` gives.
        width_cm, columns, style: as for ``film_strip``.
        opacity: of the colours over the frames, 0 to 1.

    Raises:
        QueryError: an opacity out of range.
        FigureError: a layout that cannot be drawn.
    """
    _check(opacity)
    check_width(width_cm)
    style.check_room(width_cm)
    scale = style.scale
    clip = frames_shown(found.analysis.clip, style.frames)
    lines = len(found.words) if style.titles else 0
    width = width_cm / scale
    strip = Strip(clip, width, columns_for(clip, columns), GAP, lines, style.titles)
    drawing = Drawing(figsize=(width_cm / CM_PER_INCH, strip.height * scale / CM_PER_INCH))
    page = drawing.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    whole = found.analysis.clip.indices
    for position, index in enumerate(clip.indices):
        frame = found.paint(clip.frames[position], whole.index(index), opacity)
        draw_frame(page, strip, position, frame)
    page.set(xlim=(0, strip.width), ylim=(0, strip.height))
    for number, words in enumerate(found.words if style.titles else ()):
        how = text() | {"weight": "bold"} if number == 0 else text(colour=GREY)
        page.text(0, strip.line(number), begun(words), **how)
    for label in page.texts:
        label.set(family=style.font, fontsize=float(label.get_fontsize()) * scale)
    return Figure(drawing, [Provenance.of(found.analysis)])


def components_film(
    found: Components,
    *,
    width: int | None = None,
    rate: float | None = None,
    opacity: float = OPACITY,
    comment: str | None = None,
) -> Film:
    """The clip frame by frame under its components; a still is a film of one picture.

    Args:
        found: what ``pca`` gives.
        width: of the picture in pixels; the clip's own, up to 1280, if None.
        rate: frames of the clip a second; 4 if None.
        opacity: of the colours over the frames, 0 to 1.
        comment: kept in the file; the ``Provenance`` as JSON if None.

    Raises:
        QueryError: an opacity out of range.
        ExportError: a size or rate out of range.
    """
    clip = found.analysis.clip
    check_film(clip, width, rate, opacity)
    shares = ", ".join(f"{share:.0%}" for share in found.explained)

    def draw(position: int) -> Picture:
        sheet = Sheet.of(clip, (position,), width)
        picture = sheet.picture()
        (across, down), (x, y) = sheet.frame, sheet.corner(position)
        frame = picture[y : y + down, x : x + across]
        frame[:] = found.paint(frame.copy(), position, opacity)
        words = (
            f"{found.of} · frame {clip.indices[position]} · {clip.timestamps[position]:.2f} s · "
            f"components 1 to 3 explain {shares}"
        )
        caption(picture, sheet, words)
        return picture

    said = Provenance.of(found.analysis).json if comment is None else comment
    return Film(len(clip.frames), Fraction(rate or _RATE), draw, said)


def check_film(clip: Clip, width: int | None, rate: float | None, opacity: float) -> None:
    """What ``components_film`` raises of these, before what it draws is there."""
    _check(opacity)
    if rate is not None and not 0.5 <= rate <= 60:
        raise ExportError(f"The frame rate must be 0.5 to 60 per second; got {rate:g}.")
    Sheet.of(clip, (0,), width)


def _check(opacity: float) -> None:
    if not 0 <= opacity <= 1:
        raise QueryError(f"The opacity must be 0 to 1; got {opacity:g}.")
