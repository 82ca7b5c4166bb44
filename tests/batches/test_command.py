"""``nlviz batch`` as it is typed: exit codes, sentences, and what a dry run says."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from nlviz.batches.estimate import Estimate
from nlviz.batches.pace import Pace, in_words
from nlviz.cli import main, parser
from nlviz.cli.batch import options_of
from tests.batches.conftest import contents


def typed(clips, out, net, *more):
    readers = [] if "--readers" in more else ["--readers", "0"]
    return main(
        ["batch", str(clips), "-o", str(out), "--model", f"{net}:soft", *readers, *map(str, more)]
    )


def test_exit_codes_are_0_for_all_1_for_some_failed_and_2_for_nothing_begun(
    clips, net, tmp_path, capsys
):
    out = tmp_path / "out"
    assert typed(clips, out, net) == 0
    told = capsys.readouterr()
    assert told.out == f"3 clips: 3 done, 0 there already, 0 failed; {out}\n"
    assert re.search(r"^100% 3 of 3 clips, [\d.e+-]+ clips/s$", told.err, re.MULTILINE)
    (clips / "broken.mp4").write_bytes(b"x")
    assert typed(clips, out, net) == 1
    assert f"failed: {clips / 'broken.mp4'}: " in capsys.readouterr().err
    assert typed(clips, out, net, "--k", "3") == 2
    assert capsys.readouterr().err == (
        f"'{out}' holds a batch of other options (k: 20 there, 3 here); give the same, or choose "
        "another folder.\n"
    )
    assert typed(tmp_path / "none", out, net) == 2
    assert json.loads((out / "manifest.json").read_text())["command"].startswith(
        f"python -m nlviz batch {clips} -o {out}"
    )


def test_a_network_that_dies_on_every_clip_is_exit_code_1_and_a_sentence(
    clips, net, tmp_path, capsys
):
    for number in range(12):
        shutil.copytree(clips / "clip0", clips / f"more{number}")
        (clips / f"more{number}" / "0.png").write_bytes((clips / "clip1" / "0.png").read_bytes())
    command = ["batch", str(clips), "-o", str(tmp_path / "out"), "--model", f"{net}:dies"]
    assert main([*command, "--readers", "0"]) == 1
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("The network failed on 10 clips in a row")
    assert "and 5 more; see" in err


def test_a_dry_run_measures_on_this_machine_and_writes_nothing(clips, net, tmp_path, capsys):
    out = tmp_path / "out"
    assert typed(clips, out, net, "--dry-run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 clips, of which 3 are not done."
    assert re.match(r"Measured here on 3 of them: .* s to read a clip and .* s in the n", lines[1])
    assert "of disk" in lines[2]
    assert not out.exists()
    typed(clips, out, net, "--shard", "1/3")
    before = contents(out)
    capsys.readouterr()
    typed(clips, out, net, "--dry-run")
    assert capsys.readouterr().out.startswith("3 clips, of which 2 are not done.")
    assert contents(out) == before


def test_an_estimate_is_what_the_slower_of_reading_and_running_takes():
    told = Estimate(1000, 500, 3, (), reading=0.5, running=2.0, size=2e6, memory=3_000_000_000)
    assert told.sentences[1].endswith("so one process takes about 17 min.")
    assert told.sentences[2] == "The results take about 1.0 GB of disk."
    assert "held at most 3.0 GB" in told.sentences[3]
    failed = Estimate(1, 1, 1, ("It is broken.",), 0.1, 0.1, 0, None)
    assert failed.sentences[1:] == ("One that was tried failed: It is broken.",)


def test_the_pace_counts_what_was_worked_on_and_not_what_was_there():
    now, told = 0.0, []
    pace = Pace(10, lambda fraction, words: told.append((fraction, words)), clock=lambda: now)
    pace.there(4)
    now = 2.0
    pace.worked()
    assert told[-1] == (0.5, "5 of 10 clips, 0.5 clips/s, about 10 s left")
    pace.worked(failed=True)
    assert told[-1] == (0.6, "6 of 10 clips, 1 failed, 1 clips/s, about 4 s left")
    assert [in_words(s) for s in (0.1, 119, 121, 7300)] == [
        "about 1 s", "about 119 s", "about 2 min", "about 2 h",
    ]  # fmt: skip


def test_every_option_reaches_what_is_asked():
    words = (
        "batch a b.csv -o OUT --ask grid:3 --ask blocks --at 0,1,2 --region 0,1,2,3,4 --masks m "
        "--block nl5 --each-head --k 7 --exclude none --model nl-lite0 --model nl-lite0-dot "
        "--frames 4 --stride 2 --start 1 --size 224 --device cpu --together 3 --arrays npz "
        "--figures svg --films gif --shard 1/2 --readers 5 --ray head:6379 --dry-run"
    )
    given = parser().parse_args(words.split())
    asked = options_of(given)
    assert (given.inputs, given.output) == (["a", "b.csv"], "OUT")
    assert (given.shard, given.readers, given.ray, given.dry_run) == ("1/2", 5, "head:6379", True)
    assert asked.ask == ("grid:3", "blocks")
    assert [type(place).__name__ for place in asked.at] == ["Point", "Region"]
    assert asked.models == ("nl-lite0", "nl-lite0-dot")
    assert (asked.masks, asked.blocks, asked.each_head, asked.k) == ("m", ("nl5",), True, 7)
    assert (asked.exclude, asked.frames, asked.stride, asked.start) == ("none", 4, 2, 1)
    assert (asked.size, asked.device, asked.together) == (224, "cpu", 3)
    assert (asked.arrays, asked.figures, asked.films) == ("npz", "svg", "gif")
    assert parser().parse_args(["batch", "a", "-o", "b", "--ray"]).ray == ""
    assert parser().parse_args(["batch", "a", "-o", "b"]).ray is None


@pytest.mark.parametrize("shard", ["0/2", "3/2", "x"])
def test_a_shard_that_cannot_be_is_told(clips, net, tmp_path, shard, capsys):
    assert typed(clips, tmp_path / "out", net, "--shard", shard) == 2
    assert "shard" in capsys.readouterr().err.lower()
    assert not (tmp_path / "out").exists()
