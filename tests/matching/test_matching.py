"""Two clips against slow loops, a clip against itself, and what cannot be matched."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

import nlviz
from nlviz import Cell, Point, Region
from nlviz.affinity import Affinity
from nlviz.analysis import JOINED
from nlviz.errors import ExportError, FigureError, QueryError
from nlviz.export import matches_csv, matches_npz, mutual_csv
from nlviz.export.matches import how_made
from nlviz.figures import Heat
from nlviz.geometry import Grid, View
from nlviz.matching.command import match_command
from nlviz.matching.content import by_content
from nlviz.matching.one_clip import Behind
from tests.support import make

FUNCTIONS = ("gaussian", "embedded_gaussian", "dot_product", "concatenation")


def other(function: str = "embedded_gaussian", frames: int = 2, heads: int = 1):
    """Another clip of ``make.analysis``'s network: wider frames, fewer of them, its own grid."""
    clip = replace(make.clip(frames, 80, 40), name="other.mp4", path="other.mp4")
    queries, keys = Grid(frames, 5, 10), Grid(frames, 5, 5)
    rng = np.random.default_rng(5)
    affinities = {
        name: Affinity(
            function, rng.normal(size=(5, queries.size)), rng.normal(size=(5, grid.size)),
            queries, grid,
        )
        for name, grid in (("coarse", keys), ("fine", queries))
    }  # fmt: skip
    view = View((clip.width, clip.height), (clip.width, clip.height), clip.indices)
    return nlviz.Analysis(clip, view, "random", affinities, dict.fromkeys(affinities, 1e-7))


def slow_row(mine, theirs, i):
    """f(x_i, x_j)/C with j over the keys of the other clip, one at a time."""
    f = []
    for j in range(theirs.phi.shape[1]):
        product = float(sum(mine.theta[c, i] * theirs.phi[c, j] for c in range(mine.width)))
        if mine.rows_sum_to_one:
            f.append(math.exp(product))
        else:
            f.append(max(product, 0.0) if mine.function == "concatenation" else product)
    c = sum(f) if mine.rows_sum_to_one else len(f)
    return np.array(f) / c


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("block", ["coarse", "fine"])
def test_a_row_is_theta_of_the_one_against_phi_of_the_other_over_its_keys_alone(function, block):
    here, there = make.analysis(function), other(function)
    found = nlviz.match(here, there, block, at=Point(5, 20.0, 12.0))
    mine, theirs = here.affinity(block), there.affinity(block)
    cell = here.view.cell(Point(5, 20.0, 12.0), mine.query_grid)
    wanted = slow_row(mine, theirs, mine.query_grid.index(cell))
    np.testing.assert_allclose(found.row.weights.ravel(), wanted, rtol=2e-4, atol=1e-6)
    order = np.argsort(-wanted, kind="stable")[: len(found.links)]
    assert len(found.links) == min(20, len(wanted))
    for link, j in zip(found.links, order, strict=True):
        assert link.weight == pytest.approx(wanted[j], rel=2e-4, abs=1e-6)
        assert link.target == there.view.point(theirs.key_grid.cell(int(j)), theirs.key_grid)
        assert link.source == Point(5, 20.0, 12.0)
    assert found.best.rank == 1
    box = found.footprint
    assert box.x0 <= found.best.target.x < box.x1
    assert found.best.target.frame in box.frames


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_clip_matched_in_itself_has_its_own_rows(function):
    seen = make.analysis(function)
    for block in seen.blocks:
        paired = nlviz.pair(seen, seen, block)
        np.testing.assert_array_equal(paired.affinity.matrix(), seen.affinity(block).matrix())
        query = nlviz.Query(Point(10, 33.0, 21.0), block, k=7, exclude="none")
        theirs = nlviz.top_links(seen, query)
        assert nlviz.matched(paired, query.point, k=7).links == theirs


def test_softmax_rows_go_over_the_second_clip_alone_and_say_so():
    here, there = make.analysis(), other()
    paired = nlviz.pair(here, there, "coarse")
    assert nlviz.matched(paired, Point(0, 1.0, 1.0)).row.total == pytest.approx(1)
    (said,) = paired.sentences
    assert "a distribution over the places of 'other.mp4' alone" in said
    assert "no network weighed these" in said
    assert "no network weighed these" in paired.kind
    (said,) = nlviz.pair(make.analysis("dot_product"), other("dot_product"), "fine").sentences
    assert "distribution" not in said


