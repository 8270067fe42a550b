"""The look that explains pairs of RAW data and camera picture: exposure, one curve, one matrix of colours."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.look.curve import LARGEST, Points, bounded_points, fitted_curve, knots
from immich_sidecar.analysis.measure.look.pairs import Linear, Pairs
from immich_sidecar.analysis.measure.look.polish import Polished, polished
from immich_sidecar.analysis.measure.look.render import encoded, through_curve
from immich_sidecar.develop.curves import display_curve, linear_curve, tone_curve

Matrix = NDArray[np.float64]

#: Stops that a look may darken and brighten.
LEAST_EV, MOST_EV = -0.8, 4.0
#: Pairs that are enough.
_PAIRS = 6000
#: Difference in display values that begins to count as one of another kind (a window, a retouched place).
_ROBUST = 0.03
#: By how much colours have to come nearer in the half that they were not fitted to.
_WORTH = 0.97
#: Least and largest factor by which a direction of colour may be stretched.
_LEAST, _MOST = 0.4, 2.2
#: Weight of the strongest colours for the curve, where that of grey is one more.
_STRONG = 0.1
#: Display-linear value below which a channel may be cut off.
_CUT = 0.0008
#: Part of the expected colourfulness below which a picture counts as monochrome.
_MONOCHROME = 0.25


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found; `correction` is a matrix of linear sRGB, None where nothing is gained."""

    baseline_ev: float
    curve: Points
    correction: Matrix | None


