"""What a lens did, as a map and as factors of light.

Points are those of the upright original (after EXIF orientation), in pixels from its top left corner; arrays of them
have shape (..., 2), `float64`.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.recipe.plan import FalloffPlan, WarpPlan

Points = NDArray[np.float64]

#: Points a side of the picture that have to stay inside when it is scaled to be filled.
_BORDER_POINTS = 33
#: Between these factors a scale is looked for; by how many halvings; and by what part of the picture a border point
#: may miss it all the same (a quarter of a pixel at 6000).
_SCALES, _HALVINGS, _SLACK = (0.5, 1.5), 26, 4e-5


class LensMap:
    """Where corrected points lie in the picture as taken.

    Parameters
    ----------
    warp
        The lens.
    size
        Width and height of the upright original, or of a smaller one of it.
    """

    def __init__(self, warp: WarpPlan, size: tuple[int, int]) -> None:
        self._warp = warp
        self._centre = np.array([warp.centre[0] * size[0], warp.centre[1] * size[1]])
        self._unit = warp.radius * math.hypot(*size) / 2.0
        #: By how much the corrected picture is made smaller than the lens's model has it, so that it fills the frame.
        self.scale = _filling_scale(warp, size[0] / size[1])

    def source(self, points: Points) -> Points:
        """Where the green light of corrected points lies."""
        return self._absolute(_bent(self._warp, self._relative(points)))

    def sources(self, points: Points) -> tuple[Points, Points, Points]:
        """Where the red, green and blue light of corrected points lies."""
        green = _bent(self._warp, self._relative(points))
        radius = np.hypot(green[..., 0], green[..., 1])[..., None]
        red, blue = (green * _value(factor, radius) for factor in (self._warp.red, self._warp.blue))
        return self._absolute(red), self._absolute(green), self._absolute(blue)

    def source_radius(self, radius: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far from the centre light lies that belongs at a distance from it, both in pixels."""
        relative = radius * (self.scale / self._unit)
        found: NDArray[np.float64] = relative * _value(self._warp.radial, relative) * self._unit
        return found

    def _relative(self, points: Points) -> Points:
        relative: Points = (points - self._centre) * (self.scale / self._unit)
        return relative

    def _absolute(self, points: Points) -> Points:
        absolute: Points = points * self._unit + self._centre
        return absolute


def gain(falloff: FalloffPlan, squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """What light is multiplied by, by the squared distance from the centre in units of `falloff.radius`."""
    share = 1.0 + squared * _value(falloff.terms, squared)
    # A model gone wild far outside of where it was fitted must not blow up a corner.
    lightened = np.clip(share, 0.05, 20.0) ** (-1.0 if falloff.kind == "share" else 1.0)
    found: NDArray[np.float64] = lightened**falloff.strength
    return found


def _bent(warp: WarpPlan, points: Points) -> Points:
    radius = np.hypot(points[..., 0], points[..., 1])[..., None]
    bent: Points = points * _value(warp.radial, radius)
    if any(warp.tangential):
        x, y, (t0, t1) = points[..., 0], points[..., 1], warp.tangential
        square = radius[..., 0] ** 2
        right = 2 * t0 * x * y + t1 * (square + 2 * x * x)
        down = 2 * t1 * x * y + t0 * (square + 2 * y * y)
        bent = bent + np.stack([right, down], axis=-1)
    return bent


def _value(coefficients: tuple[float, ...], at: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.polynomial.polynomial.polyval(at, np.array(coefficients))
    return found


@lru_cache(maxsize=64)
def _filling_scale(warp: WarpPlan, aspect: float) -> float:
    """The largest scale at which the whole border of the corrected picture comes from inside the picture."""
    width, height = aspect, 1.0
    unit = warp.radius * math.hypot(width, height) / 2.0
    centre = np.array([warp.centre[0] * width, warp.centre[1] * height])
    x, y = np.linspace(0.0, width, _BORDER_POINTS), np.linspace(0.0, height, _BORDER_POINTS)
    border = np.concatenate(
        [
            *(np.stack([x, np.full_like(x, at)], axis=-1) for at in (0.0, height)),
            *(np.stack([np.full_like(y, at), y], axis=-1) for at in (0.0, width)),
        ]
    )

    def fills(scale: float) -> bool:
        points = _bent(warp, (border - centre) * (scale / unit)) * unit + centre
        slack = _SLACK * max(width, height)
        inside = (points >= -slack) & (points <= np.array([width, height]) + slack)
        return bool(inside.all())

    if not warp.bends:
        return 1.0
    low, high = _SCALES
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if fills(middle) else (low, middle)
    return low