def test_a_region_is_the_mean_over_its_cells_and_a_token_asks_too():
    here, there = make.analysis(special=True), make.analysis(special=True)
    paired = nlviz.pair(here, there, "special")
    box = Region.box(0, 1, 1, 22, 14)
    cells = here.view.cells(box, paired.affinity.query_grid)
    assert len(cells) > 1
    mean = paired.affinity.rows(cells).mean(axis=0)
    np.testing.assert_allclose(nlviz.matched(paired, box).row.weights, mean, rtol=1e-5)
    token = nlviz.matched(paired, "class")
    assert token.best.source is None
    assert set(token.row.tokens) == {"class"}
    assert token.row.total == pytest.approx(1)
    alone = nlviz.matched(paired, Point(0, 3.0, 3.0), head=1)
    want = paired.affinity.head(1).row(Cell(0, 0, 0))
    np.testing.assert_array_equal(alone.row.weights, want)


def test_which_links_exist_within_a_clip_does_not_bound_those_between_two():
    seen = make.analysis(special=True)
    paired = nlviz.pair(seen, seen, "special")
    assert seen.affinity("special").reach
    assert not paired.affinity.reach
    assert any("every place can be reached" in each for each in paired.sentences)
    partial = make.partial()
    paired = nlviz.pair(partial, partial, "memory")
    mine = partial.affinity("memory")
    assert np.array_equal(paired.affinity.has_query, mine.has_query)
    assert np.array_equal(paired.affinity.has_key, mine.has_key)
    np.testing.assert_allclose(paired.affinity.matrix(), mine.matrix(), rtol=1e-6)
    assert len(paired.sentences) == 1, "nothing was left out"
    with pytest.raises(QueryError, match="Nothing can be reached from there in block 'memory'"):
        nlviz.matched(paired, Point(0, 3.0, 3.0))


def test_a_bias_by_position_is_left_out_and_a_sink_stays():
    rng = np.random.default_rng(2)
    grid, heads = Grid(1, 2, 3), 2
    theta, phi = rng.normal(size=(2, heads, 4, grid.size))
    bias = rng.normal(size=(heads, grid.size, grid.size))
    eye = np.broadcast_to(np.eye(grid.size), bias.shape)
    with_bias = Affinity(
        "embedded_gaussian",
        np.concatenate([theta, bias.transpose(0, 2, 1)], axis=1).reshape(-1, grid.size),
        np.concatenate([phi, eye], axis=1).reshape(-1, grid.size),
        grid, grid, heads=heads,
    )  # fmt: skip
    without = Affinity(
        "embedded_gaussian", theta.reshape(-1, 6), phi.reshape(-1, 6), grid, grid, heads=heads
    )
    kept = by_content(with_bias)
    assert kept[2]
    assert not by_content(without)[2]
    np.testing.assert_array_equal(kept[0], without.theta)
    np.testing.assert_array_equal(kept[1], without.phi)
    torch = pytest.importorskip("torch")
    from nlviz.hooks.attention.sinks import with_sink

    sink = torch.tensor([0.5, -1.0])
    both, alone = (with_sink(each, sink) for each in (with_bias, without))
    kept = by_content(both)
    assert kept[2]
    np.testing.assert_array_equal(kept[0], alone.theta)
    np.testing.assert_array_equal(kept[1], alone.phi)
    assert not by_content(alone)[2]
    seen = replace(
        make.analysis(frames=1),
        affinities={"a": with_bias}, fidelity={"a": None},
    )  # fmt: skip
    assert any("bias by position" in each for each in nlviz.pair(seen, seen).sentences)


def test_mutual_pairs_are_the_greatest_of_their_row_and_of_their_column():
    here, there = make.analysis(), other()
    paired = nlviz.pair(here, there, "coarse")
    rows = paired.affinity.matrix()
    wanted = {
        (i, int(rows[i].argmax()))
        for i in range(len(rows))
        if int(rows[:, int(rows[i].argmax())].argmax()) == i
    }
    found = nlviz.mutual_pairs(paired)
    queries, keys = paired.affinity.query_grid, paired.affinity.key_grid
    got = {
        (
            queries.index(here.view.cell(each.here, queries)),
            keys.index(there.view.cell(each.there, keys)),
        )
        for each in found
    }
    assert got == wanted
    assert 0 < len(found) == len(wanted) < rows.shape[1] + 1
    weights = [each.weight for each in found]
    assert weights == sorted(weights, reverse=True)
    best = nlviz.matched(paired, found[0].here)
    assert best.back == found[0].here
    lone = next(i for i in range(len(rows)) if i not in {i for i, _ in wanted})
    point = here.view.point(queries.cell(lone), queries)
    assert nlviz.matched(paired, point).back != point
    partial = make.partial()
    paired = nlviz.pair(partial, partial, "memory")
    assert all(
        each.here.frame == 15 and each.there.frame < 15 for each in nlviz.mutual_pairs(paired)
    )


