"""The film strip: arrows land where links say, vectors stay vectors, files are whole or absent."""

from __future__ import annotations

import io
import math
import os
import re
import zlib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from nlviz import Panel, Style, film_strip, film_strips
from nlviz.affinity import Affinity
from nlviz.analysis import Analysis
from nlviz.ask.links import top_links
from nlviz.clip import Clip
from nlviz.errors import ExportError, FigureError
from nlviz.figures import Figure, legend
from nlviz.geometry import Grid, Point, Region, View
from nlviz.heat.colormap import PALETTE
from nlviz.query import Link, Query
from tests.support import make

SVG = "{http://www.w3.org/2000/svg}"
INDICES = (0, 3, 6, 9)


def analysis(indices: tuple[int, ...] = INDICES, width: int = 96, height: int = 64) -> Analysis:
    rng = np.random.default_rng(0)
    steps = len(indices)
    query, key = Grid(steps, 8, 12), Grid(steps, 4, 6)
    theta = rng.normal(size=(4, query.size)).astype(np.float32)
    phi = rng.normal(size=(4, key.size)).astype(np.float32)
    frames = rng.integers(60, 190, (steps, height, width, 3), dtype=np.uint8)
    clip = Clip(frames, indices, tuple(float(i) for i in indices), "a.mp4", max(indices) + 1)
    view = View((width, height), (width, height), indices)
    names = {"nl4": query, "nl5": query}
    affinities = {name: Affinity("embedded_gaussian", theta, phi, query, key) for name in names}
    return Analysis(clip, view, "net", affinities, dict.fromkeys(names, 1e-6))


def asked(seen: Analysis, *points: Point, block: str = "nl5", k: int = 6) -> list[tuple[Link, ...]]:
    return [top_links(seen, Query(point, block, k=k)) for point in points]


def link(source: Point, target: Point, weight: float = 0.5, rank: int = 1) -> Link:
    return Link(rank, weight, abs(weight), target, Query(source, "nl5"))


def arrows(figure: Figure) -> dict[str, object]:
    page = figure.drawing.axes[0]
    return {p.get_gid(): p for p in page.patches if (p.get_gid() or "").startswith("link")}


def test_links_of_a_column_point_at_the_query_and_those_of_a_token_start_nowhere():
    seen = analysis()
    point, block = Point(6, 41.0, 21.0), seen.affinity("nl5")
    (forth,) = arrows(film_strip(seen, [top_links(seen, Query(point, "nl5", 1))])).values()
    back = film_strip(seen, [top_links(seen, Query(point, "nl5", 1, reverse=True))])
    assert forth._posA_posB[0] == arrows(back)["link-1-1"]._posA_posB[1]
    assert any("of the column's weight" in word for word in words(back))

    def with_token(columns: np.ndarray) -> np.ndarray:
        return np.concatenate([columns, columns[:, :1]], axis=1)

    tokened = replace(
        block, theta=with_token(block.theta), phi=with_token(block.phi), tokens=("class",)
    )
    seen = replace(seen, affinities={"nl5": tokened})
    figure = film_strip(seen, [top_links(seen, Query("class", "nl5", 3))])
    assert {type(mark).__name__ for mark in arrows(figure).values()} == {"Circle"}
    assert any(word.startswith("token class: 3 links") for word in words(figure))


def test_a_region_is_marked_by_its_outline_and_told_in_the_legend():
    seen = analysis()
    region = Region.box(6, 10, 8, 42, 40)
    figure = film_strip(seen, [top_links(seen, Query(region, "nl5", 2))])
    box = next(p for p in figure.drawing.axes[0].patches if p.get_gid() == "footprint-6")
    left, top = expected(figure, seen, Point(6, 10, 8))
    right, bottom = expected(figure, seen, Point(6, 42, 40))
    bounds = (left, bottom, right - left, top - bottom)
    assert box.get_path().get_extents().bounds == pytest.approx(bounds)
    assert any("frame 6, region (10, 8) to (42, 40): 2 links" in word for word in words(figure))


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.drawing.axes[0].texts]


def expected(figure: Figure, seen: Analysis, point: Point) -> tuple[float, float]:
    """Where a source pixel lies on the page, read from the drawn image's own extent."""
    page = figure.drawing.axes[0]
    image = next(i for i in page.images if i.get_gid() == f"frame-{point.frame}")
    left, right, bottom, top = image.get_extent()
    x = left + point.x / seen.clip.width * (right - left)
    return x, top - point.y / seen.clip.height * (top - bottom)


