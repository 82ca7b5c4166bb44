"""Pictures for people: figures for papers as PNG, SVG and PDF."""

from nlviz.figures.film_strip import film_strip
from nlviz.figures.heat import COLOUR_MAPS, Heat
from nlviz.figures.output import ENDINGS, Figure

__all__ = ["COLOUR_MAPS", "ENDINGS", "Figure", "Heat", "film_strip"]
