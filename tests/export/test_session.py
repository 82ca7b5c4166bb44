"""Session files: opened again to the same picture; what is wrong with one is one sentence."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import numpy as safetensors

from nlviz import (
    Analysis,
    ExportError,
    Point,
    Prediction,
    Query,
    Region,
    export,
    film_strip,
    top_links,
)
from nlviz.cli import main
from nlviz.export import session_contents
from nlviz.models.score_windows import ScoreWindows
from tests.support import make

ROOT = Path(__file__).resolve().parents[2]
QUERIES = (
    Query(Point(5, 20.0, 10.0), "special", k=4),
    Query(Region.box(0, 3.0, 3.0, 30.0, 30.0), "fine", k=3),
    Query(Point(10, 40.0, 40.0), "special", k=2, reverse=True, exclude="none"),
)


@pytest.fixture(scope="module")
def session():
    analysis = make.analysis(special=True)
    made = export.Provenance.of(analysis, QUERIES, command="python -m nlviz …")
    return export.Session(analysis, made, QUERIES, {"opacity": 0.5})


@pytest.fixture(scope="module")
def content(session) -> bytes:
    return export.save(session)


@pytest.mark.slow
def test_a_session_opens_to_the_same_picture(session, content):
    again = export.open_session(content)
    assert again.queries == session.queries
    assert again.provenance == session.provenance
    assert again.settings == session.settings
    answers = [top_links(session.analysis, query) for query in QUERIES]
    assert [top_links(again.analysis, query) for query in again.queries] == answers
    picture = film_strip(session.analysis, answers).png(dpi=60)
    assert film_strip(again.analysis, answers).png(dpi=60) == picture
    assert export.save(again) == content


def test_masks_of_a_session_are_those_that_were_saved():
    analysis = make.masked()
    made = export.Provenance.of(analysis, (), command="python -m nlviz …")
    again = export.open_session(export.save(export.Session(analysis, made, (), {}))).analysis
    for block, affinity in analysis.affinities.items():
        (links,), (opened,) = affinity.reach, again.affinity(block).reach
        assert opened.arrays.keys() == links.arrays.keys()
        assert all(np.array_equal(opened.arrays[name], each) for name, each in links.arrays.items())
        np.testing.assert_array_equal(again.affinity(block).matrix(), affinity.matrix())


def test_no_field_of_an_analysis_is_forgotten(session, content):
    whole = replace(
        session.analysis,
        prediction=(Prediction("cat", 0.75),),
        score_windows=ScoreWindows(160, 2),
        refused={"odd": "Nobody knows."},
        kinds={"fine": "self-attention"},
        places={"fine": "the network's own record"},
        sizes={"fine": np.arange(192, dtype=np.float32)},
        weights="sha256:0123",
    )
    made = export.Provenance.of(whole)
    saved = export.save(replace(session, analysis=whole, provenance=made))
    again = export.open_session(saved).analysis
    plain = {"view", "network", "fidelity", "prediction", "refused", "kinds", "places", "weights"}
    plain |= {"score_windows"}
    for name in plain:
        assert getattr(again, name) == getattr(whole, name), name
    np.testing.assert_array_equal(again.sizes["fine"], whole.sizes["fine"])
    assert {each.name for each in fields(Analysis)} == plain | {"clip", "affinities", "sizes"}


def test_names_in_a_session_file_are_restricted_on_the_way_in(session):
    """Nothing that does not show comes in, and nothing without an end."""
    odd, long = "a\x00b\u202ec\nd", "n" * 100_000
    whole = replace(
        session.analysis,
        clip=replace(session.analysis.clip, name=odd, notes=(odd, long)),
        network=long,
        prediction=(Prediction(odd, 0.5), Prediction(long, 0.4)),
        refused={odd: long},
        kinds={"fine": odd},
    )
    made = replace(export.Provenance.of(whole), command=long, model=odd)
    again = export.open_session(export.save(replace(session, analysis=whole, provenance=made)))
    seen = again.analysis
    assert seen.clip.name == seen.prediction[0].label == seen.kinds["fine"] == "a b c d"
    assert again.provenance.model == "a b c d"
    assert len(seen.network) == len(seen.prediction[1].label) == 300
    assert len(seen.clip.notes[1]) == len(again.provenance.command) == 8000
    ((name, why),) = seen.refused.items()
    assert (name, len(why)) == ("a b c d", 8000)


def test_a_session_from_before_windows_opens_with_its_scores(session):
    whole = replace(session.analysis, prediction=(Prediction("cat", 0.25),))
    made = export.Provenance.of(whole)
    assert made.scores == "the pass that is drawn"
    saved = export.save(replace(session, analysis=whole, provenance=made))

    def older(parts):
        text = json.loads(parts["session.json"])
        del text["score_windows"], text["provenance"]["scores"]
        return {**parts, "session.json": json.dumps(text).encode()}

    again = export.open_session(rewritten(saved, older))
    assert again.analysis.prediction == whole.prediction
    assert again.analysis.score_windows is None
    assert again.provenance == replace(made, scores=None)


@pytest.mark.parametrize(
    "wrong", ["many", {"size": 0, "count": 3}, {"size": 224, "count": 5000}, {"size": 224}]
)
def test_windows_that_nothing_runs_are_refused(content, wrong):
    with pytest.raises(ExportError, match="is damaged or was changed"):
        export.open_session(rewritten(content, told(score_windows=wrong)))


def test_every_export_says_what_class_scores_come_from(session):
    seen = replace(
        session.analysis, prediction=(Prediction("cat", 0.2),), score_windows=ScoreWindows()
    )
    made = export.Provenance.of(seen)
    words = "class scores from three square windows at 224 pixels, mean of logits"
    assert words in made.words
    assert words.partition("from ")[2] in made.json
    assert export.page(seen, QUERIES[:1], made).decode().count(words) >= 2  # heading and foot
    assert "class scores" not in export.Provenance.of(session.analysis).words


@pytest.mark.parametrize("name", ["a\nb", "\u202eb", "b" * 301])
def test_a_block_whose_name_does_not_show_is_refused_by_both_sides(session, name, monkeypatch):
    only = {name: session.analysis.affinities["fine"]}
    whole = replace(session.analysis, affinities=only, fidelity={name: 0.0}, kinds={}, sizes={})
    made = export.Provenance.of(whole)
    unkept = replace(session, analysis=whole, provenance=made, queries=())
    with pytest.raises(ExportError, match="takes names of up to 300 signs that all show"):
        export.save(unkept)
    with monkeypatch.context() as patch:
        patch.setattr(session_contents, "is_name", lambda _: True)
        content = export.save(unkept)
    with pytest.raises(ExportError, match="a block's name is too long or has signs that do not"):
        export.open_session(content)


def test_it_holds_nothing_but_json_and_safetensors(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    assert json.loads(parts.pop("session.json"))["network"] == "random"
    frames = safetensors.load(parts.pop("frames.safetensors"))["frames"]
    np.testing.assert_array_equal(frames, make.clip().frames)
    assert "coarse/theta" in safetensors.load(parts.pop("blocks.safetensors"))
    assert parts == {}


def rewritten(content: bytes, change, compression=zipfile.ZIP_STORED) -> bytes:
    """The same zip after ``change`` has had its parts."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        parts = [(name, file.read(name)) for name in file.namelist()]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        for name, part in change(dict(parts)).items():
            file.writestr(name, part)
    return made.getvalue()


