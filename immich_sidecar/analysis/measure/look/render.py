"""A RAW proxy with a look, as the engine makes it."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.curves import display_curve, tone_curve

Linear = NDArray[np.float32]

#: Entries of the tables, even in the square root of light.
_ENTRIES = 8192


def curve_table(points: tuple[tuple[float, float], ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A curve at places that are even in the square root of light."""
    x = np.linspace(0.0, 1.0, _ENTRIES) ** 2 * points[-1][0]
    return x, tone_curve(x, points)


def through_curve(exposed: Linear, points: tuple[tuple[float, float], ...]) -> Linear:
    """The curve acts on the largest and the smallest channel, the middle one keeps its place between them.

    `exposed` (..., 3) is scene-linear with the exposure of the look; the result display-linear 0..1.
    """
    _, y = curve_table(points)
    end = points[-1][0]
    exposed = np.clip(exposed, 0.0, end)
    # Many times faster than `max` and `min` over so short an axis.
    red, green, blue = exposed[..., :1], exposed[..., 1:2], exposed[..., 2:]
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    high_out, low_out = (_looked_up(v / np.float32(end), y) for v in (high, low))
    place = (exposed - low) / np.maximum(high - low, 1e-9)
    shown: Linear = np.clip(low_out + place * (high_out - low_out), 0.0, 1.0)
    return shown


def encoded(linear: NDArray[np.floating]) -> NDArray[np.float32]:
    """The sRGB curve by a table, fast: display values 0..1 of linear ones."""
    return _looked_up(np.clip(linear, 0.0, 1.0), _display_table())


@lru_cache(maxsize=1)
def _display_table() -> NDArray[np.float64]:
    return display_curve(np.linspace(0.0, 1.0, _ENTRIES) ** 2)


def _looked_up(values: NDArray[np.floating], table: NDArray[np.float64]) -> Linear:
    """Entries of a table that is even in the square root of 0..1; near enough for measuring."""
    index = (np.sqrt(values) * np.float32(_ENTRIES - 1) + np.float32(0.5)).astype(np.intp)
    found: Linear = table.astype(np.float32)[index]
    return found
