"""Curve and colours together, brought nearer to the camera's picture in display values.

Gauss-Newton steps with damping (Levenberg 1944, Marquardt 1963) on the nine numbers of the matrix and the points of
the curve, robust against pairs that differ for other reasons than the look. The derivatives are those of the way that
the engine takes, but for the curve between its points, which counts as straight there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.look.curve import Values, knots, neutral_curve, points_of, rising
from immich_sidecar.develop.curves import display_curve, linear_curve, tone_curve

#: Steps that are tried, and by how much the error has to shrink for another one.
_STEPS, _WORTH = 6, 0.998
#: Weights against that of all pairs: colours that LibRaw knows, greys that stay grey, the neutral curve's bend.
_COLOURS, _GREYS, _BEND = 0.003, 0.02, 1e-4
#: Entries of the table of the curve.
_ENTRIES = 2048


@dataclass(frozen=True, eq=False)
class Polished:
    """A curve by its inner points (display values at `knots`), and a matrix."""

    values: Values
    matrix: Values


def polished(scene: Values, shown: Values, start: Polished, end: float, *, robust: float) -> Polished:
    """The best that is found from `start`.

    Parameters
    ----------
    scene, shown
        Nx3 scene-linear after the exposure of the look, and display-linear.
    end
        Where the curve ends.
    robust
        Difference in display values that begins to count as one of another kind.
    """
    problem = _Problem(scene, display_curve(shown), end, robust)
    at, damping = start, 1e-3
    error, normal, slope = problem.linearised(at)
    for _ in range(_STEPS):
        scale = np.diag(np.maximum(np.diag(normal), 1e-9))
        step = np.linalg.solve(normal + damping * scale, slope)
        values = np.clip(at.values + step[9:], 0.0, 1.0)
        tried = Polished(rising(values, np.ones_like(values)), at.matrix + step[:9].reshape(3, 3))
        new_error, new_normal, new_slope = problem.linearised(tried)
        if new_error < error:
            enough = new_error > _WORTH * error
            at, error, normal, slope = tried, new_error, new_normal, new_slope
            damping = max(damping / 10, 1e-6)
            if enough:
                break
        else:
            damping *= 10
    return at


class _Problem:
    """The error of a look, and its derivatives."""

    def __init__(self, scene: Values, seen: Values, end: float, robust: float) -> None:
        self._scene, self._seen, self._end, self._robust = scene, seen, end, robust
        self._places = knots(end)
        self._logs = np.log2(self._places[1:-1])
        self._bend = np.diff(np.eye(self._logs.size), 2, axis=0)
        self._usual = display_curve(neutral_curve(self._places[1:-1], end))
        self._even = np.linspace(0.0, 1.0, _ENTRIES) ** 2 * end
        bright = np.percentile(scene.max(axis=1), [75, 90])
        self._known = _cube() * bright[0], np.repeat(np.geomspace(0.05, 1.0, 5)[:, None], 3, axis=1) * bright[1]

    def linearised(self, at: Polished) -> tuple[float, Values, Values]:
        """The error at a place, and the normal equations of a step from there."""
        table = tone_curve(self._even, points_of(self._places, linear_curve(at.values)))
        slopes = np.gradient(table, self._even)
        raw = self._scene @ at.matrix.T
        z = np.clip(raw, 1e-9, self._end)
        inside = (raw > 1e-9) & (raw < self._end)
        order = np.argsort(z, axis=1)
        low, middle, high = np.take_along_axis(z, order, axis=1).T
        out_low, slope_low = self._looked_up(low, table, slopes)
        out_high, slope_high = self._looked_up(high, table, slopes)
        room = high - low
        grey = room < 1e-7
        place = np.where(grey, 0.0, (middle - low) / np.where(grey, 1.0, room))
        chord = np.where(grey, slope_high, (out_high - out_low) / np.where(grey, 1.0, room))
        out = np.stack([out_low, out_low + place * (out_high - out_low), out_high], axis=1)
        encoded = display_curve(out)
        gap = np.take_along_axis(self._seen, order, axis=1) - encoded
        count = len(gap)
        squared = (gap**2).sum(axis=1) / self._robust**2
        weight = 1 / (1 + squared)
        error = float(np.log1p(squared).sum()) * self._robust**2
        # Derivatives by the sorted channels, then by the channels as they are.
        by_sorted = np.zeros((count, 3, 3))
        by_sorted[:, 0, 0] = slope_low
        by_sorted[:, 1, 0] = (1 - place) * (slope_low - chord)
        by_sorted[:, 1, 1] = chord
        by_sorted[:, 1, 2] = place * (slope_high - chord)
        by_sorted[:, 2, 2] = slope_high
        steepness = _display_slope(out)
        by_sorted *= steepness[:, :, None]
        by_channel = np.zeros_like(by_sorted)
        np.put_along_axis(by_channel, np.repeat(order[:, None, :], 3, axis=1), by_sorted, axis=2)
        by_channel *= inside[:, None, :]
        by_matrix = (by_channel[..., None] * self._scene[:, None, None, :]).reshape(count, 3, 9)
        hat_low, hat_high = self._hats(low), self._hats(high)
        part = np.stack([1 - place, place], axis=1) * steepness[:, 1:2]
        part /= _display_slope(np.stack([out_low, out_high], axis=1))
        by_curve = np.stack([hat_low, part[:, :1] * hat_low + part[:, 1:] * hat_high, hat_high], axis=1)
        jacobian = np.concatenate([by_matrix, by_curve], axis=2).reshape(count * 3, -1)
        weighted = jacobian * np.repeat(weight, 3)[:, None]
        normal, slope = weighted.T @ jacobian, weighted.T @ gap.ravel()
        return self._with_prior(at, error, normal, slope, float(count))

    def _with_prior(
        self, at: Polished, error: float, normal: Values, slope: Values, count: float
    ) -> tuple[float, Values, Values]:
        """What is expected where the pairs say nothing."""
        bent = self._bend @ (self._usual - at.values)
        normal[9:, 9:] += _BEND * count * (self._bend.T @ self._bend + 1e-3 * np.eye(self._logs.size))
        slope[9:] += _BEND * count * (self._bend.T @ bent + 1e-3 * (self._usual - at.values))
        error += _BEND * count * float((bent**2).sum())
        for colours, share in zip(self._known, (_COLOURS, _GREYS), strict=True):
            # As display values of a curve without contrast would show it.
            weights = _display_slope(np.maximum(colours, 0.02)) ** 2 * (share * count / len(colours))
            gap = colours - colours @ at.matrix.T
            for c in range(3):
                weighted = colours * weights[:, c : c + 1]
                normal[3 * c : 3 * c + 3, 3 * c : 3 * c + 3] += weighted.T @ colours
                slope[3 * c : 3 * c + 3] += weighted.T @ gap[:, c]
            error += float((weights * gap**2).sum())
        return error, normal, slope

    def _looked_up(self, values: Values, table: Values, slopes: Values) -> tuple[Values, Values]:
        at = np.sqrt(values / self._end) * (_ENTRIES - 1)
        index = np.minimum(at.astype(np.intp), _ENTRIES - 2)
        part = at - index
        return table[index] + part * (table[index + 1] - table[index]), slopes[index]

    def _hats(self, values: Values) -> Values:
        """How much each inner point counts at values."""
        at = np.interp(np.log2(values), self._logs, np.arange(self._logs.size, dtype=np.float64))
        index = np.minimum(at.astype(np.intp), self._logs.size - 2)
        hats = np.zeros((values.size, self._logs.size))
        rows = np.arange(values.size)
        hats[rows, index] = 1 - (at - index)
        hats[rows, index + 1] = at - index
        return hats


def _display_slope(linear: Values) -> Values:
    """The derivative of the sRGB curve."""
    steep: Values = np.where(linear <= 0.0031308, 12.92, 1.055 / 2.4 * np.maximum(linear, 1e-6) ** (1 / 2.4 - 1))
    return steep


def _cube() -> NDArray[np.float64]:
    """Made-up colours: a cube of 4 x 4 x 4, all of them visible."""
    steps = np.array([0.04, 0.16, 0.45, 1.0])
    cube: NDArray[np.float64] = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return cube