def told(**changes):
    """A change of session.json: the value at a path such as clip__name."""

    def change(parts):
        text = json.loads(parts["session.json"])
        for path, value in changes.items():
            *way, last = path.split("__")
            at = text
            for step in way:
                at = at[step]
            at[last] = value
        return {**parts, "session.json": json.dumps(text).encode()}

    return change


def blocks(**changes):
    def change(parts):
        arrays = {**safetensors.load(parts["blocks.safetensors"]), **changes}
        return {**parts, "blocks.safetensors": safetensors.save(arrays)}

    return change


def without(name):
    return lambda parts: {key: part for key, part in parts.items() if key != name}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without("frames.safetensors"), "lacks frames.safetensors"),
        (lambda parts: {**parts, "../../climbs": b""}, r"'\.\./\.\./climbs', which does not"),
        (lambda parts: {**parts, "/etc/passwd": b""}, "does not belong in a session file"),
        (lambda parts: {**parts, "session.json": b"{"}, "damaged or was changed"),
        (lambda parts: {**parts, "session.json": b"[" * 100_000}, "damaged or was changed"),
        (lambda parts: {**parts, "session.json": b"[]"}, "expected an object, got"),
        (lambda parts: {**parts, "blocks.safetensors": b"x" * 99}, "damaged or was changed"),
        (told(format=4, nlviz="9.1"), "written by nlviz 9.1 in format 4.*open it with the version"),
        (told(clip__indices=[0, 5, 10]), "4 frames needs as many indices"),
        (told(clip__indices=[0, 10, 5, 15]), "not in order"),
        (told(clip__total="20"), "expected a whole number from 1, got '20'"),
        (told(view__source=[9, 9]), "another size than the view"),
        (told(view__input=[64, 0]), "expected a whole number from 1, got 0"),
        (told(view__input=[40_000, 40_000]), "network's input is larger than any that is run"),
        (told(blocks__coarse__query_grid__stride=[1, 1e-300, 1]), "lie within the frames"),
        (told(blocks__coarse__query_grid__first=[0, -1e300, 0]), "first cell must lie near"),
        (told(queries=[{"region": {"frame": 0, "outline": [[1, 1]] * 100_001}}]), "more than 100"),
        (told(blocks__coarse__query_grid__rows=7), "do not fit the grids"),
        (told(blocks__coarse__query_grid__stride=[1, 0, 1]), "stride must be positive"),
        (told(blocks__coarse__heads=10**9), "do not split into 1000000000 heads"),
        (told(blocks__coarse__function="eval"), "Function 'eval' is unknown"),
        (told(blocks__coarse__scale=float("nan")), "NaN is not a number"),
        (told(blocks__new={}), r"it has no 'reach'"),
        (told(queries=[{"at": {"frame": 3, "x": 1, "y": 1}}]), "Frame 3 was not sampled"),
        (told(blocks={}, queries=[]), "it has no block"),
        (told(refused=[]), "expected an object, got"),
        (told(provenance={}), "the provenance is not whole"),
        (blocks(**{"coarse/theta": np.ones((5, 4), np.float32)}), "do not fit the grids"),
        (blocks(**{"fine/phi": np.full((5, 192), np.nan, np.float32)}), "not what it should be"),
        (blocks(**{"fine/phi": np.ones((5, 192), np.float64)}), "not what it should be"),
        (blocks(**{"fine/sizes": np.ones(191, np.float32)}), "fine/sizes is not what it should be"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_session_file_is_one_sentence(content, change, says):
    with pytest.raises(ExportError, match=says) as error:
        export.open_session(rewritten(content, change))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("claims", [(4, 6, 8), (2000, 20_000, 20_000)])
def test_a_block_cannot_claim_cells_that_hold_no_number(content, claims):
    cells = int(np.prod(claims))

    def change(parts):
        grid = dict(zip(("t", "rows", "cols"), claims, strict=True), stride=None, first=None)
        parts = told(blocks__fine__query_grid=grid, blocks__fine__key_grid=grid)(parts)
        head = {
            f"fine/{name}": {"dtype": "F32", "shape": [0, cells], "data_offsets": [0, 0]}
            for name in ("theta", "phi")
        }
        arrays = safetensors.load(parts["blocks.safetensors"])
        kept = {name: array for name, array in arrays.items() if not name.startswith("fine/")}
        written = safetensors.save(kept)
        length = int.from_bytes(written[:8], "little")
        text = json.dumps({**json.loads(written[8 : 8 + length]), **head}).encode()
        body = len(text).to_bytes(8, "little") + text + written[8 + length :]
        return {**parts, "blocks.safetensors": body}

    with pytest.raises(ExportError, match="θ and φ have no channels"):
        export.open_session(rewritten(content, change))


@pytest.mark.parametrize(("steps", "opens"), [(1024, True), (1025, False), (1_000_000, False)])
def test_a_block_cannot_have_far_more_time_steps_than_the_clip_has_frames(content, steps, opens):
    grid = {"t": steps, "rows": 1, "cols": 1, "stride": None, "first": None}

    def change(parts):
        parts = told(blocks__fine__query_grid=grid, blocks__fine__key_grid=grid)(parts)
        ones = np.ones((1, steps), np.float32)
        return blocks(**{"fine/theta": ones, "fine/phi": ones})(parts)

    if opens:
        session = export.open_session(rewritten(content, change))
        assert session.analysis.affinity("fine").query_grid.t == steps
    else:
        with pytest.raises(ExportError, match="far more time steps than the clip has frames"):
            export.open_session(rewritten(content, change))


def test_a_file_cut_short_or_of_another_kind_is_told(content, tmp_path):
    for wrong in (content[:-30], content[: len(content) // 2], b"", b"PK", b"GIF89a"):
        with pytest.raises(ExportError, match="is not a session file, or it is cut short"):
            export.open_session(wrong)
    middle = len(content) // 2
    with pytest.raises(ExportError, match="cut short or damaged"):
        export.open_session(content[:middle] + b"?!?!" + content[middle + 4 :])
    with pytest.raises(ExportError, match=r"none\.nlviz' cannot be read \(No such file"):
        export.open_session(tmp_path / "none.nlviz")


def test_nothing_can_unfold_to_more_than_lies_in_the_file(content):
    bomb = rewritten(
        content,
        lambda parts: {**parts, "frames.safetensors": bytes(50_000_000)},
        zipfile.ZIP_DEFLATED,
    )
    assert len(bomb) < 300_000
    with pytest.raises(ExportError, match="has a compressed part"):
        export.open_session(bomb)
    # The directory says that a part is larger than it is, in both places.
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        size = file.getinfo("frames.safetensors").file_size.to_bytes(4, "little")
    liar = content.replace(size + size, (3_000_000_000).to_bytes(4, "little") * 2)
    assert liar != content
    with pytest.raises(ExportError, match=r"says that frames\.safetensors has 3000000000 bytes"):
        export.open_session(liar)


@pytest.mark.slow
def test_the_command_line_saves_a_session_and_asks_it_without_the_model(tmp_path, monkeypatch):
    clip = make.picture(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    small = ["--size", "64", "--device", "cpu"]
    assert main(["export", str(clip), "--at", "0,25,25", *small, "-o", "a.nlviz"]) == 0
    assert main(["export", str(clip), "--at", "0,25,25", *small, "-o", "a.csv"]) == 0
    clip.unlink()
    # Another process, in which no network can be loaded.
    script = (
        "import sys; from nlviz.models import zoo; zoo.load = None; from nlviz.cli import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    line = [sys.executable, "-c", script, "export", "a.nlviz", "-o", "b.csv"]
    env = {"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, capture_output=True, text=True, env=env)
    assert done.stderr == "Wrote b.csv.\n"
    before, after = (Path(name).read_text().splitlines() for name in ("a.csv", "b.csv"))
    assert before[1:] == after[1:]
    made, again = (json.loads(lines[0][2:]) for lines in (before, after))
    assert made.pop("command") != again.pop("command")
    assert made == again
    assert main(["links", "a.nlviz", "--at", "0,40,20"]) == 0


def test_a_session_cannot_run_its_network_again(tmp_path, content, capsys):
    file = tmp_path / "a.nlviz"
    file.write_bytes(content)
    asked = ["links", str(file), "--at", "0,9,9", "--block", "fine"]
    assert main([*asked, "--baseline", "cosine"]) == 2
    assert "has no network to run again" in capsys.readouterr().err
    assert main([*asked, "--size", "64"]) == 0
    assert "A session keeps the frames and the size" in capsys.readouterr().err


def tied():
    """An analysis whose blocks look with what they are looked at."""
    analysis = make.analysis()
    affinities = {}
    for block, each in analysis.affinities.items():
        if each.theta.shape == each.phi.shape:
            each = replace(each, phi=each.theta.copy())
        affinities[block] = each
    assert any(np.array_equal(each.theta, each.phi) for each in affinities.values())
    return replace(analysis, affinities=affinities)


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}


def of(analysis):
    return export.Session(analysis, export.Provenance.of(analysis))


def test_a_phi_that_equals_theta_is_stored_once():
    content, analysis = export.save(of(tied())), tied()
    parts = parts_of(content)
    assert json.loads(parts["session.json"])["format"] == 2
    names = safetensors.load(parts["blocks.safetensors"]).keys()
    opened = export.open_session(content).analysis
    for block, each in analysis.affinities.items():
        same = np.array_equal(each.theta, each.phi)
        assert (f"{block}/phi" in names) is not same
        np.testing.assert_array_equal(opened.affinity(block).theta, each.theta)
        np.testing.assert_array_equal(opened.affinity(block).phi, each.phi)
    assert export.save(of(opened)) == content or opened.weights is None


@pytest.mark.parametrize(("made", "newest"), [(make.analysis, 1), (make.masked, 3)])
def test_older_readers_can_open_whatever_has_nothing_new(made, newest):
    assert json.loads(parts_of(export.save(of(made())))["session.json"])["format"] == newest


def test_a_slim_session_opens_with_its_clip_at_half_precision():
    analysis = tied()
    content = export.save(of(analysis), slim=True)
    assert len(content) < len(export.save(of(analysis))) / 1.9
    opened = export.open_session(content, clip=analysis.clip)
    assert opened.slim
    assert not export.open_session(export.save(of(analysis)), clip=analysis.clip).slim
    assert opened.analysis.clip is analysis.clip
    for block, each in analysis.affinities.items():
        found = opened.analysis.affinity(block)
        np.testing.assert_array_equal(found.theta, each.theta.astype(np.float16))
        np.testing.assert_array_equal(found.phi, each.phi.astype(np.float16))


def test_a_slim_session_without_its_clip_is_told():
    analysis = make.analysis()
    content = export.save(of(analysis), slim=True)
    with pytest.raises(ExportError, match=r"holds no frames.*open it with open_session"):
        export.open_session(content, "first.nlviz")
    other = replace(analysis.clip, frames=255 - analysis.clip.frames)
    with pytest.raises(ExportError, match="was made of other frames"):
        export.open_session(content, "first.nlviz", clip=other)


def test_numbers_beyond_half_precision_are_refused():
    analysis = make.analysis()
    far = {
        block: replace(each, theta=each.theta * 1e6) for block, each in analysis.affinities.items()
    }
    with pytest.raises(ExportError, match="beyond half precision"):
        export.save(of(replace(analysis, affinities=far)), slim=True)
