"""What is typed wrong: refused before the long work, in one sentence that says what is meant."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import pytest

import nlviz
from nlviz.__main__ import start
from nlviz.cli import main
from nlviz.export import open_session
from tests.support import media_files

SMALL = ["--size", "64", "--device", "cpu"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return media_files.moving_square(tmp_path_factory.mktemp("square"), 4, step=30)


def ended(arguments: list[str]) -> int | str | None:
    try:
        return main(arguments)
    except SystemExit as exit:  # argparse's own way out
        return exit.code


AT = ["--at", "0,25,45"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["links", "CLIP", "--at", "-1,25,45"], "Frame -1 was not sampled"),
        (["links", "CLIP", *AT, "--blok", "nl4"], "--blok nl4 (is --block meant?); see"),
        (["links", "CLIP", "CLIP", *AT], "unrecognized arguments"),
        (["figure", "CLIP", *AT, "-o", "a.png", "--width", "1cm"], "A figure is 8 to 100 cm wide"),
        (["figure", "CLIP", *AT, "-o", "a.png", "--dpi", "5"], "dpi must be 30 to 1200; got 5"),
        (["figure", "CLIP", *AT, "-o", "a.png", "--sharpen"], "--sharpen goes with --heat"),
        (["figure", "CLIP", *AT, "-o", "a.png", "--curve", "log"], "--curve goes with --heat"),
        (["figure", "CLIP", *AT, "-o", "a.png", "--heat", "row", "--opacity", "7"], "at most 1"),
        (["film", "CLIP", *AT, "-o", "a.mp4", "--fps", "0"], "0.5 to 60 per second; got 0"),
        (["film", "CLIP", *AT, "-o", "a.mp4", "--width", "9"], "160 to 3840 pixels wide; got 9"),
        (["film", "CLIP", *AT, "-o", "a.mp4", "--seconds", "3"], "--seconds goes with --path"),
        (["film", "CLIP", *AT, "-o", "a.mp4", "--path"], "A path needs at least two points"),
        (["pca", "CLIP", "-o", "a.png", "--dpi", "5"], "dpi must be 30 to 1200; got 5"),
        (["pca", "CLIP", "-o", "a.mp4", "--fps", "99"], "0.5 to 60 per second; got 99"),
        (["match", "CLIP", "--in", "CLIP", *AT, "-o", "a.csv", "--heat"], "--heat goes with -o"),
        (["match", "CLIP", "--in", "CLIP", *AT, "-o", "a.csv", "--json"], "--json is printed"),
        (["track", "CLIP", *AT, "-o", "a.mov"], "'a.mov' is called like a file; give a folder"),
        (["track", "CLIP", *AT, "-o", "a.csv"], "'a.csv' is called like a file; give a folder"),
        (["track", "CLIP", *AT, "--points", "--edges"], "--edges draws masks; leave it out"),
        (["track", "CLIP", *AT, "--tracks-in-pixels"], "--tracks-in-pixels goes with --tracks"),
        (["track", "CLIP", *AT, "-o", "a.mp4", "--fps", "0"], "0.5 to 60 per second; got 0"),
        (
            ["match", "a.nlviz", "--in", "CLIP", *AT, "--of", "cosine"],
            "'a.nlviz' has no network",
        ),
        (["export", "CLIP", *AT, "--table", "profile", "-o", "a.npz"], "--table goes with -o OUT."),
        (["app", "--media", "nowhere"], "There is no folder 'nowhere' for --media"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_before_the_network_runs(
    clip, tmp_path, monkeypatch, capsys, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nlviz.inference.forward.analyse", lambda *_, **__: pytest.fail("it ran"))
    assert ended([str(clip) if each == "CLIP" else each for each in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len([line for line in err.splitlines() if not line.startswith("note: ")]) == 1
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_begins_like_an_option_is_told_how_to_write_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("-clip.mp4").touch()
    assert ended(["links", "-clip.mp4", *AT]) == 2
    assert "begins like an option; write it as ./-clip.mp4" in capsys.readouterr().err


def test_the_version_is_told(capsys):
    assert ended(["--version"]) == 0
    assert capsys.readouterr().out == f"nlviz {nlviz.__version__}\n"


def test_stopping_while_modules_are_imported_is_no_traceback(monkeypatch, capsys):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr("nlviz.cli.main", stopped)
    assert start() == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_closed_output_is_no_fault(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["models"]) == 0
    sys.stdout.close()
    sys.stderr.close()


def test_what_is_said_never_lands_in_a_closed_error_streams_answers(monkeypatch, clip):
    answers = io.StringIO()
    monkeypatch.setattr(sys, "stdout", answers)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["links", str(clip)]) == 2
    assert answers.getvalue() == ""
    sys.stderr.close()


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="names of any bytes")
@pytest.mark.parametrize("ending", [".png", ".csv", ".json", ".html", ".nlviz"])
def test_a_name_that_is_no_utf8_is_written_with_question_marks(tmp_path, clip, ending, capsys):
    odd = tmp_path / os.fsdecode(b"lat\xfcin")
    odd.mkdir()
    for each in clip.iterdir():
        (odd / each.name).write_bytes(each.read_bytes())
    out = tmp_path / f"out{ending}"
    verb = {".png": "figure", ".html": "html"}.get(ending, "export")
    assert main([verb, str(odd), *AT, "--k", "2", *SMALL, "-o", str(out)]) == 0
    if ending == ".nlviz":
        capsys.readouterr()
        assert main(["links", str(out), "--json"]) == 0
        assert "lat?in" in open_session(out).analysis.clip.name
    elif ending != ".png":
        assert "lat?in" in out.read_text(encoding="utf-8")


def test_a_file_that_the_system_refuses_is_not_called_a_full_disk(monkeypatch, capsys):
    def refused(options):
        raise PermissionError(errno.EACCES, "Permission denied", "net.py")

    monkeypatch.setattr("nlviz.cli.models._models", refused)
    assert main(["models"]) == 2
    assert capsys.readouterr().err == (
        "'net.py' cannot be used (Permission denied); check where it lies, and its permissions.\n"
    )


def test_one_link_covers_and_several_cover(clip, capsys):
    assert main(["links", str(clip), *AT, "--k", "1", *SMALL]) == 0
    assert ": this link covers " in capsys.readouterr().out


def test_a_path_is_a_path_in_every_row_of_a_figure(clip, tmp_path, monkeypatch):
    drawn = []
    from nlviz.figures import film_strips

    def kept(panels, **how):
        drawn.extend(panels)
        return film_strips(panels, **how)

    monkeypatch.setattr("nlviz.figures.film_strips", kept)
    out = str(tmp_path / "a.png")
    asked = ["figure", str(clip), *AT, "--rows", "nl4,nl5", "--path", *SMALL, "--dpi", "40"]
    assert main([*asked, "-o", out]) == 0
    for panel in drawn:
        assert [link.target.frame for link in panel.links[0]] == [1, 2, 3]


def test_a_sessions_own_places_are_asked_as_they_were_and_that_is_told(clip, tmp_path, capsys):
    kept = str(tmp_path / "a.nlviz")
    assert main(["export", str(clip), *AT, "--k", "3", *SMALL, "-o", kept]) == 0
    assert main(["links", kept]) == 0
    assert "as they were" not in capsys.readouterr().err
    assert main(["links", kept, "--k", "1"]) == 0
    out, err = capsys.readouterr()
    assert "these 3 links cover" in out
    assert "note: The session's own places are asked as they were; give --at" in err


def test_statistics_count_in_whole_numbers(clip, capsys):
    assert main(["stats", str(clip), "--block", "nl3", "--size", "320", "--device", "cpu"]) == 0
    assert "queries 3840" in capsys.readouterr().out


def test_a_folder_for_windows_is_refused_for_what_is_wrong_with_it(clip, tmp_path, capsys):
    asked = ["links", str(clip), *AT, "--window", "2", *SMALL, "--windows-in"]
    file = tmp_path / "file"
    file.touch()
    assert main([*asked, str(file)]) == 2
    assert f"'{file}' is a file; give a folder for the windows." in capsys.readouterr().err
    assert main([*asked, str(tmp_path / "no" / "such")]) == 2
    assert f"The folder '{tmp_path / 'no'}' does not exist; create it" in capsys.readouterr().err
