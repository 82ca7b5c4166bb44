"""Components of a long clip: one basis for all windows, of which one is held at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from nlviz.features.basis import Basis
from nlviz.features.drawing import components_film
from nlviz.features.foreground import Cut, Foreground
from nlviz.features.layers import features_of
from nlviz.features.moments import Moments
from nlviz.features.pca import (
    NO_WEIGHT,
    OPACITY,
    Components,
    check_one_foreground,
    components,
    told_of,
)
from nlviz.film.film import Film
from nlviz.film.sheet import Picture
from nlviz.hooks.features import LayerFeatures
from nlviz.progress import Progress, part_of, silent
from nlviz.query import Of
from nlviz.windows.long_analysis import LongAnalysis
from nlviz.windows.plan import TimeWindow


@dataclass(frozen=True, slots=True, eq=False)
class LongComponents:
    """The first three principal components of a long clip's features, one basis for all windows.

    Args:
        long: of which clip.
        block, of: as ``pca_windows`` was given them.
        told: whose features they are, in a few words: "output of layer3".
        basis: what they are along, and the colours' scale.
        count: positions that the basis is of, each frame's once; 0 where the basis was given.
    """

    long: LongAnalysis
    block: str
    of: Of
    told: str
    basis: Basis
    count: int

    def window(self, number: int, progress: Progress | None = None) -> Components:
        """The components of one window, as ``pca`` gives them; raises what ``pca_windows`` does."""
        report = progress or silent
        analysis = self.long.window(number, part_of(report, 0.0, 0.5))
        told = part_of(report, 0.5, 1.0)
        features = features_of(analysis, self.block, self.of, self.long.network, told)
        found = components(analysis, features, self.told, basis=self.basis)
        return replace(found, explained=self.basis.explained) if self.count else found

    @property
    def words(self) -> tuple[str, ...]:
        """What is seen, in a few sentences."""
        network, basis = self.long.network.name, self.basis
        if not self.count:
            said = [f"{self.told} of {network}", f"basis: {basis.of} of {basis.network}"]
            return (*said, NO_WEIGHT)
        shares = ", ".join(f"{share:.1%}" for share in basis.explained)
        kept = "" if basis.cut is None else f", {basis.cut.side} the first component's threshold"
        return (
            f"{self.told} of {network}: {self.count} positions × {basis.channels} channels{kept}, "
            f"one basis for all frames of {len(self.long)} windows",
            f"red, green, blue: components 1 to 3, which explain {shares} of the variance",
            NO_WEIGHT,
        )


def pca_windows(
    long: LongAnalysis,
    block: str,
    *,
    of: Of = "input",
    basis: Basis | None = None,
    foreground: Foreground | None = None,
    progress: Progress | None = None,
) -> LongComponents:
    """The first three principal components of a block's or layer's features over all windows.

    The windows are gone through once, with a foreground twice, and their products added up: the
    basis is that of all positions at once, each frame counted in the window that answers for it.
    Memory is that of one window, C² numbers, and at most 64 MiB of vectors for the colours' scale.

    Args:
        long: the clip; windows that were not run are run as it comes to them.
        block, of, basis, foreground: as for ``pca``. Input and output take one more pass of each
            window each time.
        progress: as for ``analyse``.

    Raises:
        QueryError, CaptureError, NetworkError, BudgetError: what ``pca`` raises, and more than
            4,096 channels.
    """
    check_one_foreground(basis, foreground)
    told = told_of(of, block)
    if basis is not None:
        return LongComponents(long, block, of, told, basis, 0)
    report = progress or silent
    share = 1.0 if foreground is None else 0.5
    asked = long, block, of, told
    moments = _gone_through(*asked, None, part_of(report, 0.0, share))
    whole = moments.basis()
    if foreground is None:
        return LongComponents(long, block, of, told, whole, moments.count)
    cut = foreground.cut(whole.mean, whole.directions[0], whole.variance[0])
    kept = _gone_through(*asked, cut, part_of(report, share, 1.0))
    foreground.check(kept.count, moments.count)
    return LongComponents(long, block, of, told, kept.basis(), kept.count)


def _gone_through(
    long: LongAnalysis, block: str, of: Of, told: str, cut: Cut | None, progress: Progress
) -> Moments:
    moments = Moments(told, long.network.name, cut)
    for window in long.plan:
        start, count = window.number / len(long), len(long)
        part = part_of(
            progress, start, start + 1 / count, f"window {window.number + 1} of {count}: "
        )
        analysis = long.window(window.number, part_of(part, 0.0, 0.5))
        features = features_of(analysis, block, of, long.network, part_of(part, 0.5, 1.0))
        steps = {
            analysis.view.step(position - window.start, features.grid)
            for position in range(window.own_start, window.own_stop)
        }
        moments.add(_of_steps(features, steps))
    return moments


def _of_steps(features: LayerFeatures, steps: set[int]) -> NDArray[np.float32]:
    """(C, n), the vectors of some time steps."""
    some = np.zeros(features.grid.shape, np.bool_)
    some[sorted(steps)] = True
    some &= features.there
    return features.in_order if some.all() else features.vectors[:, some.ravel()]


def components_film_windows(
    found: LongComponents,
    *,
    width: int | None = None,
    rate: float | None = None,
    opacity: float = OPACITY,
    comment: str | None = None,
) -> Film:
    """The whole clip frame by frame under its components; one window is held at a time.

    Args:
        found: what ``pca_windows`` gives.
        width, rate, opacity, comment: as for ``components_film``.

    Raises:
        QueryError, ExportError: what ``components_film`` raises.
    """
    long = found.long
    films: dict[int, Film] = {}  # of the window that is drawn, and of no other

    def film_of(window: TimeWindow) -> Film:
        if window.number not in films:
            films.clear()
            films[window.number] = components_film(
                found.window(window.number),
                width=width,
                rate=rate,
                opacity=opacity,
                comment=comment,
            )
        return films[window.number]

    def draw(position: int) -> Picture:
        window = long.plan.at(position)
        return film_of(window).draw(position - window.start)

    first = film_of(long.plan[0])
    return Film(long.plan.count, Fraction(first.rate), draw, first.comment)