def test_cosine_is_that_of_the_blocks_input_in_both_clips():
    network = make.network()
    here = nlviz.analyse(make.clip(2), network)
    noise = np.random.default_rng(8).integers(0, 256, (1, 40, 80, 3), dtype=np.uint8)
    there = nlviz.analyse(nlviz.Clip(noise, (0,), (0.0,), "b.png", 1), network)
    paired = nlviz.pair(here, there, "second", of="cosine", network=network)
    inputs = []
    hook = network.module.second.register_forward_hook(lambda _, given, __: inputs.append(given[0]))
    for seen in (here, there):
        nlviz.analyse(seen.clip, network)
    hook.remove()
    x, y = (each[0].flatten(1).numpy() for each in inputs)
    wanted = [
        [float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b)) for b in y.T] for a in x.T
    ]
    np.testing.assert_allclose(paired.affinity.matrix(), wanted, atol=1e-5)
    assert paired.name == "second (cosine)"
    said = nlviz.as_one_clip([paired]).about("second (cosine)").sentences[0]
    assert "no network weighed these, cosine of features; rows are cosines, from −1 to 1" in said
    assert (
        nlviz.match(here, there, at=Point(0, 3.0, 3.0), of="cosine", network=network).best.weight
        <= 1
    )
    with pytest.raises(QueryError, match="runs the network again; give it"):
        nlviz.pair(here, there, of="cosine")
    with pytest.raises(QueryError, match="analysed by tiny; got small"):
        nlviz.pair(here, there, of="cosine", network=replace(network, name="small"))


def test_what_cannot_be_matched_is_said_in_one_sentence():
    here, there = make.analysis(), other()
    with pytest.raises(QueryError, match=r"by random and 'other.mp4' by another, whose features"):
        nlviz.pair(here, replace(there, network="another"))
    old, new = (
        replace(each, weights=f"sha256:{w * 64}") for each, w in ((here, "a"), (there, "b"))
    )
    with pytest.raises(
        QueryError, match=r"different weights, sha256:aaaaaaaaaaaa… and sha256:bbbb"
    ):
        nlviz.pair(old, new)
    assert nlviz.pair(old, replace(new, weights=old.weights), "fine")
    joined = replace(there, kinds={"coarse": f"non-local block {JOINED}"})
    with pytest.raises(QueryError, match=r"'other.mp4' is joined of several windows; match one"):
        nlviz.pair(here, joined)
    with pytest.raises(
        QueryError, match="Block 'none' is not captured; choose one of coarse, fine"
    ):
        nlviz.pair(here, there, "none")
    fewer = replace(there, affinities={"fine": there.affinity("fine")})
    with pytest.raises(QueryError, match=r"'coarse' is not there in 'other.mp4': it has fine"):
        nlviz.pair(here, fewer, "coarse")
    with pytest.raises(QueryError, match=r"Block 'coarse' computes something else in 'other.mp4'"):
        nlviz.pair(here, other("dot_product"), "coarse")
    tokened = make.analysis(special=True)
    renamed = {"special": tokened.affinity("special").named({"class": "register"})}
    with pytest.raises(QueryError, match="'special' has other tokens"):
        nlviz.pair(tokened, replace(tokened, affinities=renamed), "special")
    with pytest.raises(QueryError, match="compared by weights or cosine; got 'sine'"):
        nlviz.pair(here, there, of="sine")
    with pytest.raises(QueryError, match="Frame 3 was not sampled"):
        nlviz.match(here, there, at=Point(3, 1.0, 1.0))
    with pytest.raises(QueryError, match="k must be at least 1"):
        nlviz.matched(nlviz.pair(here, there), Point(0, 1.0, 1.0), k=0)
    with pytest.raises(QueryError, match="Head 3 does not exist"):
        nlviz.matched(nlviz.pair(here, there), Point(0, 1.0, 1.0), head=3)


