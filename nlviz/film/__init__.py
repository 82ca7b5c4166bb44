"""Films: a clip with its links playing, and a query that moves along a path or follows links."""

from nlviz.film.film import ENDINGS, Film
from nlviz.film.moving import follow, travel
from nlviz.film.player import play

__all__ = ["ENDINGS", "Film", "follow", "play", "travel"]
