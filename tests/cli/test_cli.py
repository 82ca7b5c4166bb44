"""The command line, in process and as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from nlviz.cli import main
from nlviz.models import zoo
from tests.inference.test_user_network import BUILD
from tests.support import media_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return media_files.moving_square(tmp_path_factory.mktemp("square"), 4, step=30)


SMALL = ["--size", "97", "--device", "cpu"]


def test_links_as_json_have_the_promised_fields(clip, capsys):
    at = ["--at", "0,25,45", "--at", "2,85,45"]
    assert main(["links", str(clip), *at, *SMALL, "--k", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["input"] == {
        "path": str(clip), "width": 160, "height": 96, "total_frames": 4,
        "sampled_frames": [0, 1, 2, 3],
    }  # fmt: skip
    assert report["model"] == "nl-lite0"
    assert report["block"] == list(zoo.record("nl-lite0").taps)[-1]
    assert report["grid"]["query"]["t"] == 4
    assert report["fidelity"] < 1e-4
    assert [query["at"] for query in report["queries"]] == [
        {"frame": 0, "x": 25, "y": 45}, {"frame": 2, "x": 85, "y": 45},
    ]  # fmt: skip
    for query in report["queries"]:
        assert [link["rank"] for link in query["links"]] == [1, 2, 3]
        weights = [link["weight"] for link in query["links"]]
        assert weights == sorted(weights, reverse=True)
        assert query["covered"] == pytest.approx(sum(weights))
        assert {link["frame"] for link in query["links"]} <= {0, 1, 2, 3}
        assert query["at"]["frame"] not in {link["frame"] for link in query["links"]}
    assert "running nl-lite0: stem" in err


def test_a_network_of_ones_own_gets_the_frames_that_it_declares(clip, tmp_path, capsys):
    file = tmp_path / "net.py"
    file.write_text(BUILD + '\n\ndef three():\n    return plain(), {"size": 64, "frames": 3}\n')
    asked = ["links", str(clip), "--at", "0,25,45", "--model", f"{file}:three", "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["input"]["sampled_frames"] == [0, 2, 3]
    assert main([*asked, "--frames", "2"]) == 2
    assert "takes 3 frames and got 2; choose 3, of a clip that has" in capsys.readouterr().err


def test_links_as_text_list_every_link(clip, capsys):
    assert main(["links", str(clip), "--at", "0,25,45", *SMALL, "--k", "3", "--block", "nl3"]) == 0
    out, _ = capsys.readouterr()
    assert "nl-lite0, block nl3" in out
    assert len(out.splitlines()) == 1 + 3 + 1 + 1 + 1 + 3


def test_the_receptive_field_is_told_on_request(clip, capsys):
    asked = [str(clip), "--at", "0,25,45", *SMALL, "--k", "3", "--block", "nl3"]
    assert main(["links", *asked, "--receptive-field", "--json"]) == 0
    field = json.loads(capsys.readouterr().out)["queries"][0]["receptive_field"]
    x0, y0, x1, y1 = field["box"]
    assert x0 <= 25 < x1
    assert y0 <= 45 < y1
    assert (field["frames"], field["through"]) == ([0], [])
    assert main(["links", *asked, "--receptive-field"]) == 0
    assert "receptive field: x" in capsys.readouterr().out


def test_a_region_and_the_reverse_question_are_answered(clip, capsys):
    at = ["--region", "0,8,28,40,60", "--at", "0,25,45", "--reverse", "--k", "3"]
    assert main(["links", str(clip), *at, *SMALL, "--json"]) == 0
    queries = json.loads(capsys.readouterr().out)["queries"]
    assert queries[0]["region"] == {
        "frame": 0, "outline": [[8, 28], [40, 28], [40, 60], [8, 60]],
    }  # fmt: skip
    assert all(query["reverse"] and len(query["links"]) == 3 for query in queries)
    assert main(["links", str(clip), *at, *SMALL]) == 0
    out = capsys.readouterr().out
    assert "frame 0, region 8,28 to 40,60: these 3 links" in out
    assert "of the column" in out


def test_stats_as_json_hold_every_blocks_averages_and_each_places_profile(clip, capsys):
    assert main(["stats", str(clip), "--at", "0,25,45", *SMALL, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["block"] for each in report["blocks"]] == ["nl3", "nl4", "nl5"]
    for each in report["blocks"]:
        assert 0 < each["entropy"] <= np.log(each["positions"]) + 1e-6
        assert each["words"].startswith(f"Block {each['block']}")
    (query,) = report["queries"]
    assert query["at"] == {"frame": 0, "x": 25, "y": 45}
    assert sum(query["by_frame"]) == pytest.approx(1)
    assert main(["stats", str(clip / "0.png"), "--at", "0,25,45", *SMALL, "--block", "nl3"]) == 0
    out, err = capsys.readouterr()
    assert "One frame has no time axis" in err
    assert "duration" not in out
    assert "entropy" in out


def test_a_baseline_takes_the_place_of_the_block(clip, capsys):
    asked = [str(clip), "--at", "0,25,45", *SMALL, "--baseline"]
    assert main(["links", *asked, "uniform", "--json", "--k", "2"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["block"] == "nl5 (uniform)"
    assert report["fidelity"] is None
    cells = np.prod([report["grid"]["key"][axis] for axis in ("t", "rows", "cols")])
    assert report["queries"][0]["links"][0]["weight"] == pytest.approx(1 / cells)
    assert main(["links", *asked, "uniform", "--k", "2"]) == 0
    assert capsys.readouterr().out.count("fidelity not measured") == 2
    assert main(["stats", *asked, "cosine"]) == 0
    assert "nl5 (cosine)" in capsys.readouterr().out


@pytest.mark.slow
def test_links_are_ranked_by_contribution(clip, capsys):
    asked = [str(clip), "--at", "0,25,45", *SMALL, "--rank", "contribution", "--k", "4"]
    assert main(["links", *asked, "--json"]) == 0
    links = json.loads(capsys.readouterr().out)["queries"][0]["links"]
    sizes = [link["contribution"] for link in links]
    assert sizes == sorted(sizes, reverse=True)
    assert main(["links", *asked]) == 0
    assert "contribution" in capsys.readouterr().out


@pytest.mark.slow
def test_ablate_tells_each_blocks_effect_and_masks_a_places_links(clip, capsys):
    asked = [str(clip), "--at", "0,25,45", *SMALL, "--draws", "1"]
    assert main(["ablate", *asked, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [each["block"] for each in report["blocks"]] == ["nl3", "nl4", "nl5"]
    assert all(each["size"] >= 0 and len(each["after"]) == 5 for each in report["blocks"])
    (masked,) = report["masking"]
    assert len(masked["by_affinity"]) == len(masked["fractions"]) == len(masked["by_random"][0])
    assert "random orders" in report["protocol"]
    assert main(["ablate", str(clip), *SMALL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 1 + 3 + 2
    assert "eaving out" in lines[-2]
    assert lines[-1] == "Class scores from three square windows at 224 pixels, mean of logits."
    assert report["scores"] in lines[-1]
    assert report["in_words"] == lines[-2]
    assert "masked" in masked["in_words"]


@pytest.mark.slow
def test_track_carries_a_region_and_measures_itself_against_masks(clip, tmp_path, capsys):
    truth, out = tmp_path / "truth", tmp_path / "out"
    truth.mkdir()
    out.mkdir()
    for i in range(4):
        mask = np.zeros((96, 160), np.uint8)
        mask[30:60, 10 + 30 * i : 40 + 30 * i] = 255
        cv2.imwrite(str(truth / f"{i}.png"), mask)
    asked = ["track", str(clip), *SMALL, "--block", "nl3"]
    assert main([*asked, "--masks", str(truth), "--json", "-o", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0 <= report["J"] <= 1
    assert report["frames"][0]["J"] > 0.5  # the given mask, as its cells have it
    assert report["protocol"]["context"] == 7
    assert sorted(path.name for path in out.iterdir()) == [f"{i:05d}.png" for i in range(4)]
    assert cv2.imread(str(out / "00002.png")).shape == (96, 160, 3)
    assert main([*asked, "--masks", str(truth), "-o", str(out)]) == 2
    assert "has PNG files; use --force" in capsys.readouterr().err
    assert main([*asked, "--region", "1,40,30,70,60", "--radius", "0", "--baseline", "cosine"]) == 0
    said = capsys.readouterr().out
    assert "block nl3 (cosine), from frame 1" in said
    assert "10 heaviest keys anywhere" in said
    assert main([*asked, "--mask", str(truth / "0.png")]) == 0
    mask[70:90, 100:130] = 2  # the last frame's object is 255
    cv2.imwrite(str(tmp_path / "two.png"), mask)
    assert main([*asked, "--mask", str(tmp_path / "two.png"), "--object", "7"]) == 2
    assert "'two.png' has no object '7'; it has 2, 255." in capsys.readouterr().err
    assert main([*asked, "--mask", str(tmp_path / "two.png"), "--object", "2"]) == 0
    (truth / "3.png").unlink()
    assert main([*asked, "--masks", str(truth)]) == 2
    assert "has 3 masks, but the clip has 4 frames" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_figure_is_written(clip, tmp_path, ending, capsys):
    out = tmp_path / f"figure.{ending}"
    assert main(["figure", str(clip), "--at", "0,25,45", *SMALL, "-o", str(out)]) == 0
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert out.read_bytes().startswith(start)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_figure_has_the_choices_that_a_paper_needs(clip, tmp_path):
    out = tmp_path / "figure.png"
    line = ["figure", str(clip), "--at", "0,25,45", "--at", "0,90,60", *SMALL, "-o", str(out)]
    line += ["--width", "252pt", "--dpi", "100", "--columns", "2", "--only", "0,2", "--rows", "all"]
    assert main([*line, "--palette", "#0072B2,black", "--no-titles", "--font-size", "8"]) == 0
    assert cv2.imread(str(out)).shape[1] == pytest.approx(252 / 72.27 * 100, abs=1)
    assert main(line) == 2  # it is there
    assert main([*line, "--force"]) == 0


POOLED = (
    BUILD
    + """

