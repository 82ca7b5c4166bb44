"""The address: read again to the same, short, bounded, and what is wrong in it is one sentence."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import get_args
from urllib.parse import parse_qs

import pytest

import nlviz
from nlviz import export
from nlviz.app.address.query_string import LONGEST, Address, shortened, write
from nlviz.app.address.reading import read
from nlviz.app.choice import Asked, ClipPart, bundled
from nlviz.heat.colormap import PALETTE, Colours
from nlviz.heat.scale import Against, Curve
from nlviz.viewer import settings as saved
from nlviz.viewer.options import Options
from nlviz.viewer.pins import Pin, Pins
from tests.support import make

SIGNS = "ab é日😀~%+&=#;,:. \"'<\\"


def again(address: Address) -> Address:
    """Through a query string, as a browser gives it back."""
    back, problems = read(parse_qs(write(address), keep_blank_values=True))
    assert problems == ()
    return back


def words(draw: random.Random, most: int) -> str:
    text = "".join(draw.choice(SIGNS) for _ in range(draw.randint(0, most)))
    return " ".join(text.split())


def pin(draw: random.Random, number: int, colour: str) -> Pin:
    """Anything that can be pinned, anywhere."""

    def at() -> float:
        return round(draw.uniform(0, 4000), draw.randint(0, 2))

    frame = draw.randrange(10 ** draw.randint(1, 6))
    outline = tuple((at(), at()) for _ in range(draw.randint(3, 12)))
    place = draw.choice(
        [
            nlviz.Point(frame, at(), at()),
            nlviz.Region.box(frame, at(), at(), at(), at()),
            nlviz.Region(frame, outline),
            f"class@{frame}",
            words(draw, 6) or "class",
        ]
    )
    return Pin(f"pin-{number}", colour, place, words(draw, 9))


def some(seed: int) -> Address:
    draw = random.Random(seed)
    colours = draw.sample(PALETTE, draw.randint(0, 6))
    pins = tuple(pin(draw, n, colour) for n, colour in enumerate(colours, start=1))
    return Address(
        clip=words(draw, 12) or "ball.mp4",
        digest=draw.choice(["", "0123456789abcdef"]),
        part=ClipPart(draw.randrange(900), draw.randint(1, 128), draw.choice([None, 1, 7])),
        model=draw.choice(["nl-lite0", "my net.py:build", ""]),
        size=draw.choice([None, 640]),
        asked=draw.choice([None, Asked(words(draw, 9) or "a", words(draw, 9) or "b")]),
        options=Options(
            block=draw.choice([None, "nl5", "layer 3.1"]),
            head=draw.choice([None, 0, 11]),
            reverse=draw.random() < 0.5,
            k=draw.randint(1, 200),
            opacity=draw.choice([0.0, 0.05, 0.7, 1.0]),
            links=draw.random() < 0.5,
            scale=draw.choice(get_args(Against)),
            curve=draw.choice(get_args(Curve)),
            colours=draw.choice(get_args(Colours)),
            view=draw.choice(["strip", "player"]),
        ),
        pins=draw.choice([None, pins]),
    )


@pytest.mark.parametrize("seed", range(60))
def test_an_address_is_read_again_to_the_same(seed):
    assert again(some(seed)) == some(seed)


def test_the_first_page_has_a_short_address():
    first = bundled()[0]
    pins = Pins().add(first.at).add(nlviz.Region.box(9, 20, 30.5, 60, 80)).rename("pin-2", "a paw")
    address = Address(first.name, "", ClipPart(), "nl-lite0", 640, Options("nl5"), pins.shown)
    assert write(address) == (
        "clip=ball.mp4&frames=8&model=nl-lite0&size=640&block=nl5&pin=8,156,196"
        "&pin=9,20,30.5,60,80~a+paw"
    )


def test_a_token_may_be_called_anything():
    pins = Pins().add("a%7Eb~c%25,1").rename("pin-1", "~ %7E").shown
    assert again(Address(pins=pins)).pins == pins


def lassos(corners: int) -> tuple[Pin, ...]:
    """Eight circles, each with its long name."""
    turns = [2 * math.pi * i / corners for i in range(corners)]
    circle = tuple(
        (round(300 + 200 * math.cos(a), 2), round(220 + 90 * math.sin(a), 2)) for a in turns
    )
    return tuple(
        Pin(f"pin-{n}", colour, nlviz.Region(8, circle), f"lasso {n}")
        for n, colour in enumerate(PALETTE, start=1)
    )


def test_a_long_address_has_outlines_with_fewer_corners_that_hold_the_same_places():
    address = Address("ball.mp4", pins=lassos(200))
    assert len(write(address)) <= LONGEST
    kept = again(address).pins
    assert [each.name for each in kept] == [each.name for each in address.pins]
    before, after = address.pins[0].point, kept[0].point
    assert 12 <= len(after.outline) < 60
    places = [(x + 0.5, y + 0.5) for x in range(80, 520, 9) for y in range(110, 330, 9)]
    same = sum(before.holds(*place) == after.holds(*place) for place in places)
    assert same > 0.97 * len(places)
    assert shortened(replace(address, pins=address.pins[:1])).pins == address.pins[:1]


def test_names_go_before_an_address_grows_without_end():
    pins = tuple(replace(each, name="😀" * 40) for each in lassos(400))
    address = Address("ball.mp4", pins=pins)
    assert len(write(address)) <= LONGEST
    assert [each.name for each in again(address).pins] == [""] * 8


def test_what_was_asked_goes_where_it_does_not_fit_and_is_cut_to_what_the_page_takes():
    long = Address("ball.mp4", pins=(), asked=Asked("日" * 300, "月" * 300))
    assert len(write(long)) <= LONGEST
    assert again(long) == replace(long, asked=None)
    address, _ = read({"ask": ["a" * 999], "answer": ["b\n c"]})
    assert address.asked == Asked("a" * 300, "b c")
    assert read({"ask": ["a"]})[0].asked is None


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("k=999", "k=999, which is not a value"),
        ("k=many", "k=many, which is not a value"),
        ("heat=yes", "heat=yes, which"),
        ("opacity=nan", "opacity=nan, which"),
        ("scale=world", "scale=world, which"),
        ("head=-1", "head=-1, which"),
        ("frames=0", "frames=0, which is not a whole number from 1"),
        ("start=1e9", "start=1e9, which is not a whole number from 0"),
        ("size=" + "9" * 5000, "size=" + "9" * 40 + "…, which"),
        ("pin=8,156", "pin=8,156, which is not frame,x,y"),
        ("pin=8,156,inf", "pin=8,156,inf, which"),
        ("pin=-8,1,2", "pin=-8,1,2, which"),
        ("pin=8,1,2,3", "pin=8,1,2,3, which"),
        ("pin=token:", "pin=token:, which"),
        ("pin=8," + ",".join(["1"] * 802), "which is not frame,x,y"),
        ("pin=8,1,2&pin=8,3,4&hues=22", "hues=22, which is not 2 different digits"),
        ("pin=8,1,2&hues=9", "hues=9, which is not 1 different"),
        ("&".join(["pin=8,1,2"] * 11), "holds 11 pins; the first 8 are read"),
        ("v=2", "written by a newer nlviz (v=2)"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_the_rest_is_read(query, says):
    address, problems = read(parse_qs(f"clip=fish.mp4&{query}&block=nl4", keep_blank_values=True))
    assert len(problems) == 1
    assert says in problems[0]
    assert (address.clip, address.options.block) == ("fish.mp4", "nl4")
    assert address.options == Options(block="nl4")


def test_no_text_at_all_breaks_the_reader():
    draw = random.Random(3)
    names = ["pin", "hues", "k", "frames", "clip", "opacity", "block", "head", "v", "sum"]
    for _ in range(300):
        said = {
            draw.choice(names): [
                "".join(
                    draw.choice("0123456789,.-~:e%token \x00é") for _ in range(draw.randint(0, 12))
                )
                for _ in range(draw.randint(0, 3))
            ]
            for _ in range(4)
        }
        address, _ = read(said)
        assert len(write(address)) <= LONGEST
        assert again(replace(address, clip="a.mp4")).pins == address.pins


def test_names_of_others_are_not_looked_at():
    assert read({"utm_source": ["mail"], "embed": ["true"]}) == (Address(), ())


def test_a_session_file_keeps_options_and_how_pins_look():
    analysis = make.analysis(special=True)
    pins = Pins().add(nlviz.Point(5, 20.0, 10.0)).add("class").add(nlviz.Region.box(0, 1, 2, 9, 8))
    pins = pins.remove("pin-1").rename("pin-2", "the class").move("pin-3", 0)
    options = Options("special", head=1, reverse=True, k=3, scale="block", colours="grey")
    queries = tuple(nlviz.Query(each.point, "special", 3) for each in pins.shown)
    made = export.Provenance.of(analysis, queries, command="…")
    told = export.Session(analysis, made, queries, saved.settings(pins.shown, options))
    again = export.open_session(export.save(told))
    back, problems = saved.pins(again.queries, again.settings)
    assert [(p.point, p.name, p.color) for p in back.shown] == [
        (p.point, p.name, p.color) for p in pins.shown
    ]
    assert problems == ()
    assert saved.options(again.queries, again.settings) == options


@pytest.mark.parametrize("settings", [{}, {"pins": 3}, {"pins": [None, {"color": []}], "k": "x"}])
def test_a_session_file_of_the_command_line_opens_with_what_it_asks(settings):
    queries = tuple(nlviz.Query(nlviz.Point(5, x, 10.0), "fine", 7, "none") for x in range(10))
    back, problems = saved.pins(queries, settings)
    assert [p.point for p in back.shown] == [q.point for q in queries[:8]]
    assert [p.color for p in back.shown] == list(PALETTE)
    assert "10 queries; the first 8" in problems[0]
    assert saved.options(queries, settings) == Options("fine", k=7, exclude="none")