def test_arrows_run_from_the_query_to_the_links_places():
    seen = analysis()
    links = asked(seen, Point(3, 40.0, 20.0))
    figure = film_strip(seen, links)
    drawn = arrows(figure)
    assert len(drawn) == 6
    for one in links[0]:
        begin, end = drawn[f"link-1-{one.rank}"]._posA_posB
        assert begin == pytest.approx(expected(figure, seen, one.source))
        assert end == pytest.approx(expected(figure, seen, one.target))


def test_an_arrow_ends_on_the_right_pixel_of_the_png():
    """An orange arrow onto grey: orange up to its tip, none beyond."""
    seen = analysis((0, 1))
    flat = Clip(np.full((2, 64, 96, 3), 90, np.uint8), (0, 1), (0.0, 1.0), "a", 2)
    seen = Analysis(flat, seen.view, "net", seen.affinities, seen.fidelity)
    target = Point(1, 72.0, 48.0)
    figure = film_strip(seen, [(link(Point(0, 24.0, 48.0), target),)])
    pixels = np.asarray(Image.open(io.BytesIO(figure.png(dpi=300))).convert("RGB")).astype(int)
    x, y = (value / 2.54 * 300 for value in expected(figure, seen, target))
    row, column = round(len(pixels) - y), round(x)
    orange = np.abs(pixels - (0xE6, 0x9F, 0x00)).sum(-1) < 60
    assert orange[row - 6 : row + 7, column - 10 : column + 1].any()
    assert not orange[row - 40 : row + 41, column + 4 : column + 200].any()
    assert not orange[row + 8 : row + 40, column - 40 : column + 200].any()


def test_frames_are_where_the_images_show_them():
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    assert [i.get_gid() for i in figure.drawing.axes[0].images] == [f"frame-{i}" for i in INDICES]
    for image, frame in zip(figure.drawing.axes[0].images, seen.clip.frames, strict=True):
        np.testing.assert_array_equal(image.get_array(), frame)
        left, right, bottom, top = image.get_extent()
        assert (right - left) / (top - bottom) == pytest.approx(96 / 64)


def test_width_and_opacity_rise_with_weight():
    seen = analysis()
    source = Point(0, 10.0, 10.0)
    weights = (0.9, 0.5, 0.1)
    links = [link(source, Point(3, 9.0 * i, 30.0), w, i) for i, w in enumerate(weights, 1)]
    drawn = arrows(film_strip(seen, [links]))
    widths = [drawn[f"link-1-{i}"].get_linewidth() for i in (1, 2, 3)]
    opacities = [drawn[f"link-1-{i}"].get_alpha() for i in (1, 2, 3)]
    assert widths == sorted(widths, reverse=True)
    assert opacities == sorted(opacities, reverse=True)
    assert opacities[0] == 1.0
    assert len(set(widths)) == len(set(opacities)) == 3


def test_a_negative_weight_is_dashed_and_told():
    seen = analysis()
    source = Point(0, 10.0, 10.0)
    links = [link(source, Point(3, 9.0, 30.0), 0.4, 1), link(source, Point(6, 9.0, 30.0), -0.8, 2)]
    figure = film_strip(seen, [links])
    drawn = arrows(figure)
    assert drawn["link-1-1"].get_linestyle() in ("-", "solid")
    assert drawn["link-1-2"].get_linestyle() not in ("-", "solid")
    assert drawn["link-1-2"].get_linewidth() > drawn["link-1-1"].get_linewidth()
    assert any("|weight|" in word for word in words(figure))
    assert any("dashed: negative" in word for word in words(figure))


def test_several_queries_have_their_own_colours():
    seen = analysis()
    points = [Point(frame, 11.0 * n + 5, 30.0) for n, frame in enumerate(INDICES * 2)]
    figure = film_strip(seen, asked(seen, *points, k=2))
    colours = {p.get_edgecolor()[:3] for p in arrows(figure).values()}
    assert len(arrows(figure)) == 16
    assert len(colours) == 8
    assert len(set(PALETTE)) == 8