class Pooled(Net):
    def __init__(self):
        super().__init__()
        self.probe = nn.Parameter(torch.randn(1, 1, 8))
        self.pool = nn.MultiheadAttention(8, 1, batch_first=True)

    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        return self.head(self.pool(self.probe.expand(len(x), -1, -1), x, x)[0][:, 0])


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.places, self.learned = Net(), Pooled()

    def forward(self, x):
        return self.places(x) + self.learned(x)


def both():
    torch.manual_seed(0)
    return Both(), {"size": 64, "multiple": 16}
"""
)


def test_strips_of_all_blocks_are_of_those_that_can_be_asked_there(clip, tmp_path, capsys):
    file, out = tmp_path / "net.py", tmp_path / "figure.svg"
    file.write_text(POOLED)
    line = ["figure", str(clip), "--at", "0,25,45", "--model", f"{file}:both", "-o", str(out)]
    assert main([*line, "--rows", "all"]) == 0
    assert "note: Nothing can be reached from there in block 'learned" in capsys.readouterr().err
    drawn = out.read_text()
    assert "places" in drawn
    assert "learned" not in drawn.replace("note", "")
    assert main([*line, "--force", "--rows", "learned.pool"]) == 2
    assert "ask a token: probe@0, probe@1, probe@2, probe@3" in capsys.readouterr().err


def test_help_tells_the_block_that_is_asked_by_default(clip, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["links", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "by default the last one that is asked from the picture" in told
    file = tmp_path / "net.py"
    file.write_text(POOLED)
    asked = ["links", str(clip), "--at", "0,25,45", "--model", f"{file}:both", "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["block"] == "places"


def test_models_lists_every_network(capsys):
    assert main(["models"]) == 0
    assert "nl-lite0" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    assert [m["name"] for m in json.loads(capsys.readouterr().out)] == list(zoo.names())


def test_an_image_leaves_out_the_own_cell_and_not_the_only_frame(clip, capsys):
    assert main(["links", str(clip / "0.png"), "--at", "0,25,45", *SMALL, "--json"]) == 0
    links = json.loads(capsys.readouterr().out)["queries"][0]["links"]
    assert {link["frame"] for link in links} == {0}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["links", "nothing.mp4", "--at", "0,1,1"], "nothing.mp4"),
        (["links", "CLIP", "--at", "9,1,1"], "Frame 9 was not sampled; choose one of 0, 1, 2, 3"),
        (["links", "CLIP", "--at", "0,500,1"], "outside the 160×96 frame"),
        (["links", "CLIP", "--at", "0,1"], "'0,1' is not FRAME,X,Y"),
        (["links", "CLIP", "--at", "0,1,1", "--block", "res9"], "choose one of nl3, nl4, nl5"),
        (["links", "CLIP", "--at", "0,1,1", "--model", "vgg"], "nl-lite0"),
        (["links", "CLIP", "--at", "0,1,1", "--k", "0"], "'0' is not a whole number of at least 1"),
        (["links", "CLIP", "--at", "0,1,1", "--frames", "0"], "0"),
        (["links", "CLIP", "--at", "0,1,1", "--size", "9"], "32 to 4096"),
        (["links", "CLIP"], "--at"),
        (["links", "CLIP", "--region", "0,1,1,900,50"], "reaches over the edge of the 160×96"),
        (["links", "CLIP", "--region", "0,1,1,2,2"], "holds the centre of no cell"),
        (["links", "CLIP", "--region", "0,1,1,2"], "'0,1,1,2' is not FRAME,X0,Y0,X1,Y1"),
        (["links", "CLIP", "--token", "class"], "Token 'class' is not in this block; it has none"),
        (["links", "CLIP", "--at", "0,1,1", "--head", "3"], "the block has one head alone"),
        (["figure", "CLIP", "--at", "0,1,1", "-o", "figure.doc"], ".svg"),
        (["figure", "CLIP", "--at", "0,1,1", "-o", "no/such/folder/figure.png"], "no/such/folder"),
        (["stats", "CLIP", "--baseline", "grey"], "invalid choice: 'grey'"),
        (["ablate", "CLIP", "--head", "0"], "leave out --baseline and --head"),
        (["track", "CLIP"], "or several of one frame; give one of --mask"),
        (["track", "CLIP", "--token", "class"], "starts from one object"),
        (["track", "CLIP", "--at", "0,2,2", "--object", "1"], "give --mask or --masks too"),
        (["track", "CLIP", "--masks", "nowhere"], "'nowhere' is not a folder"),
        (
            ["track", "CLIP", "--at", "0,1,1", "-o", "no/such"],
            "folder 'no/such' cannot be made",
        ),
        (["figure", "CLIP", "--at", "0,1,1", "-o", "a.png", "--width", "8"], "'8' is not a length"),
        (["figure", "CLIP", "--at", "0,1,1", "-o", "a.png", "--font", "No"], "not installed"),
        (["dance"], "dance"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_user_can_mend_is_one_sentence_and_exit_code_2(clip, arguments, sentence, capsys):
    arguments = [str(clip) if a == "CLIP" else a for a in arguments]
    small = SMALL if arguments[0] != "dance" and "--size" not in arguments else []
    try:
        code = main([*arguments, *small])
    except SystemExit as exit:  # argparse's own way out
        code = exit.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    said = err.splitlines()
    complaint = [line for line in said if "%" not in line[:5] and not line.startswith("note: ")]
    assert len(complaint) == 1, err
    assert sentence in complaint[0]


def test_a_fault_of_ours_is_no_traceback(monkeypatch, capsys):
    monkeypatch.delenv("NLVIZ_DEBUG", raising=False)
    monkeypatch.setattr("nlviz.cli.models._models", lambda options: 1 / 0)
    assert main(["models"]) == 1
    assert "fault in nlviz" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nlviz", "models"], stdout=full, stderr=subprocess.PIPE, cwd=ROOT
        )
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "Nothing more can be written (No space left on device); free some space.\n"
    )


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only_gets_its_answer(clip):
    done = subprocess.run(
        [sys.executable, "-m", "nlviz", "links", str(clip), "--at", "0,25,45", *SMALL],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 0
    assert b"queries 4?" in done.stdout


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "nlviz", "--help"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0
    for command in ("links", "figure", "models", "app"):
        assert command in done.stdout
