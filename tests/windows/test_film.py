"""Films of long clips: every frame as its own window's film has it, and one window at a time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from nlviz import Region
from nlviz.errors import ExportError, QueryError
from nlviz.film import play
from nlviz.query import Query
from nlviz.windows import LongAnalysis, play_windows
from tests.windows import support


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return support.folder(tmp_path_factory.mktemp("long") / "clip")


def test_every_frame_is_drawn_by_the_window_that_answers_for_it(home):
    long = support.long(home)
    film = play_windows(long, [support.query(5)], width=320)
    assert (film.count, film.rate) == (11, Fraction(4))
    for window in long.plan:
        asked = (
            5
            if window.number == long.of(5).number
            else (window.own_start + window.own_stop - 1) // 2
        )
        label = f"window {window.number + 1}/5, asked on {asked} · "
        analysis = long.window(window.number)
        alone = play(analysis, [support.query(asked)], width=320, label=label)
        for position in range(window.own_start, window.own_stop):
            assert np.array_equal(film.draw(position), alone.draw(position - window.start))


def test_a_film_is_written_frame_by_frame_and_holds_one_window(home, tmp_path, monkeypatch):
    opened = []
    plain = LongAnalysis.window

    def watched(self, number, *given, **options):
        opened.append((number, options.get("blocks")))
        return plain(self, number, *given, **options)

    long = support.long(home)
    long.run()
    film = play_windows(long, [support.query(0)])
    monkeypatch.setattr(LongAnalysis, "window", watched)
    film.save(tmp_path / "a.mp4")
    assert opened == [(n, ("second",)) for n in (1, 2, 3, 4)]  # each once, the first was there
    with av.open(str(tmp_path / "a.mp4")) as written:
        assert sum(1 for _ in written.decode(video=0)) == 11


def test_a_region_is_asked_again_at_the_same_pixels(home):
    long = support.long(home)
    region = Query(Region.box(5, 8, 8, 40, 40), "second", k=3)
    there = Query(Region.box(0, 8, 8, 40, 40), "second", k=3)
    film = play_windows(long, [region], width=320)
    alone = play(
        long.window(4), [Query(Region.box(9, 8, 8, 40, 40), "second", k=3)], width=320,
        label="window 5/5, asked on 9 · ",
    )  # fmt: skip
    assert np.array_equal(film.draw(10), alone.draw(3))
    assert there != region


def test_what_cannot_be_filmed_is_told_before_anything_is_drawn(home):
    long = support.long(home)
    with pytest.raises(QueryError, match="token 'class' of its own"):
        play_windows(long, [Query("class", "second")])
    with pytest.raises(ExportError, match="pixels wide"):
        play_windows(long, [support.query(0)], width=5)
    with pytest.raises(QueryError, match="not captured"):
        play_windows(long, [support.query(0, "third")])
