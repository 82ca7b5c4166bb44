"""PCA of a clip: the first three components of its features, over all frames with one basis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from nlviz.analysis import Analysis
from nlviz.errors import QueryError
from nlviz.features.basis import COUNT, Basis, basis_of
from nlviz.features.foreground import Foreground
from nlviz.features.layers import features_of
from nlviz.geometry import Grid
from nlviz.heat.overlay import HeatLayer
from nlviz.hooks.features import LayerFeatures
from nlviz.inference.protocol import Network
from nlviz.progress import Progress
from nlviz.query import Of, layer_of
from nlviz.viewer.colour_layer import ColourLayer

Picture = NDArray[np.uint8]

NAMES: dict[str, str] = {"theta": "θ", "phi": "φ"}
"""What is not called as it is typed."""

NO_WEIGHT = "a view of features, not a weight of the network"

OPACITY = 0.75
"""Of the colours over the frames, where nobody says."""

_DARK = 0.45  # of a frame's grey, at positions that have no colour


@dataclass(frozen=True, eq=False)
class Components:
    """The first three principal components of a clip's features, one basis for all frames.

    Args:
        analysis: of which clip.
        of: whose features they are, in a few words: "output of layer3".
        grid: the cells, whose places are known as those of every block are.
        maps: (T, H, W, 3) float32; not a number where a cell has no vector.
        shown: (T, H, W), True where there are components and they are of the foreground.
        basis: what they are along, and the colours' scale.
        explained: the share of this clip's variance along each, over what is shown; that of
            ``basis`` where the basis is its own.
    """

    analysis: Analysis
    of: str
    grid: Grid
    maps: NDArray[np.float32]
    shown: NDArray[np.bool_]
    basis: Basis
    explained: tuple[float, float, float]

    @property
    def is_own(self) -> bool:
        """Whether the basis is of these very features, as far as their names tell."""
        return (self.basis.of, self.basis.network) == (self.of, self.analysis.network)

    @cached_property
    def colours(self) -> Picture:
        """(T, H, W, 3) uint8: the components as red, green and blue; black where none is shown."""
        low, high = self.basis.low, self.basis.high
        share = np.nan_to_num((self.maps - low) / (high - low))
        colours: Picture = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
        colours[~self.shown] = 0
        return colours

    @property
    def words(self) -> tuple[str, ...]:
        """What is seen, in a few sentences."""
        known = int((~np.isnan(self.maps[..., 0])).sum())
        shares = ", ".join(f"{share:.1%}" for share in self.explained)
        said = [
            f"{self.of} of {self.analysis.network}: {known} positions × {self.basis.channels} "
            "channels, one basis for all frames",
            f"red, green, blue: components 1 to 3, which explain {shares} of the variance",
        ]
        if not self.is_own:
            said.append(f"basis: {self.basis.of} of {self.basis.network}")
        if self.basis.cut is not None:
            said.append(
                f"foreground: {int(self.shown.sum())} of {known} positions, {self.basis.cut.side} "
                "the first component's threshold"
            )
        return (*said, NO_WEIGHT)

    @property
    def layer(self) -> ColourLayer:
        """The colours as the viewer and an exported page lay them over the frames.

        Raises:
            QueryError: more cells than a page should hold.
        """
        return ColourLayer(self.grid, self.colours, self.shown, self.words)

    def paint(self, frame: Picture, position: int, opacity: float = OPACITY) -> Picture:
        """A frame in grey under the colours of the time step that is drawn on it.

        Args:
            frame: (height, width, 3) uint8 RGB, the whole of it in any size.
            position: which sampled frame it is, from 0.
            opacity: of the colours, 0 to 1; what has none is darker.
        """
        grey = np.repeat(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        view = self.analysis.view
        if not self.shown.all():
            grey = (grey * _DARK).astype(np.uint8)
        painted: Picture = np.ascontiguousarray(grey)
        across, down = frame.shape[1] / view.source[0], frame.shape[0] / view.source[1]
        HeatLayer(view, self.grid, self._tiles(opacity), True).paint(
            painted, position, across, down
        )
        return painted

    def pictures(
        self, positions: Sequence[int], width: int, opacity: float = OPACITY
    ) -> list[Picture]:
        """Some frames in colour, (height, width, 3) uint8 RGB each, in the frame's shape."""
        clip = self.analysis.clip
        height = max(1, round(width * clip.height / clip.width))
        small = (
            cv2.resize(clip.frames[i], (width, height), interpolation=cv2.INTER_AREA)
            for i in positions
        )
        return [self.paint(frame, i, opacity) for frame, i in zip(small, positions, strict=True)]

    def _tiles(self, opacity: float) -> NDArray[np.float32]:
        """(T, H, W, 4) colours times their opacity, and the opacity."""
        alpha = np.where(self.shown, opacity, 0)[..., None].astype(np.float32)
        return np.concatenate([self.colours.astype(np.float32) / 255 * alpha, alpha], axis=-1)