def test_the_query_is_marked_with_the_footprint_of_its_cell():
    seen = analysis()
    point = Point(6, 41.0, 21.0)
    figure = film_strip(seen, asked(seen, point))
    box = next(p for p in figure.drawing.axes[0].patches if p.get_gid() == "footprint-6")
    left, top = expected(figure, seen, Point(6, 40.0, 16.0))
    right, bottom = expected(figure, seen, Point(6, 48.0, 24.0))
    assert box.get_path().get_extents().bounds == pytest.approx(
        (left, bottom, right - left, top - bottom)
    )
    dots = [tuple(line.get_xydata()[0]) for line in figure.drawing.axes[0].lines]
    assert expected(figure, seen, point) == pytest.approx(dots[0])


def test_the_legend_tells_block_grids_scale_and_share():
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    figure = film_strip(seen, links)
    covered = 100 * sum(one.share for one in links[0])
    told = words(figure)
    assert "nl5" in told
    assert "queries 4×8×12, keys 4×4×6" in told
    assert f"frame 0, (40, 20): 6 links cover {covered:.3g} % of the row's weight" in told
    least, most = min(one.weight for one in links[0]), max(one.weight for one in links[0])
    assert f"affinity weight {least:.2g}" in told
    assert f"{most:.2g}" in told
    assert told[:4] == ["frame 0", "3", "6", "9"]
    assert not any("importan" in word for word in told)


def test_two_blocks_are_both_named():
    seen = analysis()
    point = Point(0, 40.0, 20.0)
    figure = film_strip(seen, asked(seen, point) + asked(seen, point, block="nl4"))
    assert {"nl4", "nl5"} <= set(words(figure))
    assert any("in nl4: 6 links" in word for word in words(figure))


@pytest.mark.slow
@pytest.mark.parametrize("width_cm", [8.0, 8.4, 12.0, 17.4])
@pytest.mark.parametrize("queries", [1, 8])
def test_nothing_leaves_the_page(width_cm, queries):
    seen = analysis()
    points = [Point(9, 90.0 - n, 1.0 + n) for n in range(queries)]
    figure = film_strip(seen, asked(seen, *points), width_cm=width_cm)
    figure.png(dpi=72)
    width, height = figure.drawing.bbox.size
    renderer = figure.drawing.canvas.get_renderer()
    page = figure.drawing.axes[0]
    for artist in [*page.texts, *page.patches, *page.images]:
        box = artist.get_window_extent(renderer)
        assert box.x0 >= -0.5, artist
        assert box.x1 <= width + 0.5, artist
        assert box.y0 >= -0.5, artist
        assert box.y1 <= height + 0.5, artist


def test_more_than_eight_frames_wrap_into_even_rows():
    seen = analysis(tuple(range(10)))
    links = asked(seen, Point(0, 40.0, 20.0))

    def rows(figure: Figure) -> list[int]:
        tops = [round(i.get_extent()[3], 3) for i in figure.drawing.axes[0].images]
        return [tops.count(top) for top in sorted(set(tops), reverse=True)]

    assert rows(film_strip(seen, links)) == [5, 5]
    assert rows(film_strip(seen, links, columns=4)) == [4, 4, 2]
    assert rows(film_strip(seen, links, columns=99)) == [10]


def test_an_image_is_one_frame_without_a_number():
    seen = analysis((0,))
    links = [top_links(seen, Query(Point(0, 40.0, 20.0), "nl5", exclude="cell"))]
    figure = film_strip(seen, links)
    assert len(figure.drawing.axes[0].images) == 1
    assert words(figure)[0] == "nl5"
    assert figure.png(dpi=50).startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3000, 17), (17, 3000)])
def test_odd_sizes_are_drawn(size):
    seen = analysis((0, 1), *size)
    figure = film_strip(seen, [(link(Point(0, 0.5, 0.5), Point(1, 0.5, 0.5)),)])
    assert figure.png(dpi=50)
    assert figure.drawing.get_size_inches()[1] < 12


def test_svg_is_vector_with_the_frames_inside():
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    root = ElementTree.fromstring(figure.svg())
    images = root.findall(f".//{SVG}image")
    assert len(images) == 4
    links = {e.get("id"): e for e in root.iter() if (e.get("id") or "").startswith("link-")}
    assert len(links) == 6
    for group in links.values():
        assert any(
            "C" in path.get("d") or "Q" in path.get("d") for path in group.iter(f"{SVG}path")
        )
    assert not root.findall(f".//{SVG}text"), "words are paths"
    for image in images:
        source = next(value for key, value in image.attrib.items() if key.endswith("href"))
        assert source.startswith("data:image/png;base64,")
    assert b"<dc:date>" not in figure.svg()


