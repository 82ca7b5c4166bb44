"""Training: the renderer's truth is exact, the objective wants the right thing, runs resume."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import safetensors.torch
import torch

import nlviz
from nlviz.models import zoo
from nlviz.models.nonlocal_block import FUNCTIONS, NonLocalBlock
from nlviz.models.nonlocal_lite import NonLocalLite
from nlviz.tracking.precision import cells_on
from training import clips
from training.__main__ import write_weights
from training.cards import card, pictures
from training.clips import Pose, _middle
from training.data import photographs as found
from training.data.corruptions import KINDS, corrupt
from training.data.packages import PACKAGES
from training.data.photographs import Photographs, collect
from training.data.render import Layer, RenderedClip, Shadow, paint, render
from training.evaluate import Measures, precision_table, text
from training.examples import FindExamples, MendExamples
from training.measures import correspondence, robustness, same_object
from training.measures.same_object import MaskedClip, score
from training.recipe import Material, Recipe
from training.stages import find, mend
from training.stages.objective import (
    IGNORED,
    Truth,
    affinity_loss,
    aim_at,
    choose_queries,
    truth_at,
)
from training.train import note, train

CLIPS = Path(__file__).resolve().parents[2] / "assets" / "clips"
SMALL = Recipe(
    find_steps=2,
    mend_steps=2,
    material=Material(
        find_clips=2,
        sizes=((96, 64),),
        length=2,
        mend_clips=2,
        mend_length=3,
        mend_sides=(64,),
    ),
    inner=(4, 4, 4),
    queries=16,
)


@pytest.fixture(scope="module")
def pictures_of_noise() -> Photographs:
    """Smooth random pictures instead of photographs, and one round cut-out."""
    rng = np.random.default_rng(1)

    def picture(size: int) -> np.ndarray:
        small = rng.integers(0, 256, (size // 12, size // 10, 3), dtype=np.uint8)
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC)

    y, x = np.mgrid[-1:1:120j, -1:1:120j]
    alpha = np.where(np.hypot(x, y) < 0.95, 255, 0).astype(np.uint8)
    return Photographs(
        backgrounds=[picture(300) for _ in range(3)], cutouts=[np.dstack([picture(120), alpha])]
    )


@pytest.fixture(scope="module")
def clip(pictures_of_noise: Photographs) -> RenderedClip:
    return render(pictures_of_noise, np.random.default_rng(5), length=4, width=160, height=128)


def test_one_seed_renders_one_clip(pictures_of_noise: Photographs) -> None:
    first, again, other = (
        render(pictures_of_noise, np.random.default_rng(seed), length=2, width=64, height=48)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.places, again.places)
    assert (first.frames != other.frames).any()


def test_equal_places_show_the_same_scene_point(clip: RenderedClip) -> None:
    """Follow pixels to the next frame by their places: the clean colours agree there.

    Light changes from frame to frame, so colours are compared after their means are taken out.
    """
    errors, chance = [], []
    here, there = clip.places[0].reshape(-1, 2), clip.places[1].reshape(-1, 2)
    layers = clip.layers.reshape(4, -1)
    colours = clip.clean.reshape(4, -1, 3).astype(float)
    colours /= colours.mean(1, keepdims=True)
    rng = np.random.default_rng(0)
    for i in rng.permutation(len(here))[:300]:
        alike = np.nonzero(layers[1] == layers[0, i])[0]
        if len(alike) == 0:
            continue
        distance = np.linalg.norm(there[alike] - here[i], axis=1)
        if distance.min() < 0.7:
            errors.append(np.abs(colours[0, i] - colours[1, alike[distance.argmin()]]).mean())
            chance.append(np.abs(colours[0, i] - colours[1, rng.choice(alike)]).mean())
    assert len(errors) > 50
    assert np.mean(errors) < 0.4 * np.mean(chance)


def test_bodies_are_a_matter_of_training_and_what_is_measured_on_stays_as_it_was(
    pictures_of_noise: Photographs,
) -> None:
    def clip(**options) -> RenderedClip:
        rng = np.random.default_rng(7)
        return render(pictures_of_noise, rng, length=2, width=96, height=64, objects=3, **options)

    np.testing.assert_array_equal(clip().frames, clip(bodies=False).frames)
    assert (clip().layers != clip(bodies=True).layers).any()


def test_a_shadow_darkens_what_is_behind_and_is_no_part_of_the_thing() -> None:
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(30.0)), -1).astype(np.float32)
    ground = Layer(np.full((30, 40, 4), 200, np.uint8), lambda t, xy: xy, 1.0)
    ground.picture[..., 3] = 255
    thing = np.zeros((30, 40, 4), np.uint8)
    thing[5:12, 5:12] = 255
    shadow = Shadow(lambda t, xy: xy - np.array([15, 10]), 0.5, 0.3)
    cast = Layer(thing, lambda t, xy: xy, 1.0, shadow=shadow)
    picture, layers, _ = paint([ground, cast], 0, grid)
    bare, same, _ = paint([ground, replace(cast, shadow=None)], 0, grid)
    np.testing.assert_array_equal(layers, same)
    np.testing.assert_allclose(picture[17:20, 22:25], 0.5 * bare[17:20, 22:25], atol=1)
    np.testing.assert_array_equal(picture[5:12, 5:12], bare[5:12, 5:12])


def test_truth_lies_on_the_grids_of_the_blocks(clip: RenderedClip) -> None:
    fine = truth_at(clip.layers, clip.places, stride=8)
    pooled = truth_at(clip.layers, clip.places, stride=8, pooled=True)
    coarse = truth_at(clip.layers, clip.places, stride=16)
    assert len(fine.layer) == 4 * 16 * 20
    assert len(pooled.layer) == len(coarse.layer) == 4 * 8 * 10
    # A pooled cell sits at the middle of its two by two cells.
    torch.testing.assert_close(pooled.place, coarse.place)


def grid(layers: list[int], frames: list[int]) -> Truth:
    places = torch.arange(len(layers)).float()[:, None].repeat(1, 2) % (len(layers) // 2) * 10
    return Truth(torch.tensor(layers), places, torch.tensor(frames))


def test_the_aim_lies_on_the_same_layer_in_other_frames() -> None:
    truth = grid([1, 0, IGNORED, 1, 0, 0], [0, 0, 0, 1, 1, 1])
    aim = aim_at(truth, truth, torch.tensor([0, 1, 2]), near=4.0)
    torch.testing.assert_close(aim.places.sum(1), torch.tensor([1.0, 1.0, 0.0]))
    assert aim.places[0].nonzero().flatten().tolist() == [3]
    assert aim.places[1].argmax() == 4
    assert not aim.places[:, :3].any()
    assert aim.layer[1].nonzero().flatten().tolist() == [4, 5]
    assert aim.counted.tolist() == [[False] * 3 + [True] * 3] * 3


def test_queries_are_half_on_objects_and_never_on_what_is_covered(clip: RenderedClip) -> None:
    layers = clip.layers.copy()
    layers[0, :64] = IGNORED
    truth = truth_at(layers, clip.places, stride=8)
    chosen = choose_queries(truth, 40, np.random.default_rng(0))
    assert len(chosen) == len(set(chosen.tolist())) == 40
    assert (truth.layer[chosen] != IGNORED).all()
    assert (truth.layer[chosen] > 0).sum() == min(20, int(((layers > 0) & (layers < 255)).sum()))


def test_the_affinity_loss_falls_when_a_row_looks_at_its_target() -> None:
    truth = grid([1, 0, 1, 0], [0, 0, 1, 1])
    aim = aim_at(truth, truth, torch.tensor([0, 1]), near=3.0)
    keys = torch.eye(4)
    right, wrong = 5 * keys[[2, 3]], 5 * keys[[3, 2]]
    good = affinity_loss(right, aim, layer=0.0)
    assert good < 0.1
    assert affinity_loss(wrong, aim, layer=0.0) > good + 3
    # Frames of its own count for nothing, however heavy.
    assert affinity_loss(right + 50 * keys[[0, 1]], aim, layer=1.0) < 0.1


def test_the_layer_term_asks_for_the_whole_thing_but_for_no_flat_row() -> None:
    truth = grid([1, 1, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1])
    aim = aim_at(truth, truth, torch.tensor([0]), near=3.0)
    away, beside = torch.zeros(2, 1, 6).unbind(0)
    away[0, 5], beside[0, 4] = 4.0, 4.0  # on another layer; on its own, at another place
    apart = [
        affinity_loss(row, aim, layer=1.0) - affinity_loss(row, aim, layer=0.0)
        for row in (away, beside)
    ]
    assert apart[1] < 0.05 < 3 < apart[0]
    sharp = torch.zeros(1, 6)
    sharp[0, 3] = 9.0
    assert affinity_loss(sharp, aim, layer=1.0) < 0.02


def test_a_query_that_shows_nowhere_else_is_asked_for_nothing() -> None:
    truth = grid([1, 0, 0, 0], [0, 0, 1, 1])
    aim = aim_at(truth, truth, torch.tensor([0]), near=3.0)
    assert affinity_loss(torch.randn(1, 4), aim, layer=1.0) == 0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_aimed_ranks_the_keys_as_the_block_does(function: str) -> None:
    torch.manual_seed(0)
    block = NonLocalBlock(6, function=function, sub_sample=False, norm=True)
    x = torch.randn(1, 6, 2, 4, 4)
    affinity = nlviz.capture(_moving(block), x).affinities["NonLocalBlock"]
    theta, phi = (side(block.norm(x))[0].flatten(1) for side in (block.theta, block.phi))
    aimed = find.logits(block, theta[:, :5], phi).detach().numpy()
    rows = affinity.rows([affinity.query_grid.cell(i) for i in range(5)]).reshape(5, -1)
    for one, row in zip(aimed, rows, strict=True):
        seen = row > 0 if function == "concatenation" else np.ones(len(row), bool)
        np.testing.assert_array_equal(np.argsort(one[seen]), np.argsort(row[seen]))


def _moving(block: NonLocalBlock) -> NonLocalBlock:
    torch.nn.init.normal_(block.W[1].weight)
    return block.eval()


def test_only_the_gaussian_kind_has_no_embeddings_to_learn() -> None:
    for function in FUNCTIONS:
        module = NonLocalLite(function, (4, 4, 4), norm=True)
        assert bool(find.embeddings(module)) == (function != "gaussian")
        assert len(find.lengths(module)) == 6
        find.tie(module)
        assert len(find.lengths(module)) == 3
    assert not find.lengths(NonLocalLite(inner=(4, 4, 4)))


def test_tied_sides_stay_one_embedding(pictures_of_noise: Photographs, tmp_path: Path) -> None:
    examples = tmp_path / "examples"
    run = train(SMALL, pictures_of_noise, tmp_path / "a", examples=examples, workers=0)
    start = train(
        replace(SMALL, find_steps=0),
        pictures_of_noise,
        tmp_path / "b",
        examples=examples,
        workers=0,
    )
    for name in ("nl3", "nl4", "nl5"):
        block = getattr(run, name)
        torch.testing.assert_close(block.theta[0].weight, block.phi[0].weight, atol=0, rtol=0)
        assert (block.theta[0].weight != getattr(start, name).theta[0].weight).any()


@pytest.mark.parametrize("norm", [True, False])
def test_a_feature_starts_with_the_logit_of_the_recipe_with_itself(
    pictures_of_noise: Photographs, tmp_path: Path, norm: bool
) -> None:
    examples = FindExamples(pictures_of_noise, SMALL.material, tmp_path)
    module = NonLocalLite(inner=(40, 80, 112), norm=norm)
    find.initialise(module, [examples[0], examples[1]], 14.0)
    for name in ("nl4", "nl5"):
        block = getattr(module, name)
        own = [examples[i].inputs[name] for i in range(2)]
        own = [block.norm(x) for x in own] if norm else own
        energy = torch.cat([block.theta(x).detach().pow(2).sum(1).flatten() for x in own])
        assert float(energy.mean()) == pytest.approx(14, rel=0.05)


def test_mending_loses_nothing_where_nothing_is_corrupted_and_blocks_are_the_identity(
    pictures_of_noise: Photographs, tmp_path: Path
) -> None:
    module = NonLocalLite(inner=(4, 4, 4)).eval()
    module.load_state_dict(zoo.backbone_weights(), strict=False)
    mend.initialise(module)
    example = MendExamples(pictures_of_noise, SMALL.material, tmp_path)[0]
    clean = replace(example, corrupted=example.clean)
    for photograph in (False, True):
        losses = mend.losses(module, clean, keep=1.0, pictures=photograph)
        assert [abs(loss.item()) < 1e-3 for loss in losses.values()] == [True, True]
    for name in ("nl3", "nl4", "nl5"):
        torch.nn.init.normal_(getattr(module, name).W[0].weight, std=1)
    assert mend.losses(module, example, keep=1.0)["keep"] > 0.01


def test_mending_starts_with_the_mean_of_x_itself() -> None:
    module = NonLocalLite(inner=(40, 80, 112), norm=True).eval()
    mend.initialise(module)
    x = torch.randn(1, 80, 2, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(module.nl4.g(x), x)
        torch.testing.assert_close(module.nl4(x), x)


def test_corruption_touches_as_many_frames_as_asked(clip: RenderedClip) -> None:
    for kind in KINDS:
        changed = corrupt(clip.clean, kind, 3, np.random.default_rng(0)) != clip.clean
        assert changed.any(axis=(1, 2, 3)).sum() == 3, kind


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_where_an_uninterrupted_one_does(
    pictures_of_noise: Photographs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.train._EVERY", 1)
    where = {"examples": tmp_path / "examples", "workers": 0}
    whole = train(SMALL, pictures_of_noise, tmp_path / "whole", **where)

    def stop_after_three(samples, total, done):
        for number, sample in enumerate(samples):
            if number == 3:
                raise KeyboardInterrupt
            yield sample

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, pictures_of_noise, tmp_path / "parts", progress=stop_after_three, **where)
    parts = train(SMALL, pictures_of_noise, tmp_path / "parts", **where)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, atol=1e-6, rtol=0, msg=name)
    log = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[0])["plan"]["mend_steps"] == 2
    with pytest.raises(RuntimeError, match="a run of another recipe"):
        train(replace(SMALL, near=0.5), pictures_of_noise, tmp_path / "parts", **where)


def test_training_leaves_the_backbone_as_it_is_and_moves_every_block(
    pictures_of_noise: Photographs, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = train(SMALL, pictures_of_noise, folder, examples=tmp_path / "examples", workers=0)
    state = run.state_dict()
    for name, value in zoo.backbone_weights().items():
        torch.testing.assert_close(state[name], value, atol=0, rtol=0, msg=name)
    for block in ("nl3", "nl4", "nl5"):
        assert state[f"{block}.W.0.weight"].abs().sum() > 0


@pytest.mark.parametrize("function", ["gaussian", "concatenation", "dot_product"])
def test_every_function_is_trained(
    pictures_of_noise: Photographs, tmp_path: Path, function: str
) -> None:
    recipe = replace(SMALL, function=function, tied=function != "concatenation")
    where = {"examples": tmp_path / "examples", "workers": 0}
    state = train(recipe, pictures_of_noise, tmp_path / "run", **where).state_dict()
    assert state["nl5.W.0.weight"].abs().sum() > 0
    assert all(value.isfinite().all() for value in state.values())


def test_example_i_is_always_the_same_and_made_once(
    pictures_of_noise: Photographs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = (pictures_of_noise, SMALL.material)
    find_one, mend_one = FindExamples(*of, tmp_path / "a")[1], MendExamples(*of, tmp_path / "a")[1]
    assert find_one.inputs["nl3"].shape == (1, 40, 2, 8, 12)
    assert find_one.inputs["nl5"].shape == (1, 112, 2, 4, 6)
    assert mend_one.corrupted.shape == (1, 40, 3, 8, 8)
    assert mend_one.wanted.shape == (1, 1000, 3)
    assert mend_one.picture.shape == (1, 40, 1, 8, 8)
    assert mend_one.wanted_picture.shape == (1, 1000, 1)
    again = FindExamples(*of, tmp_path / "b")[1]
    torch.testing.assert_close(again.inputs, find_one.inputs, atol=0, rtol=0)
    monkeypatch.setattr(FindExamples, "_made", None)  # what is kept is read, not made again
    kept = FindExamples(*of, tmp_path / "a")
    torch.testing.assert_close(kept[1].queries["nl4"].place, find_one.queries["nl4"].place)
    # Half a file, as a full disk leaves it, and other material, are made anew.
    file = next(kept.folder.glob("find-0001.pt"))
    file.write_bytes(file.read_bytes()[:100])
    other = FindExamples(of[0], replace(SMALL.material, seed=1), tmp_path / "a")
    for folder in (kept, other):
        with pytest.raises(TypeError):
            folder[1]


def test_missing_packages_are_named_and_too_few_photographs_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nothing(source, cache):
        raise OSError("no network")

    monkeypatch.setattr(found, "fetch", nothing)
    with pytest.raises(RuntimeError, match=r"Found only 0 photographs .* training needs 100"):
        collect(tmp_path)
    for source in PACKAGES:
        assert source.name in caplog.text


def still(frame: np.ndarray, count: int) -> nlviz.Clip:
    times = tuple(range(count))
    return nlviz.Clip(np.stack([frame] * count), times, tuple(map(float, times)), "still", count)


def test_an_object_of_one_colour_on_another_scores_high_and_is_in_the_table() -> None:
    """An object of one flat colour on a ground of another: every link stays on it."""
    frame = np.full((128, 160, 3), (30, 120, 40), np.uint8)
    mask = np.zeros((3, 128, 160), bool)
    mask[:, 32:112, 32:112] = True
    frame[mask[0]] = (220, 40, 160)
    network = zoo.load("nl-lite0", device="cpu")
    scores = score(network, MaskedClip(still(frame, 3), {"flat": mask}), size=160)
    of = {(s.block, s.what): s for s in scores}
    assert of["nl5", "raw cosine"].precision > 0.6
    assert of["nl5", "raw cosine"].best_a_frame > 0.9
    assert of["nl5", "block"].best_a_frame > of["nl5", "block"].chance
    assert of["nl5", "block"].chance == pytest.approx(mask.mean())
    assert "| nl5 | block | **" in precision_table(scores)


def test_in_a_clip_that_stands_still_the_cosine_finds_every_place(
    pictures_of_noise: Photographs,
) -> None:
    network = zoo.load("nl-lite0", device="cpu")
    one = render(pictures_of_noise, np.random.default_rng(2), length=1, width=160, height=128)
    clip = RenderedClip(
        *(np.repeat(v, 3, 0) for v in (one.clean, one.clean, one.layers, one.places))
    )
    of = {(p.block, p.what): p for p in correspondence.score(network, [clip])}
    assert of["nl5", "raw cosine"].precision == of["nl4", "raw cosine"].precision == 1
    assert of["nl5", "block"].chance < 0.2


@pytest.mark.slow
def test_blocks_that_are_the_identity_neither_help_nor_harm(pictures_of_noise: Photographs) -> None:
    network = zoo.load("nl-lite0", device="cpu")
    for name in network.taps:
        for parameter in network.module.get_submodule(name).W[1].parameters():
            torch.nn.init.zeros_(parameter)
    photograph = pictures_of_noise.backgrounds[0]
    clips = [still(photograph[:64, :64], 7).frames]
    found = robustness.helped(network, clips)
    assert len(found) == len(KINDS) * 5 + 5
    for kind in (*KINDS, robustness.ALL):
        assert len({(a.clips, a.frames) for a in found if a.corruption == kind}) == 1
    assert {(a.gain, a.error) for a in found} == {(0, 0)}
    assert robustness.sizes(network, clips) == {"nl3": 0, "nl4": 0, "nl5": 0}
    assert robustness.classifies(network, [photograph], 96).top1 == 1


def test_the_gain_is_counted_clip_by_clip() -> None:
    without = np.array([(1, 0.5), (0, 0.5), (0, 0), (1, 1)])
    found = np.array([(1, 0.5), (1, 0.75), (1, 0.25), (1, 0.5)])
    seen = robustness._agreement("noisy", (), found, without)
    assert (seen.clips, seen.frames, seen.gain) == (1, 0.5, 0.5)
    assert seen.error == pytest.approx((1 / 3) ** 0.5 / 2)  # of the gains 0, 1, 1, 0


def test_the_share_of_a_row_is_what_its_heaviest_links_carry_in_other_frames() -> None:
    frame = np.full((128, 160, 3), 90, np.uint8)
    mask = np.zeros((3, 128, 160), bool)
    mask[:, 32:112, 32:112] = True
    network = zoo.load("nl-lite0", device="cpu")
    clip = still(frame, 3)
    of = {
        (s.block, s.what): s.share for s in score(network, MaskedClip(clip, {"it": mask}), size=160)
    }
    assert of["nl5", "raw cosine"] is None
    analysis = nlviz.analyse(clip, network, size=160)
    affinity = analysis.affinity("nl5")
    shares = []
    for cell in cells_on(analysis, affinity, mask):
        row = affinity.weights([cell])[0].reshape(3, -1)
        others = np.delete(row, cell.t, 0).ravel()
        shares.append(np.sort(others)[-20:].sum() / others.sum())
    assert of["nl5", "block"] == pytest.approx(np.median(shares), rel=1e-4)


def made_report() -> Measures:
    scores = tuple(
        same_object.Score("fish 1", block, what, 0.8, 0.9, 0.1, 0.4)
        for block in ("nl3", "nl4", "nl5")
        for what in ("block", "raw cosine")
    )
    blocks = ("nl3", "nl4", "nl5")
    variants = ((), ("nl3",), ("nl4",), ("nl5",), blocks)
    return Measures(
        model="nl-lite0",
        real=(),
        painted=scores,
        correspondence=(correspondence.Precision("nl5", "block", 0.5, 0.01),),
        helped=tuple(
            robustness.Agreement(kind, variant, 0.7, 0.3, 0.1, 0.02)
            for kind in (*KINDS, robustness.ALL)
            for variant in variants
        ),
        clips=60,
        sizes=dict.fromkeys(blocks, 0.1),
        classification=(robustness.Classification(224, 60, 0.97, 1.0),),
    )


def test_the_card_holds_every_table_the_licences_and_how_to_make_it_again(tmp_path: Path) -> None:
    report = made_report()
    note(tmp_path, {"plan": {}})
    for step in range(8):
        note(tmp_path, {"step": step, "s": 10 * (step % 5), "nl5": 1.0, "mend": 2.0})
    log = tmp_path / "log.jsonl"
    card.write(report, Recipe(), "0" * 64, log, tmp_path)
    written = (tmp_path / "nl-lite0.md").read_text()
    for part in text(report).split("\n\n")[2::2]:
        assert part in written
    for source in PACKAGES:
        assert source.licence in written
    assert "python -m training nl-lite0" in written
    facts = json.loads((tmp_path / "nl-lite0.json").read_text())
    assert facts["seconds"] == card.seconds(log) == 60
    assert "painted clips 0.80" in facts["short"]
    pictures.curve(log, tmp_path / "curve.svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text()


def test_written_weights_are_the_blocks_alone_with_their_checksum(tmp_path: Path) -> None:
    module = NonLocalLite(inner=(4, 4, 4), norm=True)
    find.tie(module)
    sha256 = write_weights("one", module, tmp_path)
    again = write_weights("two", module, tmp_path)
    assert (
        sha256 == again == hashlib.sha256((tmp_path / "one.safetensors").read_bytes()).hexdigest()
    )
    lines = (tmp_path / "SHA256SUMS").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["one.safetensors", "two.safetensors"]
    names = safetensors.torch.load_file(tmp_path / "one.safetensors")
    assert {name.split(".")[0] for name in names} == {"nl3", "nl4", "nl5"}


def test_sample_clips_match_their_masks_and_first_queries() -> None:
    for entry in json.loads((CLIPS / "index.json").read_text(encoding="utf-8")):
        path, (frame, x, y) = CLIPS / entry["file"], entry["at"]
        assert entry["title"]
        assert entry["description"].endswith((".", "?"))
        labels = np.load(path.with_suffix(".masks.npz"))["labels"]
        if path.suffix == ".jpg":
            assert cv2.imread(str(path)).shape[:2] == labels.shape[1:]
        else:
            with av.open(str(path)) as video:
                assert sum(1 for _ in video.decode(video=0)) == len(labels)
        assert labels[frame, y, x] > 0
        assert path.stat().st_size < 400_000


def test_every_sample_is_named_in_the_credits() -> None:
    credits = (CLIPS.parent / "CREDITS.md").read_text(encoding="utf-8")
    heading = next(line for line in credits.splitlines() if line.startswith("## clips/"))
    for entry in json.loads((CLIPS / "index.json").read_text(encoding="utf-8")):
        assert entry["file"] in heading


def test_painting_one_sample_leaves_the_others_in_the_index(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(clips, "Props", lambda cache: None)
    monkeypatch.setattr(clips, "write", lambda scene, folder: {"file": scene, "at": [1, 2, 3]})
    painters = {name: lambda props, name=name: name for name in ("a.mp4", "b.mp4", "c.jpg")}
    monkeypatch.setattr(clips, "SCENES", painters)
    before = [{"file": "a.mp4", "at": [0, 0, 0]}, {"file": "c.jpg", "at": [0, 0, 0]}]
    (tmp_path / "index.json").write_text(json.dumps(before), encoding="utf-8")
    clips.main(["b.mp4", "--output", str(tmp_path)])
    after = json.loads((tmp_path / "index.json").read_text(encoding="utf-8"))
    assert after == [before[0], {"file": "b.mp4", "at": [1, 2, 3]}, before[1]]
    with pytest.raises(SystemExit):
        clips.main(["d.mp4", "--output", str(tmp_path)])


def test_the_first_query_lies_deepest_inside_its_object() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:15, 10:21] = True
    assert _middle(mask) == (15, 9)
    assert Pose(1, 2, 3).stretch == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.bundled())
def test_the_committed_weights_give_the_committed_numbers(name: str) -> None:
    """Of the painted ball clip, on every block, within a hundredth."""
    facts = json.loads(zoo.record(name).card.with_suffix(".json").read_text(encoding="utf-8"))
    committed = {
        (s["sequence"], s["block"], s["what"]): s["precision"] for s in facts["measured"]["painted"]
    }
    ball = next(s for s in same_object.painted() if s.clip.name == "ball.mp4")
    measured = score(zoo.load(name, device="cpu"), ball)
    assert len(measured) >= 9
    for s in measured:
        assert s.precision == pytest.approx(committed[s.sequence, s.block, s.what], abs=0.01)
    assert facts["sha256"] == zoo.record(name).sha256