def fitted(pairs: Pairs) -> Fit | None:
    """The look that explains the pairs best; None where there are too few of use.

    Colours are kept only where, fitted to one half of the picture, they come nearer in the other.
    """
    scene, shown = pairs.scene.astype(np.float64), pairs.shown.astype(np.float64)
    usable = (scene.max(axis=1) < 0.9) & (scene.max(axis=1) > 2**-11) & (shown.max(axis=1) < LARGEST)
    usable &= shown.max(axis=1) > 0.002
    if usable.sum() < 200:
        return None
    chosen = np.flatnonzero(usable)[:: max(1, int(usable.sum()) // _PAIRS)]
    scene, shown, half = scene[chosen], shown[chosen], pairs.half[chosen]
    plain = _Look.of(scene, shown)
    if _is_monochrome(plain, scene, shown):
        return _by_light(scene, shown).fit()
    first = _Look.of(scene[half], shown[half])
    coloured = first.with_colours(scene[half], shown[half])
    others = scene[~half], shown[~half]
    if not coloured.distance(*others) < _WORTH * first.distance(*others):
        return plain.fit()
    return plain.with_colours(scene, shown).fit()


def fitted_light(scene: NDArray[np.float64], shown: NDArray[np.float64]) -> Fit:
    """A look from luminances alone, in any order that belongs together."""
    return _by_light(np.repeat(scene[:, None], 3, axis=1), np.repeat(shown[:, None], 3, axis=1)).fit()


def _by_light(scene: NDArray[np.float64], shown: NDArray[np.float64]) -> "_Look":
    a, b = (np.repeat((np.maximum(v, 0) @ LUMINANCE.astype(np.float64))[:, None], 3, axis=1) for v in (scene, shown))
    return _Look.of(a, b)


@dataclass(frozen=True, eq=False)
class _Look:
    """A look while it is being fitted."""

    baseline_ev: float
    curve: Points
    correction: Matrix

    @classmethod
    def of(cls, scene: NDArray[np.float64], shown: NDArray[np.float64]) -> "_Look":
        """Exposure and curve, with the colours that LibRaw knows."""
        x, y = np.maximum(scene @ LUMINANCE, 1e-9), shown @ LUMINANCE
        middle = (y > 0.03) & (y < 0.6)
        ratio = np.median((y / x)[middle if middle.sum() > 100 else slice(None)])
        baseline = round(float(np.clip(np.log2(max(ratio, 1e-6)), LEAST_EV, MOST_EV)), 3)
        exposed = scene * 2**baseline
        high, low = exposed.max(axis=1), np.maximum(exposed.min(axis=1), 1e-9)
        # Grey tells most of the curve: strong colours are bent and cut in ways of their own.
        grey = _STRONG + low / np.maximum(high, 1e-9)
        cut = shown.min(axis=1) < _CUT
        ends_x, ends_y = np.concatenate([high, low]), np.concatenate([shown.max(axis=1), shown.min(axis=1)])
        weight = np.concatenate([grey, np.where(cut, 0.0, grey)])
        return cls(baseline, fitted_curve(ends_x, ends_y, weight, 2**baseline), np.eye(3))

    def shown(self, scene: NDArray[np.float64]) -> Linear:
        """Display-linear values of scene-linear ones."""
        return through_curve((scene @ self.correction.T * 2**self.baseline_ev).astype(np.float32), self.curve)

    def distance(self, scene: NDArray[np.float64], shown: NDArray[np.float64]) -> float:
        """Mean distance in display values, far ones counting no more than a few near ones."""
        gap = np.sqrt(((encoded(self.shown(scene)) - encoded(shown)) ** 2).sum(axis=1))
        return float(np.minimum(gap, 5 * _ROBUST).mean())

    def with_colours(self, scene: NDArray[np.float64], shown: NDArray[np.float64]) -> "_Look":
        """Curve and colours together; never further away than before."""
        return min((self, self._polished(scene, shown)), key=lambda look: look.distance(scene, shown))

    def _polished(self, scene: NDArray[np.float64], shown: NDArray[np.float64]) -> "_Look":
        """Curve and colours brought nearer together."""
        end = 2**self.baseline_ev
        start = Polished(display_curve(np.array([y for _, y in self.curve[1:-1]])), self.correction)
        found = polished(scene * end, shown, start, end, robust=_ROBUST)
        matrix = _bounded(found.matrix)
        # The curve ends where the least of the rows does, and its points move there.
        baseline = round(self.baseline_ev + float(np.log2(max(0.3, found.matrix.sum(axis=1).min()))), 3)
        points = bounded_points(knots(end), linear_curve(found.values), end)
        places = knots(2**baseline)
        inner = tone_curve(places[1:-1], points)
        return _Look(baseline, bounded_points(places, inner, 2**baseline), matrix)

    def fit(self) -> Fit:
        """As the result."""
        plain = np.array_equal(self.correction, np.eye(3))
        return Fit(self.baseline_ev, self.curve, None if plain else self.correction)


def _bounded(matrix: Matrix) -> Matrix:
    """Drawn towards the plain one until no direction is stretched or squeezed beyond what cameras do.

    Rows sum up to at least 1, so that all three channels reach the end of the curve where the sensor is saturated.
    """
    matrix = matrix / matrix.sum(axis=1).mean()
    for part in np.linspace(1.0, 0.0, 21):
        drawn = np.eye(3) + part * (matrix - np.eye(3))
        sizes = np.linalg.svd(drawn, compute_uv=False)
        sums = drawn.sum(axis=1)
        if sizes[-1] > _LEAST and sizes[0] < _MOST and sums.max() < 1.5 * sums.min() and sums.min() > 0:
            bounded: Matrix = drawn / sums.min()
            return bounded
    return np.eye(3)


def _is_monochrome(plain: _Look, scene: NDArray[np.float64], shown: NDArray[np.float64]) -> bool:
    """Whether the picture has one colour only (grey, sepia) where the RAW data have several."""
    expected = plain.shown(scene).astype(np.float64)
    visible = (expected.max(axis=1) > 0.02) & (shown.min(axis=1) > 0.004)
    if visible.sum() < 200:
        return False

    def spread(linear: NDArray[np.float64]) -> float:
        stops = np.log2(np.maximum(linear[visible], 1e-4))
        colour = stops[:, [0, 2]] - stops[:, [1]]
        return float(np.abs(colour - np.median(colour, axis=0)).mean())

    return spread(expected) > 0.05 and spread(shown) < _MONOCHROME * spread(expected)
