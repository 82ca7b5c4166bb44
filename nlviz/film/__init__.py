"""Films: a clip with its links playing, and a query that moves along a path or follows links."""

from nlviz.film.film import ENDINGS, Film
from nlviz.film.play import play
from nlviz.film.travel import follow, travel

__all__ = ["ENDINGS", "Film", "follow", "play", "travel"]
