"""Curves from scene-linear to display-linear light, and fitting one to pairs of values."""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.curves import display_curve, linear_curve, tone_curve

Values = NDArray[np.float64]
Points = tuple[tuple[float, float], ...]

#: Points of a curve.
_POINTS = 13
#: Stops from the first point above 0 to the last.
_STOPS = 8.5
#: Weight of the neutral curve's bend, against that of all pairs.
_PRIOR = 1e-4
#: Factor by which a curve may lie above or below the neutral one; twice that in the dark.
_WITHIN, _DEEP = 3.0, 0.02
#: Difference of display values that begins to count as one of another kind.
_ROBUST = 0.03
_ROUNDS = 4
#: Display-linear values at and above which a picture says nothing of the light.
LARGEST = 0.97


def neutral_curve(x: Values, white: float, *, toe: float = 1.3) -> Values:
    """A plain photographic curve: contrast below middle grey, a shoulder above that ends at `white`.

    `x` is scene-linear, the result display-linear 0..1; middle grey (0.18) stays. The shoulder is Reinhard's
    extended operator (2002), scaled; it fades away as the range above white does.
    """
    white = max(white, 1.0)

    def shoulder(v: Values) -> Values:
        return v * (1 + v / white**2) / (1 + v)

    amount = float(np.clip(np.log2(white), 0.0, 1.0))
    # Camera curves are about a third steeper than light in the shadows, less and less in the darkest.
    steeper = 0.18 * (np.maximum(x, 1e-9) / 0.18) ** toe
    bent = np.where(x < 0.18, np.maximum(steeper, 0.4 * x), x)
    gain = 0.18 / shoulder(np.array([0.18]))[0]
    # The gain that keeps grey is given back towards white.
    fade = np.clip(np.log2(np.maximum(bent, 1e-9) / 0.18) / np.log2(max(white, 1.01) / 0.18), 0.0, 1.0)
    curved = shoulder(bent) * gain ** (1 - fade)
    result: Values = np.clip(amount * curved + (1 - amount) * np.minimum(bent, 1.0), 0.0, 1.0)
    return result


def knots(end: float) -> Values:
    """Places of the points: 0, then equal steps in stops, up to the brightest value there is."""
    return np.concatenate([[0.0], np.geomspace(end * 2**-_STOPS, end * 0.85, _POINTS - 2), [end]])


def points_of(x: Values, inner: Values) -> Points:
    """A curve through 0, the inner points, and white at the end; rising."""
    y = np.concatenate([[0.0], np.maximum.accumulate(np.clip(inner, 0.0, 1.0)), [1.0]])
    return tuple((round(float(a), 6), round(float(b), 6)) for a, b in zip(x, y, strict=True))


def fitted_curve(x: Values, y: Values, weight: Values, end: float) -> Points:
    """A curve through pairs of scene-linear `x` and display-linear `y`; `x` ends at `end`.

    Least squares of display values, robust by iteration, over what the engine makes of the points. The bend of the
    neutral curve is kept where there are few pairs, so that it goes on from where the others end.
    """
    places = knots(end)
    inner = np.log2(places[1:-1])
    usable = (x > places[1] / 4) & (y < LARGEST)
    at = np.clip(np.interp(np.log2(x[usable]), inner, np.arange(inner.size)), 0, inner.size - 1 - 1e-9)
    seen = display_curve(y[usable])
    left = at.astype(np.intp)
    part = at - left
    prior = display_curve(neutral_curve(places[1:-1], end))
    bend = np.diff(np.eye(inner.size), 2, axis=0)
    count = max(1, int(usable.sum()))
    values = prior
    squares = bend.T @ bend * (_PRIOR * count) + np.eye(inner.size) * (_PRIOR * count * 1e-3)
    for _ in range(_ROUNDS):
        points = points_of(places, linear_curve(values))
        gap = seen - display_curve(tone_curve(x[usable], points)) if usable.any() else np.zeros(1)
        if not usable.any():
            break
        robust = 1 / (1 + (gap / _ROBUST) ** 2)
        robust *= weight[usable]
        weights = [robust * (1 - part), robust * part]
        normal = squares.copy()
        step = bend.T @ (bend @ (prior - values)) * (_PRIOR * count) + (prior - values) * (_PRIOR * count * 1e-3)
        diagonal = np.bincount(left, weights[0] * (1 - part), inner.size)
        diagonal += np.bincount(left + 1, weights[1] * part, inner.size)
        beside = np.bincount(left, weights[0] * part, inner.size)[:-1]
        normal += np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
        step += np.bincount(left, weights[0] * gap, inner.size) + np.bincount(left + 1, weights[1] * gap, inner.size)
        values = rising(np.clip(values + np.linalg.solve(normal, step), 0.0, 1.0), np.maximum(diagonal, 1e-6))
    return bounded_points(places, linear_curve(values), end)


def bounded_points(places: Values, inner: Values, end: float) -> Points:
    """However the picture was exposed or styled: what is shown stays within some stops of the usual."""
    usual = neutral_curve(places[1:-1], end)
    within = np.where(places[1:-1] > _DEEP, _WITHIN, 2 * _WITHIN)
    return points_of(places, np.minimum(np.clip(inner, usual / within, usual * within), 0.995))


def rising(values: Values, weights: Values) -> Values:
    """The nearest sequence that never falls (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last = blocks.pop()
            total = blocks[-1][1] + last[1]
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + last[0] * last[1]) / total,
                total,
                blocks[-1][2] + last[2],
            ]
    return np.concatenate([np.full(int(n), value) for value, _, n in blocks])