@pytest.mark.parametrize("block", ["coarse", "fine"])
@pytest.mark.parametrize("swapped", [False, True])
def test_as_one_clip_it_answers_the_same_at_the_same_places(block, swapped):
    here, there = (other(), make.analysis()) if swapped else (make.analysis(), other())
    paired = nlviz.pair(here, there, block)
    whole = nlviz.as_one_clip([paired])
    behind = Behind.of(here, there)
    count = len(here.clip.frames)
    assert whole.clip.indices[:count] == here.clip.indices
    np.testing.assert_array_equal(whole.clip.frames[:count], here.clip.frames)
    assert "no network weighed these" in whole.clip.notes[0]
    assert whole.fidelity == {block: None}
    for point in (Point(0, 2.0, 3.0), Point(5, 60.0, 30.0)):
        alone = nlviz.matched(paired, point, k=8)
        links = nlviz.top_links(whole, nlviz.Query(point, block, k=8))
        assert [link.weight for link in links] == pytest.approx(
            [link.weight for link in alone.links], rel=1e-5
        )
        assert [link.share for link in links] == pytest.approx(
            [link.share for link in alone.links], rel=1e-5
        )
        for one, other_ in zip(links, alone.links, strict=True):
            back = behind.point(one.target)
            assert (back.frame, back.x, back.y) == pytest.approx(
                (other_.target.frame, other_.target.x, other_.target.y)
            )
    last = whole.clip.indices[-1]
    with pytest.raises(QueryError, match="its queries lie on frames 0"):
        nlviz.top_links(whole, nlviz.Query(Point(last, 5.0, 5.0), block))
    with pytest.raises(QueryError, match="its keys lie on frames"):
        nlviz.top_links(whole, nlviz.Query(Point(0, 5.0, 5.0), block, reverse=True))
    looked = nlviz.row_of(whole, nlviz.Query(Point(last, 30.0, 20.0), block, reverse=True))
    key = there.view.cell(behind.point(Point(last, 30.0, 20.0)), paired.affinity.key_grid)
    mine = looked.weights[: paired.affinity.query_grid.t]
    np.testing.assert_allclose(mine, paired.affinity.column(key), rtol=1e-5)


def test_as_one_clip_a_step_of_two_frames_and_a_photo_keep_to_their_own_clip():
    here, photo = make.analysis(frames=4), other(frames=1)
    two = Grid(2, 6, 8, (2.0, 8.0, 8.0), (1.0, 4.0, 4.0))
    theta = np.random.default_rng(0).normal(size=(5, two.size))
    here = replace(here, affinities={"fine": Affinity("embedded_gaussian", theta, theta, two, two)})
    repeated = replace(
        photo.affinity("fine"), key_grid=Grid(1, 5, 10, (2.0, 8.0, 8.0), (1.0, 4.0, 4.0))
    )
    photo = replace(photo, affinities={"fine": repeated})
    for a, b in ((here, photo), (photo, here), (here, here)):
        paired = nlviz.pair(a, b, "fine")
        whole = nlviz.as_one_clip([paired])
        point = Point(a.clip.indices[-1], 30.0, 20.0)
        alone = nlviz.matched(paired, point)
        links = nlviz.top_links(whole, nlviz.Query(point, "fine"))
        assert [link.weight for link in links] == pytest.approx([x.weight for x in alone.links])
        assert {link.target.frame for link in links} <= set(
            whole.clip.indices[len(a.clip.frames) :]
        )


def test_a_page_and_a_session_hold_both_clips_and_what_has_to_be_said(tmp_path):
    from nlviz.export import Provenance, Session, open_session, page, save

    paired = nlviz.pair(make.analysis(), other(), "fine")
    whole, query = nlviz.as_one_clip([paired]), nlviz.Query(Point(0, 2.0, 3.0), "fine")
    made = Provenance.of(whole, [query], command="python -m nlviz match …")
    assert "no network weighed these" in page(whole, [query], made).decode()
    file = tmp_path / "both.nlviz"
    file.write_bytes(save(Session(whole, made, (query,))))
    again = open_session(file).analysis
    assert nlviz.top_links(again, query) == nlviz.top_links(whole, query)
    assert "no network weighed these" in again.about("fine").sentences[0]
    with pytest.raises(QueryError, match="nothing to draw"):
        nlviz.as_one_clip([])
    with pytest.raises(QueryError, match="those of the same two"):
        nlviz.as_one_clip([paired, nlviz.pair(make.analysis(), other(), "fine")])


