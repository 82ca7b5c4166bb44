"""Pictures for people: figures for papers as PNG, SVG and PDF."""

from nlviz.figures.film_strip import film_strip
from nlviz.figures.output import ENDINGS, Figure

__all__ = ["ENDINGS", "Figure", "film_strip"]
