"""Components of long clips: those of all positions at once, one window held at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.errors import QueryError
from nlviz.features import moments as moments_of
from nlviz.features.basis import basis_of
from nlviz.features.layers import features_of
from nlviz.features.moments import Moments
from nlviz.windows import LongAnalysis, components_film_windows, pca_windows
from tests.features.test_pca import by_svd, vectors
from tests.windows import support


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> LongAnalysis:
    made = support.long(support.folder(tmp_path_factory.mktemp("long") / "clip"))
    made.run()
    return made


def own_vectors(long: LongAnalysis, of: str) -> np.ndarray:
    """(C, n) of all frames, each from the window that answers for it."""
    parts = []
    for window in long.plan:
        found = features_of(long.window(window.number), "second", of, long.network)
        assert found.grid.t == len(window), "a step for each frame"
        own = slice(window.own_start - window.start, window.own_stop - window.start)
        maps = found.vectors.reshape(-1, *found.grid.shape)
        parts.append(maps[:, own].reshape(len(maps), -1))
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("of", ["input", "theta"])
def test_the_basis_of_windows_is_that_of_all_positions_at_once(long, of):
    found = pca_windows(long, "second", of=of)
    every = own_vectors(long, of)
    variance, directions = by_svd(every)
    assert found.count == every.shape[1]
    np.testing.assert_allclose(found.basis.variance, variance, rtol=1e-3)
    assert np.abs(np.einsum("ij,ij->i", found.basis.directions, directions) - 1).max() < 1e-3
    at_once = basis_of(every, of=f"{of} of second", network="x")
    np.testing.assert_allclose(found.basis.low, at_once.low, atol=2e-3)
    np.testing.assert_allclose(found.basis.high, at_once.high, atol=2e-3)
    assert f"{found.basis.explained[0]:.1%}" in " ".join(found.words)
    assert "one basis for all frames of 5 windows" in found.words[0]
    one, two = found.window(0), found.window(1)
    assert one.basis is two.basis is found.basis
    assert one.explained == found.basis.explained


def test_a_foreground_and_a_given_basis_go_through_all_windows(long):
    whole = pca_windows(long, "second", of="theta")
    part = pca_windows(long, "second", of="theta", foreground=nlviz.Foreground("below"))
    every = own_vectors(long, "theta")
    kept = whole.basis.apply(every)[0] < 0
    assert part.count == int(kept.sum())
    np.testing.assert_allclose(part.basis.variance, by_svd(every[:, kept])[0], rtol=1e-3)
    again = pca_windows(long, "second", of="theta", basis=part.basis)
    assert again.count == 0
    np.testing.assert_array_equal(again.window(3).colours, part.window(3).colours)
    with pytest.raises(QueryError, match=r"lie above the threshold 99; choose another"):
        pca_windows(long, "second", of="theta", foreground=nlviz.Foreground("above", 99))


def test_one_window_is_held_at_a_time_and_each_is_told(long, monkeypatch):
    opened: list[int] = []
    told: list[tuple[float, str]] = []
    plain = LongAnalysis.window

    def watched(self, number, *given, **options):
        opened.append(number)
        return plain(self, number, *given, **options)

    monkeypatch.setattr(LongAnalysis, "window", watched)
    found = pca_windows(
        long, "second", progress=lambda fraction, what: told.append((fraction, what))
    )
    assert opened == [0, 1, 2, 3, 4]
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1][1].startswith("window 5 of 5")
    opened.clear()
    film = components_film_windows(found, width=160)
    assert film.count == 11
    alone = nlviz.components_film(found.window(4), width=160)
    np.testing.assert_array_equal(film.draw(10), alone.draw(10 - long.plan[4].start))
    assert opened == [0, 4, 4]


def test_moments_are_those_of_the_whole_however_it_is_cut(monkeypatch):
    x = vectors(40, 500)
    monkeypatch.setattr(moments_of, "SAMPLED_BYTES", 4 * 40 * 120)
    made = Moments("output of a", "b")
    for begin, end in ((0, 7), (7, 300), (300, 301), (301, 500)):
        made.add(x[:, begin:end])
    assert sum(each.shape[1] for each in made._kept) == 63, "every eighth"
    np.testing.assert_array_equal(np.concatenate(made._kept, axis=1), x[:, ::8])
    basis, variance = made.basis(), by_svd(x)[0]
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-4)
    np.testing.assert_allclose(basis.total, x.var(axis=1, dtype=np.float64).sum(), rtol=1e-4)
    np.testing.assert_allclose(basis.mean, x.mean(axis=1), rtol=1e-5)


def basis_of_parts(parts: Sequence[np.ndarray]) -> nlviz.Basis:
    made = Moments("output of a", "b")
    for part in parts:
        made.add(part)
    return made.basis()


def test_each_bad_input_of_windows_is_one_sentence(monkeypatch):
    def fails(match: str, *parts: np.ndarray) -> None:
        with pytest.raises(QueryError, match=match):
            basis_of_parts(parts)

    fails("has one position", np.ones((4, 1), np.float32))
    fails("the same at all 6 positions", *2 * [np.full((4, 3), 2.5, np.float32)])
    bad = vectors(4, 9)
    bad[1, 2] = np.inf
    fails("not a finite number at 1 of 9 positions", bad)
    fails("has 5 channels in one window and 4 in another", vectors(4, 9), vectors(5, 9))
    monkeypatch.setattr(moments_of, "MOST_CHANNELS", 3)
    fails("has 4 channels, and over windows at most 3", vectors(4, 9))


def test_the_command_draws_the_whole_clip_in_windows(tmp_path: Path, capsys):
    from nlviz.cli import main

    home = support.folder(tmp_path / "clip", count=5, width=32, height=32)
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def plain():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8, stride=8), "
        "torch.nn.Conv2d(8, 8, 1)), {'size': 32, 'frames': 2}\n"
    )
    asked = ["pca", str(home), "--model", f"{tmp_path / 'net.py'}:plain", "--features", "1"]
    asked += ["--device", "cpu", "--window", "2", "--overlap", "0", "--yes"]
    film, basis = str(tmp_path / "a.gif"), str(tmp_path / "b.safetensors")
    assert main([*asked, "-o", film, "--pixels", "160", "--save-basis", basis]) == 0
    told = capsys.readouterr().out
    assert "Output of 1 of" in told
    assert "80 positions × 8 channels, one basis for all frames of 3 windows" in told
    assert Path(film).read_bytes().startswith(b"GIF")
    assert nlviz.open_basis(basis).channels == 8
    assert main([*asked, "-o", str(tmp_path / "b.gif"), "--pixels", "64"]) == 2
    assert "window 2" not in (said := capsys.readouterr().err), "it is told before the work"
    assert "160 to 3840 pixels wide; got 64" in said
    assert main([*asked, "-o", str(tmp_path / "a.png")]) == 2
    assert "drawn as a film, .mp4 or .gif" in capsys.readouterr().err