def test_tables_and_arrays_hold_both_clips_checksums_and_the_links():
    paired = nlviz.pair(make.analysis(), other(), "coarse")
    found = [
        nlviz.matched(paired, Point(0, 2.0, 3.0), k=3),
        nlviz.matched(paired, Point(5, 9.0, 9.0), k=2),
    ]
    head, columns, *lines = matches_csv(found, command="typed").decode().splitlines()
    told = json.loads(head.removeprefix("# "))
    assert told["command"] == "typed"
    assert told["of"] == "weights"
    assert told["checksum"] == nlviz.export.Provenance.of(paired.here).checksum
    assert told["in"]["checksum"] == nlviz.export.Provenance.of(paired.there).checksum
    assert told["checksum"] != told["in"]["checksum"]
    assert told["about"] == list(paired.sentences)
    assert len(lines) == 5
    assert columns.endswith("to_frame,to_x,to_y")
    with np.load(io.BytesIO(matches_npz(found))) as arrays:
        np.testing.assert_array_equal(arrays["rows/1"], found[1].row.weights)
        np.testing.assert_array_equal(arrays["coarse/phi"], other().affinity("coarse").phi)
        described = json.loads(str(arrays["nlviz"]))
    assert described["block"]["key_cells"]["x"] == [8.0, 24.0, 40.0, 56.0, 72.0]
    pairs = nlviz.mutual_pairs(paired)
    head, columns, *lines = mutual_csv(paired, pairs).decode().splitlines()
    assert columns == "frame,x,y,to_frame,to_x,to_y,weight"
    assert len(lines) == len(pairs)
    with pytest.raises(ExportError, match="of one pairing"):
        matches_csv([])


def test_the_command_is_given_only_where_it_gives_the_same():
    here, there = make.analysis(), other(frames=4)
    named = [replace(each, network="nl-lite0") for each in (here, there)]
    assert match_command([nlviz.match(here, there, at=Point(0, 1.0, 1.0))]) is None
    assert match_command([]) is None
    sized = [
        replace(each, view=replace(each.view, input=size))
        for each, size in zip(named, ((320, 240), (320, 160)), strict=True)
    ]
    found = nlviz.match(*sized, "fine", at=Point(0, 1.0, 1.0))
    command = match_command([found])
    assert command == (
        "python -m nlviz match noise.mp4 --at 0,1,1 --block fine --k 20 --frames 4 --stride 5 "
        "--model nl-lite0 --size 320 --in other.mp4"
    )
    assert how_made(found.pairing, [found])["command"] == command
    other_size = replace(sized[1], view=replace(sized[1].view, input=(160, 96)))
    assert match_command([nlviz.match(sized[0], other_size, "fine", at=Point(0, 1.0, 1.0))]) is None


def test_strips_lie_above_each_other_and_arrows_lead_from_place_to_target():
    here, there = make.analysis(), other()
    paired = nlviz.pair(here, there, "coarse")
    found = [
        nlviz.matched(paired, Point(5, 20.0, 12.0), k=4),
        nlviz.matched(paired, Point(0, 8.0, 8.0), k=3),
    ]
    figure = nlviz.match_strips(found, heat=Heat(found[0].query))
    drawn = {p.get_gid(): p for page in figure.drawing.axes for p in page.patches}
    arrows = {name: p for name, p in drawn.items() if (name or "").startswith("link-")}
    assert len(arrows) == 7
    begin, end = arrows["link-1-1"]._posA_posB
    assert begin[1] > end[1], "from the upper strip to the lower"
    words = [text.get_text() for page in figure.drawing.axes for text in page.texts]
    assert "θ of the upper clip, φ of the lower: no network weighed these" in words
    assert {"noise.mp4", "other.mp4"} <= set(words)
    bare = nlviz.match_strips(found, style=nlviz.Style(titles=False))
    assert [t.get_text() for page in bare.drawing.axes for t in page.texts] == [
        "θ of the upper clip, φ of the lower: no network weighed these"
    ]
    assert figure.png(dpi=60)[:4] == b"\x89PNG"
    assert len(figure.made) == 2
    token = make.analysis(special=True)
    assert nlviz.match_strips([nlviz.match(token, token, "special", at="class")]).svg()
    with pytest.raises(FigureError, match="no matches"):
        nlviz.match_strips([])
    with pytest.raises(FigureError, match="several pairings"):
        nlviz.match_strips([found[0], nlviz.match(here, there, "coarse", at=Point(0, 1.0, 1.0))])
    with pytest.raises(FigureError, match="at most 8"):
        nlviz.match_strips(found[:1] * 9)
    with pytest.raises(FigureError, match="frames of their own"):
        nlviz.match_strips(found, style=nlviz.Style(frames=(0,)))


def test_a_layers_similarity_stays_a_cosine_in_a_clip_of_another_length():
    network = make.network()
    here, there = (
        nlviz.analyse(make.clip(frames), network, features=["stem"]) for frames in (2, 1)
    )
    paired = nlviz.pair(here, there, "stem (similarity)")
    assert "logits" not in nlviz.as_one_clip([paired]).about("stem (similarity)").function
    x, y = (each.affinity("stem (similarity)").theta for each in (here, there))
    wanted = [
        [float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b)) for b in y.T] for a in x.T
    ]
    np.testing.assert_allclose(paired.affinity.matrix(), wanted, atol=1e-5)
