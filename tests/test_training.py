"""Training: the renderer's truth is exact, the objective wants the right thing, runs resume."""

import json
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from models import zoo
from training import photographs as found
from training.clips import Pose, _middle
from training.evaluate import Sequence, score, summary, table
from training.objective import (
    IGNORED,
    Truth,
    affinity_loss,
    choose_queries,
    restoration_loss,
    targets,
    truth_at,
)
from training.photographs import Photographs, collect
from training.render import RenderedClip, render
from training.sources import SOURCES
from training.train import Clips, Plan, train

CLIPS = Path(__file__).resolve().parents[1] / "assets" / "clips"
SMALL = Plan(steps=4, find_steps=2, width=96, height=64, length=2, inner=(4, 4, 4), queries=16)


@pytest.fixture(scope="module")
def pictures() -> Photographs:
    """Smooth random pictures in place of photographs, and one round cut-out."""
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
def clip(pictures: Photographs) -> RenderedClip:
    return render(pictures, np.random.default_rng(5), length=4, width=160, height=128)


def test_one_seed_renders_one_clip(pictures: Photographs) -> None:
    first, again, other = (
        render(pictures, np.random.default_rng(seed), length=2, width=64, height=48)
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


def test_targets_lie_on_the_same_layer_in_other_frames() -> None:
    truth = grid([1, 0, IGNORED, 1, 0, 0], [0, 0, 0, 1, 1, 1])
    aim = targets(truth, truth, torch.tensor([0, 1, 2]), near=4.0, same_object=0.5)
    torch.testing.assert_close(aim.sum(1), torch.tensor([1.0, 1.0, 0.0]))
    assert aim[0].nonzero().flatten().tolist() == [3]
    assert aim[1].argmax() == 4
    assert not aim[:, :3].any()


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
    chosen = torch.tensor([0, 1])
    aim = targets(truth, truth, chosen, near=3.0, same_object=0.0)
    keys = torch.eye(4)
    right, wrong = 5 * keys[:, [2, 3]], 5 * keys[:, [3, 2]]
    own = truth.frame[chosen]
    good = affinity_loss(right, keys, aim, own, truth.frame)
    assert good < 0.1
    assert affinity_loss(wrong, keys, aim, own, truth.frame) > good + 3


def test_restoration_is_zero_for_clean_features_and_counts_in_variances() -> None:
    clean = torch.randn(1, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert restoration_loss(clean, clean) == 0
    scaled = restoration_loss(10 * clean + 1, 10 * clean)
    assert scaled < restoration_loss(clean + 1, clean)


def test_a_run_that_was_stopped_ends_where_an_uninterrupted_one_does(
    pictures: Photographs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train as module

    monkeypatch.setattr(module, "_EVERY", 2)
    whole = train(SMALL, pictures, tmp_path / "whole", workers=0)

    def stop_after_two(batches, total, done):
        for number, batch in enumerate(batches):
            if number == 2:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, pictures, tmp_path / "parts", workers=0, progress=stop_after_two)
    parts = train(SMALL, pictures, tmp_path / "parts", workers=0)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, atol=1e-6, rtol=0, msg=name)
    log = (tmp_path / "parts" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[0])["plan"]["steps"] == 4


def test_training_leaves_the_backbone_as_it_is(pictures: Photographs, tmp_path: Path) -> None:
    module = train(replace(SMALL, steps=2, find_steps=1), pictures, tmp_path, workers=0)
    state = module.state_dict()
    for name, value in zoo.backbone_weights().items():
        torch.testing.assert_close(state[name], value, atol=0, rtol=0, msg=name)


def test_clip_i_is_always_the_same_clip(pictures: Photographs) -> None:
    clips = Clips(pictures, SMALL)
    torch.testing.assert_close(clips[1].frames, clips[1].frames)
    assert clips[1].frames.shape == (3, 2, 64, 96)


def test_missing_packages_are_named_and_too_few_photographs_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def nothing(source, cache):
        raise OSError("no network")

    monkeypatch.setattr(found, "fetch", nothing)
    with pytest.raises(RuntimeError, match=r"Only 0 photographs .* training needs 100"):
        collect(tmp_path)
    for source in SOURCES:
        assert source.name in caplog.text


def test_an_object_of_one_colour_on_another_scores_high_and_is_in_the_table() -> None:
    """An object of one flat colour on a ground of another: every link stays on it."""
    frames = np.full((3, 128, 160, 3), (30, 120, 40), np.uint8)
    masks = np.zeros((3, 128, 160), bool)
    for t in range(3):
        masks[t, 32:112, 32 + 8 * t : 112 + 8 * t] = True
    frames[masks] = (220, 40, 160)
    network = zoo.load("nl-lite0", device="cpu")
    scores = score(network.module, Sequence("flat", frames, masks), input_size=(160, 128))
    means = summary(scores)
    assert means["nl5", "raw cosine"][0] > 0.7
    assert means["nl5", "block"][0] > 0.7
    assert means["nl5", "block"][2] == pytest.approx(masks.mean())
    assert "| nl5 | block | **" in table(scores)


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
        assert path.stat().st_size < 1_500_000


def test_the_first_query_lies_deepest_inside_its_object() -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:15, 10:21] = True
    assert _middle(mask) == (15, 9)
    assert Pose(1, 2, 3).stretch == 1.0


def test_the_committed_blocks_find_the_car_of_the_sample_clip() -> None:
    path = CLIPS / "safari.mp4"
    labels = np.load(path.with_suffix(".masks.npz"))["labels"]
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    chosen = [0, 10, 20, 30, 41, 51, 61, 71]
    sequence = Sequence("safari", np.stack([frames[i] for i in chosen]), labels[chosen] == 4)
    network = zoo.load("nl-lite0", device="cpu")
    means = summary(score(network.module, sequence, input_size=(640, 352)))
    assert means["nl5", "block"][0] > 0.9
    assert means["nl4", "block"][0] > 0.9
