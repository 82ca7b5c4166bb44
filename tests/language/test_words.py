"""Words of an answer: their rows are those of the eager model, and their places are proven."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nlviz
from nlviz.cli import main
from nlviz.cli.words import _print as print_words
from nlviz.language import proof, run
from nlviz.language.answered import MEAN, TEMPLATE, Words
from nlviz.language.layer import LayerWeights
from nlviz.language.reading import words_of
from nlviz.language.report import HEAD, report, table
from nlviz.language.vision_language import (
    VisionLanguage,
    is_vision_language,
    load_vision_language,
)
from tests.support.plain_block import counted_hooks
from tests.support.vision import transformers  # noqa: F401 — or these tests are skipped
from tools import tiny_vlm

ASK, ANSWER = "What moves in the clip?", "The dog, the ball."
GRIDS = {
    "Qwen2_5_VL": (2, 4, 6),
    "Qwen3VL": (2, 4, 6),
    "LlavaNextVideo": (4, 4, 4),
    "InternVL": (4, 4, 4),
}


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[VisionLanguage, Words]]:
    """Each family, and what it weighs; read when it is asked for."""
    found: dict[str, tuple[VisionLanguage, Words]] = {}
    return found


def of(made: dict[str, tuple[VisionLanguage, Words]], family: str) -> tuple[VisionLanguage, Words]:
    if family not in made:
        network = VisionLanguage(*tiny_vlm.make(family), family)
        made[family] = network, nlviz.words(tiny_vlm.clip(), network, ask=ASK, answer=ANSWER)
    return made[family]


def eager(network: VisionLanguage, clip: nlviz.Clip) -> np.ndarray:
    """(layers, H, M, M) as the model itself gives them, without fused attention."""
    inputs = network.inputs(network.prompt(ASK), clip.frames, clip)
    network.model.set_attn_implementation("eager")
    with torch.no_grad():
        whole = network.with_answer(inputs, ANSWER)
        seen = network.model(**whole, output_attentions=True, use_cache=False).attentions
    network.model.set_attn_implementation("sdpa")
    return torch.stack(list(seen))[:, 0].numpy()


@pytest.mark.parametrize("family", tiny_vlm.FAMILIES)
def test_rows_of_words_are_those_of_the_eager_model(made, family):
    network, words = of(made, family)
    expected = eager(network, words.clip)
    assert expected[:, :, words.asked].max(-1).mean() > 0.04, "rows that are even test nothing"
    which = np.arange(len(words.asked))
    for layer, each in enumerate(words.layers):
        assert each.phi.shape[0] == 2, "heads of keys are held once"
        for head in range(each.heads):
            rows = each.rows(which, head)
            np.testing.assert_allclose(rows, expected[layer, head, words.asked], atol=1e-5)
    assert max(words.fidelity) < 1e-5
    for word in words.words:
        slots = list(word.slots)
        mean = expected[:, :, slots].mean((0, 1, 2))
        np.testing.assert_allclose(words.weights(word.name), mean, atol=1e-5)
        one = expected[1, 3, slots].mean(0)
        np.testing.assert_allclose(words.weights(word.name, layer=1, head=3), one, atol=1e-5)
        seen = words.row(word.name).ravel()
        np.testing.assert_allclose(seen, mean[words.sequence.slots], atol=1e-5)
        of_words = words.of_words(word.name)
        for other in words.words:
            assert of_words[other.name] == pytest.approx(mean[list(other.slots)].sum(), abs=1e-5)
        assert seen.sum() + sum(of_words.values()) == pytest.approx(1, abs=1e-4)
    cell = nlviz.Cell(1, 2, 3)
    slot = words.sequence.slot(cell)
    for name, weight in words.weighing(cell).items():
        slots = list(words.sequence.word(name).slots)
        assert weight == pytest.approx(expected[:, :, slots, slot].mean(), abs=1e-5)


@pytest.mark.parametrize("family", tiny_vlm.FAMILIES)
def test_words_and_places_stand_where_they_are_read(made, family):
    network, words = of(made, family)
    sequence = words.sequence
    assert sequence.grid.shape == GRIDS[family]
    parts = [(word.name, word.part) for word in words.words]
    asked = [(name, "question") for name in ("What", "moves", "in", "the", "clip", "?")]
    told = ["The", "dog", ",", "the 2", "ball", "."]
    assert parts == [*asked, *((name, "answer") for name in told)]
    whole = network.with_answer(
        network.inputs(network.prompt(ASK), words.clip.frames, words.clip), ANSWER
    )
    ids = whole["input_ids"][0]
    decode = network.processor.tokenizer.decode
    for word in words.words:
        assert decode(ids[list(word.slots)]).strip() == word.text
    assert set(ids[sequence.slots].tolist()) <= {*network.picture_ids}
    rest = {*range(len(ids))} - {*sequence.slots.tolist(), *sequence.template.tolist()}
    assert rest == {slot for word in words.words for slot in word.slots}
    steps = [words.sequence.view.positions(t, sequence.grid) for t in range(sequence.grid.t)]
    assert steps == ([(0, 1), (2, 3)] if "Qwen" in family else [(0,), (1,), (2,), (3,)])


@pytest.mark.parametrize("family", tiny_vlm.FAMILIES)
def test_a_changed_patch_changes_the_slot_of_its_cell_most(made, family):
    network, words = of(made, family)
    clip, grid, view = words.clip, words.sequence.grid, words.sequence.view
    embedded = []
    module = network.model.model.language_model

    def keep(_, args, kwargs):
        embedded.append(kwargs["inputs_embeds"][0, words.sequence.slots])

    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    cell = nlviz.Cell(1, 3, 2)
    box, frames = view.footprint(cell, grid), clip.frames.copy()
    for frame in box.frames:
        at = clip.indices.index(frame)
        frames[at, int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = (255, 0, 255)
    with torch.no_grad():
        for each in (clip.frames, frames):
            network.model(**network.inputs(network.prompt(ASK), each, clip), use_cache=False)
    handle.remove()
    changed = (embedded[0] - embedded[1]).norm(dim=-1)
    assert int(changed.argmax()) == grid.index(cell)


def test_slots_that_lie_elsewhere_than_they_should_are_refused(made, monkeypatch):
    network, words = of(made, "Qwen2_5_VL")

    def turned(*_):
        yield nlviz.Grid(2, 6, 4, stride=(2.0, 64 / 6, 24.0), first=(1.0, 64 / 12, 12.0))

    hooks = counted_hooks(network.model)  # some are of transformers itself
    monkeypatch.setattr(proof, "_grids", turned)
    with pytest.raises(nlviz.CaptureError, match="48 picture slots of Qwen2_5_VL lie could not be"):
        nlviz.words(words.clip, network, ask=ASK, answer=ANSWER)
    assert counted_hooks(network.model) == hooks


@pytest.mark.parametrize("family", tiny_vlm.FAMILIES)
@pytest.mark.parametrize("frames", [1, 3])
def test_clips_of_other_lengths_and_sizes_are_read(made, family, frames):
    network, _ = of(made, family)
    words = nlviz.words(tiny_vlm.clip(frames, 90, 70), network, ask=ASK, answer=ANSWER)
    grid, view = words.sequence.grid, words.sequence.view
    covered = [frame for t in range(grid.t) for frame in view.positions(t, grid)]
    assert covered == list(range(frames))
    assert grid.shape[1:] == ((6, 4) if "Qwen" in family else (4, 4))


def test_a_clip_that_the_processor_does_not_take_is_told(made):
    network, _ = of(made, "Qwen2_5_VL")
    with pytest.raises(nlviz.NetworkError, match="does not take 2 frames of 900×2"):
        nlviz.words(tiny_vlm.clip(2, 2, 900), network, ask=ASK, answer=ANSWER)


def test_nothing_of_the_model_stays_changed(made):
    network, words = of(made, "InternVL")
    hooks = counted_hooks(network.model)
    network.model.set_attn_implementation("eager")
    network.model.train()
    again = nlviz.words(words.clip, network, ask=ASK, answer=ANSWER)
    assert network.model.training
    assert network.model.config.text_config._attn_implementation == "eager"
    assert counted_hooks(network.model) == hooks
    np.testing.assert_array_equal(again.row("ball"), words.row("ball"))
    network.model.eval()


def test_a_layer_that_puts_out_something_else_is_refused(made, monkeypatch):
    network, words = of(made, "InternVL")
    honest = LayerWeights.head_rows
    monkeypatch.setattr(
        LayerWeights, "head_rows", lambda self, which, head: honest(self, which, head)[:, ::-1]
    )
    with pytest.raises(nlviz.CaptureError, match="Layer 0 puts out something other"):
        nlviz.words(words.clip, network, ask=ASK, answer=ANSWER)


def test_the_row_that_predicts_a_word_is_that_of_the_slot_before(made):
    network, words = of(made, "Qwen2_5_VL")
    before = nlviz.words(words.clip, network, ask=ASK, answer=ANSWER, predicting=True)
    expected = eager(network, words.clip)
    slots = np.array(words.sequence.word("dog").slots) - 1
    np.testing.assert_allclose(
        before.weights("dog"), expected[:, :, slots].mean((0, 1, 2)), atol=1e-5
    )


def test_a_place_that_is_asked_weighs_the_places_and_words_before_it(made):
    network, words = of(made, "Qwen2_5_VL")
    point = nlviz.Point(10, 50.0, 40.0)
    with pytest.raises(nlviz.QueryError, match=r"was not asked.*places=\["):
        words.weights(point)
    found = nlviz.words(words.clip, network, ask=ASK, answer=ANSWER, places=[point])
    slot = found.sequence.slot(point)
    assert found.sequence.grid.cell(list(found.sequence.slots).index(slot)) == nlviz.Cell(0, 2, 3)
    expected = eager(network, words.clip)[:, :, slot].mean((0, 1))
    np.testing.assert_allclose(found.weights(point), expected, atol=1e-5)
    assert not any(found.of_words(point)[word.name] for word in found.words), "words come later"
    assert found.weighing("dog").keys() == {word.name for word in found.words}


def test_words_are_drawn_as_the_tokens_of_an_analysis(made):
    _, words = of(made, "Qwen2_5_VL")
    analysis = words.analysis((None, 1))
    assert analysis.blocks == (MEAN, "layer 1")
    query = nlviz.Query("dog", MEAN, k=4, exclude="none")
    row = nlviz.row_of(analysis, query)
    np.testing.assert_allclose(row.weights, words.row("dog"), atol=1e-6)
    assert row.tokens[TEMPLATE] == pytest.approx(words.of_words("dog")[TEMPLATE], abs=1e-6)
    links = nlviz.top_links(analysis, query)
    best = np.sort(words.row("dog").ravel())[::-1][:4]
    np.testing.assert_allclose([link.weight for link in links], best, atol=1e-6)
    layer = nlviz.row_of(analysis, replace(query, block="layer 1"))
    np.testing.assert_allclose(layer.weights, words.row("dog", layer=1), atol=1e-6)
    assert nlviz.word_strips(words, ["dog", "ball"], head=1).png(dpi=40).startswith(b"\x89PNG")


def test_json_and_table_have_all_weights(made):
    _, words = of(made, "LlavaNextVideo")
    told = json.loads(json.dumps(report(words, layer=1)))
    assert [each["word"] for each in told["words"]] == ["The", "dog", ",", "the 2", "ball", "."]
    dog = told["words"][1]
    np.testing.assert_allclose(dog["places"], words.row("dog", layer=1), atol=1e-7)
    assert sum(dog["steps"]) + sum(dog["words"].values()) == pytest.approx(1, abs=1e-4)
    lines = list(csv.reader(io.StringIO(table(words, ["dog"], layer=1))))
    assert tuple(lines[0]) == HEAD
    assert sum(float(line[-1]) for line in lines[1:]) == pytest.approx(1, abs=1e-4)
    places = [line for line in lines if line[2] == "place"]
    assert len(places) == 64
    assert places[5][5:12] == ["0", "1", "1", "32", "16", "48", "32"]  # a square in the middle


@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"ask": "  "}, nlviz.QueryError, "The question has no words"),
        ({"answer": " \n"}, nlviz.QueryError, "The answer has no words"),
        ({"budget": 16_000}, nlviz.BudgetError, r"above the budget of 0 MiB; at most 2 frames fit"),
        ({"places": [nlviz.Point(0, 500, 0)]}, nlviz.QueryError, "outside the 96×64 frame"),
    ],
)
def test_what_cannot_be_is_one_sentence(made, more, error, says):
    network, words = of(made, "InternVL")
    with pytest.raises(error, match=says):
        nlviz.words(words.clip, network, **{"ask": ASK, "answer": ANSWER, **more})


def test_a_clip_longer_than_the_model_says_how_many_frames_fit(made, monkeypatch):
    network, words = of(made, "InternVL")
    monkeypatch.setattr(network.model.config.text_config, "max_position_embeddings", 100)
    with pytest.raises(nlviz.BudgetError, match="more than the 100 that InternVL takes; at most 2"):
        nlviz.words(words.clip, network, ask=ASK, answer=ANSWER)


def test_the_frames_that_are_said_to_fit_fit(made):
    network, _ = of(made, "InternVL")
    short = tiny_vlm.clip(2)
    nlviz.words(short, network, ask=ASK, answer=ANSWER, budget=16_000)


def test_a_word_that_is_not_there_names_what_is_near(made):
    _, words = of(made, "InternVL")
    with pytest.raises(nlviz.QueryError, match=r"'dig' is no word.*dog"):
        words.row("dig")
    with pytest.raises(nlviz.QueryError, match="Layer 7 does not exist; choose 0 to 1"):
        words.row("dog", layer=7)
    with pytest.raises(nlviz.QueryError, match="Head 9 does not exist; choose 0 to 3"):
        words.row("dog", head=9)


def test_a_processor_without_its_parts_is_told():
    model, processor = tiny_vlm.make("InternVL")
    processor.chat_template = None
    with pytest.raises(nlviz.NetworkError, match="processor of tiny has no chat template"):
        VisionLanguage(model, processor, "tiny")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["InternVL"])
def test_a_folder_is_read_as_save_pretrained_writes_it(made, family, tmp_path, capsys):
    network, words = of(made, family)
    network.model.save_pretrained(tmp_path / "tiny")
    with pytest.raises(nlviz.NetworkError, match="has no processor that can be loaded here"):
        load_vision_language(f"hf:{tmp_path / 'tiny'}")
    network.processor.save_pretrained(tmp_path / "tiny")
    frames = tmp_path / "frames"
    frames.mkdir()
    for i, frame in enumerate(words.clip.frames):
        (frames / f"{i}.png").write_bytes(png(frame))
    words = nlviz.words(nlviz.read(frames, frames=4), network, ask=ASK, answer=ANSWER)
    again = nlviz.words(words.clip, f"hf:{tmp_path / 'tiny'}", ask=ASK, answer=ANSWER)
    assert again.network == "hf:tiny"
    np.testing.assert_allclose(again.row("dog"), words.row("dog"), atol=1e-6)
    command = ["words", str(frames), "--model", f"hf:{tmp_path / 'tiny'}", "--frames", "4"]
    command += ["--ask", ASK, "--answer", ANSWER]
    assert main([*command, "--word", "dog", "--at", "0,50,40"]) == 0
    out = capsys.readouterr().out
    assert f"{words.row('dog').sum():.4f}" in out
    for ending in ("json", "csv", "svg"):
        assert main([*command, "--layer", "1", "-o", str(tmp_path / f"words.{ending}")]) == 0
    told = json.loads((tmp_path / "words.json").read_text("utf-8"))
    np.testing.assert_allclose(told["words"][1]["places"], words.row("dog", layer=1), atol=1e-5)
    assert told["provenance"]["command"].endswith("words.json")
    assert main([*command, "-o", str(tmp_path / "words.txt")]) == 2
    for ending in ("html", "nlviz"):
        assert main([*command, "--word", "dog", "-o", str(tmp_path / f"words.{ending}")]) == 0
    opened = nlviz.export.open_session(tmp_path / "words.nlviz")
    assert opened.analysis.blocks == ("layer 0", "layer 1", MEAN)
    (query,) = opened.queries
    row = nlviz.row_of(opened.analysis, query)
    np.testing.assert_allclose(row.weights, words.row("dog"), atol=1e-5)
    assert b"mean of all layers" in (tmp_path / "words.html").read_bytes()


def png(frame: np.ndarray) -> bytes:
    import cv2

    return cv2.imencode(".png", frame[..., ::-1])[1].tobytes()


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("hf:./nowhere", "The folder './nowhere' does not exist"),
        ("hf:nobody/nothing", "is not on this machine, and nothing is downloaded here"),
        ("timm:vit_tiny", "is no model of Hugging Face"),
    ],
)
def test_a_model_that_is_not_there_is_told(where, says):
    with pytest.raises(nlviz.NetworkError, match=says):
        load_vision_language(where, download=False)


def test_a_folder_that_lacks_a_file_is_told_in_a_sentence(tmp_path):
    with pytest.raises(nlviz.NetworkError, match=r"has no config\.json, which says what model"):
        load_vision_language(f"hf:{tmp_path}")
    tiny_vlm.save("InternVL", tmp_path)
    for file in tmp_path.glob("*process*"):
        file.unlink()
    with pytest.raises(nlviz.NetworkError, match="has no processor that can be loaded") as said:
        load_vision_language(f"hf:{tmp_path}")
    assert str(said.value).count(". ") == 0


def test_words_of_pieces_signs_and_other_scripts():
    tokenizer = tiny_vlm.tokenizer()
    text = "Où va-t-il? 犬が走る the the"
    ids = tokenizer(text)["input_ids"]
    found = words_of(tokenizer, ids, "", 0, 0)
    assert [word.text for word in found] == [
        "Où",
        "va",
        "-",
        "t",
        "-",
        "il",
        "?",
        "犬が走る",
        "the",
        "the",
    ]
    assert [word.name for word in found][-2:] == ["the", "the 2"]
    assert sorted(slot for word in found for slot in word.slots) == list(range(len(ids)))


def test_memory_is_told_before_it_is_taken(made):
    network, words = of(made, "Qwen2_5_VL")
    told = []
    nlviz.words(
        words.clip, network, ask=ASK, answer=ANSWER, progress=lambda share, what: told.append(what)
    )
    assert any("holding 0 MiB of its layers" in each for each in told)
    held = sum(each.theta.nbytes + each.phi.nbytes for each in words.layers)
    assert network.held_bytes(words.sequence.length, len(words.asked)) == held
    assert run.MOST_BYTES == 4 << 30


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        ("internvl", True),
        ("qwen2_5_vl", True),
        ("llava", False),
        ("vit", False),
        ("nothing", False),
    ],
)
def test_a_vision_language_model_of_clips_is_told_by_its_configuration(tmp_path, kind, reads):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    assert is_vision_language(f"hf:{tmp_path}", download=False) is reads
    assert not is_vision_language("timm:vit_tiny_patch16_224")


def test_the_printed_table_names_the_frames_of_each_step_and_no_half_of_it_is_printed(made, capsys):
    network, words = of(made, "Qwen2_5_VL")
    point = nlviz.Point(words.clip.indices[0], 20, 20)
    found = nlviz.words(words.clip, network, ask=ASK, answer=ANSWER, places=[point])
    options = SimpleNamespace(layer=None, head=None, word=["dog"], at=[point])
    print_words(found, options)
    out = capsys.readouterr().out
    first, second, *_ = words.clip.indices
    assert f"frames {first}, {second}" in out.splitlines()[0]
    assert "nan" not in out
    *_, template = out.splitlines()
    assert template.startswith(TEMPLATE)
    assert template.endswith("–")
    options.head = 99
    with pytest.raises(nlviz.QueryError, match="Head 99 does not exist"):
        print_words(found, options)
    assert capsys.readouterr().out == ""
