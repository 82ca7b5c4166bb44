"""Pictures for people: figures for papers as PNG, SVG and PDF."""

from nlviz.figures.figure import ENDINGS, Figure
from nlviz.figures.film_strip import film_strip, film_strips
from nlviz.figures.heat import Heat
from nlviz.figures.match_strips import match_strips
from nlviz.figures.panel import Panel
from nlviz.figures.style import Style
from nlviz.figures.tracks import Tracked, track_strip
from nlviz.heat.colormap import COLOUR_MAPS

__all__ = [
    "COLOUR_MAPS",
    "ENDINGS",
    "Figure",
    "Heat",
    "Panel",
    "Style",
    "Tracked",
    "film_strip",
    "film_strips",
    "match_strips",
    "track_strip",
]