def test_pdf_is_vector_with_its_fonts_and_the_frames_inside():
    seen = analysis()
    content = film_strip(seen, asked(seen, Point(0, 40.0, 20.0))).pdf()
    assert len(re.findall(rb"/Subtype /Image", content)) == 4
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    streams = [
        zlib.decompress(body)
        for body in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
        if body[:1] == b"\x78"
    ]
    page = max(streams, key=lambda body: body.count(b" c\n"))
    assert page.count(b" c\n") >= 6, "each link is a curve"
    assert page.count(b" Do") >= 4, "each frame is placed"
    assert b"/CreationDate" not in content


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_has_the_same_bytes(kind):
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    assert getattr(film_strip(seen, links), kind)() == getattr(film_strip(seen, links), kind)()


def test_frames_are_not_embedded_finer_than_print():
    seen = analysis((0, 1, 2, 3), 1920, 1080)
    figure = film_strip(seen, [(link(Point(0, 5.0, 5.0), Point(1, 5.0, 5.0)),)])
    for image in figure.drawing.axes[0].images:
        left, right, _, _ = image.get_extent()
        assert image.get_array().shape[1] <= math.ceil((right - left) / 2.54 * 300)


@pytest.mark.slow
def test_save_writes_by_the_ending(tmp_path):
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    starts = {"a.png": b"\x89PNG", "b.SVG": b"<?xml", "c.pdf": b"%PDF"}
    for name, start in starts.items():
        figure.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(starts)
    figure.save(str(tmp_path / "a.png"), dpi=100)
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == round(17.4 / 2.54 * 100) or image.width == int(17.4 / 2.54 * 100)


def test_default_png_is_for_print():
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    with Image.open(io.BytesIO(figure.png())) as image:
        assert image.width == pytest.approx(17.4 / 2.54 * 300, abs=1)


def test_unusable_targets_are_told(tmp_path):
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    (tmp_path / "folder.png").mkdir()
    for path, says in (
        ("figure.jpg", r"end its name in \.png, \.svg or \.pdf"),
        ("figure", r"end its name in \.png"),
        (tmp_path / "gone" / "a.png", "does not exist; create it first"),
        (tmp_path / "folder.png", "is a folder"),
        (tmp_path / ("a" * 300 + ".png"), "cannot be written"),
    ):
        with pytest.raises(ExportError, match=says):
            figure.save(path)
    with pytest.raises(FigureError, match="dpi must be 30 to 1200; got 5"):
        figure.png(dpi=5)
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]


