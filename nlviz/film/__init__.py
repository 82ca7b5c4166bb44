"""Films: a clip with its links playing, a query that moves, and objects and points tracked."""

from nlviz.film.film import ENDINGS, Film
from nlviz.film.play import play
from nlviz.film.tracks import TrackStyle, objects_film, points_film
from nlviz.film.travel import follow, travel

__all__ = [
    "ENDINGS",
    "Film",
    "TrackStyle",
    "follow",
    "objects_film",
    "play",
    "points_film",
    "travel",
]
