"""PCA of a clip: the components of the definition, the same in two runs, and on other clips."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import nlviz
from nlviz.features import leading as leading_of
from nlviz.features.basis import basis_of
from nlviz.features.leading import leading
from nlviz.features.moments import Moments
from tests.support import make


def vectors(channels: int, n: int, seed: int = 0) -> np.ndarray:
    """Vectors far from the origin whose variance falls from direction to direction."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(channels, channels)))[0]
    fall = 1 / np.arange(1, channels + 1) ** 0.7
    made = turn @ (fall[:, None] * rng.normal(size=(channels, n)))
    return (made + 5 * rng.normal(size=(channels, 1))).astype(np.float32)


def by_svd(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance and directions (3, C) of numpy's own decomposition, signed as is promised."""
    centred = x.astype(np.float64) - x.mean(axis=1, dtype=np.float64, keepdims=True)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    u = u[:, :3] * np.sign(u[np.abs(u[:, :3]).argmax(axis=0), range(3)])
    return s[:3] ** 2 / x.shape[1], u.T


@pytest.mark.parametrize(
    ("channels", "n"), [(6, 40), (50, 20), (150, 400), (400, 150), (150, 3000)]
)
def test_components_are_those_of_the_singular_value_decomposition(channels, n, monkeypatch):
    monkeypatch.setattr(leading_of, "_MANY", 2000)  # of the last case some come before all
    x = vectors(channels, n)
    basis = basis_of(x, of="output of a", network="b")
    variance, directions = by_svd(x)
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-3)
    assert np.abs(np.einsum("ij,ij->i", basis.directions, directions) - 1).max() < 5e-3
    np.testing.assert_allclose(basis.total, x.var(axis=1, dtype=np.float64).sum(), rtol=1e-4)
    along = basis.apply(x)
    np.testing.assert_allclose(along.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(along.var(axis=1), variance, rtol=1e-3)
    for beyond in (along < basis.low[:, None], along > basis.high[:, None]):
        assert beyond.mean() == pytest.approx(0.02, abs=1 / n)


def test_two_runs_agree_and_the_largest_entry_is_positive():
    x = vectors(200, 300)
    one, two = (basis_of(x, of="a", network="b") for _ in range(2))
    np.testing.assert_array_equal(one.directions, two.directions)
    assert (one.directions.max(axis=1) == np.abs(one.directions).max(axis=1)).all()
    assert list(one.variance) == sorted(one.variance, reverse=True)
    mean = x.mean(axis=1)
    squares = float(((x - mean[:, None]) ** 2).sum())
    _, other = leading(x, mean, squares, 3, seed=9)
    assert (np.einsum("ij,ij->i", one.directions, other) > 0.99).all()


def test_fewer_directions_than_three_leave_the_others_empty():
    line = np.outer([1.0, 2.0, 0.0, 1.0], [0, 1, 2, 5]).astype(np.float32)
    basis = basis_of(line, of="a", network="b")
    assert basis.explained == pytest.approx((1, 0, 0))
    assert not basis.directions[1:].any()
    assert not basis.apply(line)[1:].any()


def of_levels(channels, n, levels):
    """As many vectors as levels, each at several positions: a picture of flat areas."""
    made = np.random.default_rng(0).normal(size=(channels, levels)).astype(np.float32)
    return np.repeat(made, [n - levels + 1, *[1] * (levels - 1)], axis=1)


@pytest.mark.parametrize(("channels", "n"), [(200, 300), (128, 9000)])
@pytest.mark.parametrize("levels", [2, 3, 5])
def test_areas_that_are_flat_count_once(channels, n, levels):
    x = of_levels(channels, n, levels)
    basis = basis_of(x, of="a", network="b")
    variance, _ = by_svd(x)
    np.testing.assert_allclose(basis.variance, variance, rtol=1e-3, atol=1e-5 * variance[0])
    lengths = np.linalg.norm(basis.directions, axis=1)
    assert [round(float(each), 3) for each in lengths if each] == [1] * np.count_nonzero(lengths)


@pytest.mark.parametrize("channel", [0, slice(None)])
def test_one_position_unlike_all_others_is_the_only_component(channel):
    for shape in ((200, 300), (128, 9000)):
        x = np.zeros(shape, np.float32)
        x[channel, 0] = 1
        assert basis_of(x, of="a", network="b").explained == pytest.approx((1, 0, 0), abs=1e-4)


@pytest.mark.parametrize("said", ["not a finite number at 2 of 40", "numbers so large"])
def test_features_that_are_not_finite_or_too_large_are_told(said):
    x = vectors(20, 40)
    if "finite" in said:
        x[0, :2] = np.inf, -np.inf
    else:
        x *= np.float32(1e20)
    moments = Moments("output of a", "b")
    with pytest.raises(nlviz.QueryError, match=said):
        basis_of(x, of="output of a", network="b")
    with pytest.raises(nlviz.QueryError, match=said):
        moments.add(x) or moments.basis()


def test_a_derived_block_has_no_features():
    analysis = make.analysis()
    derived = replace(analysis.affinity("fine"), function="derived")
    analysis = replace(analysis, affinities={"rollout (derived)": derived})
    for of in ("theta", "phi"):
        with pytest.raises(nlviz.QueryError, match=f"has rows alone, no {of}; choose a block of"):
            nlviz.pca(analysis, "rollout (derived)", of=of)


@pytest.fixture(scope="module")
def seen():
    network = make.network()
    return nlviz.analyse(make.clip(), network, features=["stem"]), network


def test_components_of_each_kind_have_the_grid_of_the_block(seen):
    analysis, network = seen
    for of, shape in {
        "input": (4, 6, 8), "theta": (4, 6, 8), "phi": (4, 3, 4), "output": (4, 6, 8),
    }.items():  # fmt: skip
        found = nlviz.pca(analysis, "first", of=of, network=network)
        assert found.maps.shape == (*shape, 3)
        assert found.shown.all()
        assert found.colours.dtype == np.uint8
        assert 0 < sum(found.explained) <= 1 + 1e-6
    with torch.no_grad():
        given = network.module.stem(network.prepare(_small(analysis)))[0].flatten(1).numpy()
    found = nlviz.pca(analysis, "first", network=network)
    _, directions = by_svd(given)
    centred = given - given.mean(axis=1, keepdims=True)
    expected = (directions @ centred).T.reshape(4, 6, 8, 3)
    np.testing.assert_allclose(found.maps, expected, atol=2e-3)


def _small(analysis):
    from nlviz.inference.passes import resized

    return resized(analysis.clip.frames, *analysis.view.input)


def test_any_layer_is_named_by_its_path_or_by_its_similarity(seen):
    analysis, network = seen
    one = nlviz.pca(analysis, "stem", of="output", network=network)
    two = nlviz.pca(analysis, "stem (similarity)", of="output", network=network)
    np.testing.assert_array_equal(one.maps, two.maps)
    assert one.of == two.of == "output of stem"


def test_another_clip_shares_the_colours_of_a_saved_basis(seen, tmp_path):
    analysis, network = seen
    foreground = nlviz.Foreground("below", 0.2)
    mine = nlviz.pca(analysis, "first", network=network, foreground=foreground)
    mine.basis.save(tmp_path / "basis.safetensors")
    basis = nlviz.open_basis(tmp_path / "basis.safetensors")
    again = nlviz.pca(analysis, "first", network=network, basis=basis)
    np.testing.assert_array_equal(mine.colours, again.colours)
    np.testing.assert_array_equal(mine.shown, again.shown)
    assert again.explained == pytest.approx(mine.explained, rel=1e-4)
    frames = analysis.clip.frames[::-1].copy()
    turned = nlviz.analyse(replace(analysis.clip, frames=frames), network)
    other = nlviz.pca(turned, "first", network=network, basis=basis)
    np.testing.assert_allclose(other.maps, mine.maps[::-1], atol=1e-4)


def test_the_foreground_is_one_side_of_the_first_component_and_has_its_own(seen):
    analysis, network = seen
    whole = nlviz.pca(analysis, "first", network=network)
    part = nlviz.pca(analysis, "first", network=network, foreground=nlviz.Foreground())
    np.testing.assert_array_equal(part.shown, whole.maps[..., 0] > 0)
    assert not part.colours[~part.shown].any()
    np.testing.assert_allclose(part.maps[part.shown].mean(axis=0), 0, atol=1e-4)
    with pytest.raises(nlviz.QueryError, match=r"0 lie above the threshold 99; choose another"):
        nlviz.pca(analysis, "first", network=network, foreground=nlviz.Foreground("above", 99))


def test_a_frame_has_colour_where_there_are_components_and_none_elsewhere(seen):
    analysis, network = seen
    found = nlviz.pca(analysis, "first", network=network, foreground=nlviz.Foreground())
    (picture,) = found.pictures([1], 64)
    spread = np.ptp(picture.astype(int), axis=-1).reshape(6, 8, 8, 8)[:, 3:5, :, 3:5]
    most = spread.max(axis=(1, 3))  # around each cell's centre; neighbours shine in a little
    assert most[~found.shown[1]].max() < 30
    assert most[found.shown[1]].mean() > 50


def test_figures_films_and_arrays_hold_the_components(seen, tmp_path):
    from nlviz.features.arrays import components_arrays
    from nlviz.provenance import Provenance

    analysis, _ = seen
    found = nlviz.pca(analysis, "first", of="phi")
    assert nlviz.components_strip(found, width_cm=8, columns=2).png(dpi=30).startswith(b"\x89PNG")
    film = nlviz.components_film(found, width=160)
    assert film.count == 4
    assert film.draw(2).shape[1] == 160
    content = components_arrays(found, Provenance.of(analysis), ".npz")
    (tmp_path / "a.npz").write_bytes(content)
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_array_equal(arrays["maps"], found.maps)
        assert json.loads(str(arrays["nlviz"]))["of"] == "φ of first"


def test_each_bad_input_is_one_sentence(seen, tmp_path):
    analysis, network = seen

    def fails(match, **how):
        with pytest.raises(nlviz.NlvizError, match=match):
            nlviz.pca(analysis, how.pop("block", "first"), **how)

    fails("not held, so the network runs again for it; give the network", of="input")
    fails(r"Features are of input, theta, phi, output; got 'g'", of="g")
    fails(
        "'stam' does not exist in TinyModule; the nearest ones are stem",
        block="stam",
        network=network,
    )
    fails("'stam' is not captured", block="stam", of="theta")
    wide = basis_of(vectors(9, 20), of="output of x", network="y")
    fails(
        r"basis is of 9 channels \(output of x of y\), and these features have 6",
        network=network,
        basis=wide,
    )
    fails("leave out one of the two", network=network, basis=wide, foreground=nlviz.Foreground())
    fails(
        "has one vector for the whole clip",
        block="classifier",
        of="output",
        network=network,
    )
    for bad, match in {
        "one position": vectors(5, 1),
        "the same at all 7 positions": np.ones((5, 7), np.float32) * 3.3,
        "not a finite number at 1 of 7 positions": _with_nan(),
    }.items():
        with pytest.raises(nlviz.QueryError, match=bad):
            basis_of(match, of="output of x", network="y")
    (tmp_path / "no.safetensors").write_bytes(b"no basis at all")
    for path in ("no.safetensors", "missing.safetensors"):
        with pytest.raises(nlviz.ExportError, match="--save-basis wrote"):
            nlviz.open_basis(tmp_path / path)


def _with_nan() -> np.ndarray:
    made = vectors(5, 7)
    made[2, 3] = np.nan
    return made