def test_a_full_disk_leaves_the_old_figure_and_no_half_one(tmp_path, monkeypatch):
    seen = analysis()
    figure = film_strip(seen, asked(seen, Point(0, 40.0, 20.0)))
    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def full(path: Path, content: bytes) -> int:
        with open(path, "wb") as file:
            file.write(content[:100])
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="No space left on device"):
        figure.save(target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_impossible_figures_are_told():
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    stranger = link(Point(0, 1.0, 1.0), Point(5, 1.0, 1.0))
    for given, options, says in (
        ([], {}, "There are no links to draw"),
        ([links[0], ()], {}, "There are no links to draw"),
        (links * 9, {}, "9 queries have more colours"),
        ([(stranger,)], {}, "A link touches frame 5, which this analysis does not have"),
        (links, {"columns": 0}, "columns must be at least 1; got 0"),
        (links, {"width_cm": 2.0}, "8 to 100 cm wide; got 2"),
    ):
        with pytest.raises(FigureError, match=says):
            film_strip(seen, given, **options)


# Choices that a paper makes.


def svg(figure) -> ElementTree.Element:
    return ElementTree.fromstring(figure.svg())


def test_only_the_chosen_frames_are_drawn_and_the_legend_says_how_many_links(tmp_path):
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    frames = (0, links[0][0].target.frame)
    figure = film_strip(seen, links, style=Style(frames=frames))
    page = figure.drawing.axes[0]
    assert [i.get_gid() for i in page.images] == [f"frame-{frame}" for frame in frames]
    drawn = [link for link in links[0] if link.target.frame in frames]
    assert 0 < len(drawn) < len(links[0])
    assert sum((p.get_gid() or "").startswith("link-") for p in page.patches) == len(drawn)
    assert any(f"{len(drawn)} of them drawn" in words.get_text() for words in page.texts)
    with pytest.raises(FigureError, match="Frame 0, from which links go, is not among"):
        film_strip(seen, links, style=Style(frames=frames[1:]))
    with pytest.raises(FigureError, match="Frame 99 was not sampled"):
        film_strip(seen, links, style=Style(frames=(0, 99)))


def test_a_cell_of_several_frames_is_outlined_on_those_that_are_drawn():
    seen = analysis()
    affinity = seen.affinity("nl5")
    longer = replace(affinity.query_grid, stride=(2.0, 16.0, 16.0), first=(1.0, 8.0, 8.0))
    seen = replace(seen, affinities={"nl5": replace(affinity, query_grid=longer)})
    links = asked(seen, Point(0, 40.0, 20.0))
    covered = seen.view.footprint(seen.view.cell(Point(0, 40.0, 20.0), longer), longer).frames
    assert len(covered) == 2
    page = film_strip(seen, links, style=Style(frames=covered[:1])).drawing.axes[0]
    outlines = [p.get_gid() for p in page.patches if (p.get_gid() or "").startswith("footprint")]
    assert outlines == [f"footprint-{covered[0]}"]


def test_words_have_the_font_and_size_that_were_asked_and_the_page_its_width():
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    figure = film_strip(seen, links, style=Style(font="STIXGeneral", size=9.0))
    assert {words.get_fontfamily()[0] for words in figure.drawing.axes[0].texts} == {"STIXGeneral"}
    assert max(words.get_fontsize() for words in figure.drawing.axes[0].texts) == 9.0
    assert figure.drawing.get_figwidth() * 2.54 == pytest.approx(17.4)
    bare = film_strip(seen, links, width_cm=8.4, style=Style(size=9.0, titles=False))
    assert not list(bare.drawing.axes[0].texts)
    assert bare.drawing.get_figwidth() * 2.54 == pytest.approx(8.4)


def test_a_strip_for_each_block_has_its_own_scale_and_legend():
    seen = make.analysis()
    panels = [
        Panel(seen, [top_links(seen, Query(Point(5, 20.0, 10.0), block, k=5))])
        for block in seen.blocks
    ]
    figure = film_strips(panels, style=Style(colours=("tab:red",)))
    assert len(figure.drawing.axes) == 2
    for page, block in zip(figure.drawing.axes, seen.blocks, strict=True):
        assert page.texts[len(seen.clip.frames)].get_text() == block
    names = [part.get("id") for part in svg(figure).iter() if part.get("id")]
    assert len(names) == len(set(names))
    assert {"1-link-1-1", "2-link-1-1"} <= set(names)
    boxes = [page.get_position() for page in figure.drawing.axes]
    assert boxes[0].y0 > boxes[1].y1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"font": "No Such Font"}, "'No Such Font' is not installed"),
        ({"size": 2.0}, "must be 4 to 24 points; got 2"),
        ({"colours": ("green", "blurple")}, "'blurple' is not a colour"),
        ({"frames": ()}, "no frames to draw"),
    ],
)
def test_a_style_that_cannot_be_is_told(options, says):
    with pytest.raises(FigureError, match=says):
        Style(**options)


def test_words_without_room_are_told():
    seen = analysis()
    links = asked(seen, Point(0, 40.0, 20.0))
    with pytest.raises(FigureError, match=r"does not fit in 8\.4 cm; choose at most 6\.83 points"):
        film_strip(seen, links, width_cm=8.4, style=Style(size=9.0))


@pytest.mark.parametrize("name", [r"cost $x^{ in $\no", "$x$", "a$b", r"\$1"])
def test_a_name_with_dollar_signs_is_no_formula(name):
    whole = analysis()
    named = replace(
        whole,
        network=name,
        affinities={name: next(iter(whole.affinities.values()))},
        fidelity={name: 0.0},
        clip=replace(whole.clip, name=f"{name}.mp4"),
    )
    query = Query(Point(3, 20.0, 20.0), name, k=3)
    assert film_strip(named, [top_links(named, query)]).svg()
    letters = [legend._set(name), legend._set(name.replace("$", "S"))]
    assert letters[0] == pytest.approx(letters[1], rel=0.1), "as wide as its letters"