def pca(
    analysis: Analysis,
    block: str,
    *,
    of: Of = "input",
    network: Network | None = None,
    basis: Basis | None = None,
    foreground: Foreground | None = None,
    progress: Progress | None = None,
) -> Components:
    """The first three principal components of a block's or layer's features over the whole clip.

    Colours of two frames can be compared, for all frames share one basis; those of two clips
    where the second takes the first one's.

    Args:
        analysis: of which clip.
        block: a block of the analysis or, for input and output, the path of any layer.
        of: ``"input"`` or ``"output"``, for which the network runs once more, or ``"theta"`` or
            ``"phi"``, which the analysis holds.
        network: the network that was analysed; None will do for θ and φ.
        basis: of another clip, to be used here; this clip's own if None.
        foreground: positions that are looked at alone; all if None. A basis has its own.
        progress: as for ``analyse``, of the pass.

    Raises:
        QueryError: an unknown block, no network where one is needed, one position, features that
            are all alike or not finite, or a basis of another number of channels.
        CaptureError: a path that names no layer, or features that are not of one place each.
        NetworkError, BudgetError: what the pass raises.
    """
    check_one_foreground(basis, foreground)
    features = features_of(analysis, block, of, network, progress)
    told = told_of(of, block)
    return components(analysis, features, told, basis=basis, foreground=foreground)


def told_of(of: Of, block: str) -> str:
    """What features are called."""
    return f"{NAMES.get(of, of)} of {layer_of(block) or block}"


def check_one_foreground(basis: Basis | None, foreground: Foreground | None) -> None:
    """QueryError where a foreground is asked for beside that of a basis."""
    if basis is not None and foreground is not None:
        raise QueryError("A basis has its own foreground or none; leave out one of the two.")


def components(
    analysis: Analysis,
    features: LayerFeatures,
    of: str,
    *,
    basis: Basis | None = None,
    foreground: Foreground | None = None,
) -> Components:
    """The components of features that are there; ``pca`` says what each argument is."""
    vectors = features.in_order
    if basis is None:
        basis = basis_of(vectors, of=of, network=analysis.network, foreground=foreground)
        explained = basis.explained
        along = basis.apply(vectors)
        kept = None if basis.cut is None else basis.cut.kept(vectors)
    else:
        along = basis.apply(vectors)
        if not np.isfinite(along).all():
            raise QueryError(
                f"The {of} of {analysis.network} is not finite everywhere, so it has no "
                "components; try float32, or another layer."
            )
        kept = None if basis.cut is None else basis.cut.kept(vectors)
        explained = _explained(
            vectors if kept is None else vectors[:, kept], along if kept is None else along[:, kept]
        )
    maps = np.full((features.grid.size, COUNT), np.nan, np.float32)
    there = features.there.ravel()
    maps[there] = along.T
    shown = there.copy()
    if kept is not None:
        shown[there] = kept
    shape = features.grid.shape
    return Components(
        analysis,
        of,
        features.grid,
        maps.reshape(*shape, COUNT),
        shown.reshape(shape),
        basis,
        explained,
    )


def _explained(
    vectors: NDArray[np.float32], along: NDArray[np.float32]
) -> tuple[float, float, float]:
    """The share of the variance of vectors (C, n) that their components (3, n) have; 0 of none."""
    if not vectors.shape[1]:
        return 0.0, 0.0, 0.0
    total = float(vectors.var(axis=1, dtype=np.float64).sum())
    first, second, third = (
        float(each) / total if total else 0.0 for each in along.var(axis=1, dtype=np.float64)
    )
    return first, second, third
