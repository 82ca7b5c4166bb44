"""Pictures for people: figures for papers as PNG, SVG and PDF."""

from nlviz.figures.film_strip import film_strip
from nlviz.figures.output import Figure, check_ending

__all__ = ["Figure", "check_ending", "film_strip"]
