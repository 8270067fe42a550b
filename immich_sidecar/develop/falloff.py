"""The light that a lens withheld from the corners, as colour wants to know it."""

import math

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.colour import Falloff
from immich_sidecar.develop.geometry import from_stored, output_size, to_upright
from immich_sidecar.develop.lens import LensMap, gain
from immich_sidecar.recipe.plan import FalloffPlan, GeometryPlan, WarpPlan

_FACTORS = 1024


def falloff_before(falloff: FalloffPlan | None, orientation: int, size: tuple[int, int]) -> Falloff | None:
    """What undoes the falloff in stored pixels; `size` is their width and height once they are upright."""
    return None if falloff is None else _falloff(falloff, None, size, from_stored(orientation, size))


def falloff_after(
    falloff: FalloffPlan | None, geometry: GeometryPlan, size: tuple[int, int], coloured: tuple[int, int]
) -> Falloff | None:
    """What undoes the falloff in a picture that has gone through its geometry.

    A lens bends circles about its centre to circles, so that one table by distance is exact; perspective and turns
    are in the map.

    Parameters
    ----------
    size
        Width and height of the upright original, or of the smaller one that went through geometry.
    coloured
        Width and height of what is coloured: of what geometry left, or of a smaller one of that.
    """
    if falloff is None:
        return None
    placed = output_size(*size, geometry)
    across, down = placed[0] / coloured[0], placed[1] / coloured[1]
    to_placed = np.array([[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5], [0.0, 0.0, 1.0]])
    return _falloff(falloff, geometry.warp, size, to_upright(size, geometry) @ to_placed)


def _falloff(
    falloff: FalloffPlan, warp: WarpPlan | None, size: tuple[int, int], to_points: NDArray[np.float64]
) -> Falloff:
    """A table by distance in the picture that `to_points` leads to, where the lens (`warp`) is undone already."""
    centre = (falloff.centre[0] * size[0], falloff.centre[1] * size[1])
    # Squared distances are counted as parts of that of the corner that is farthest.
    farthest = max(math.dist(centre, (x, y)) for x in (0, size[0]) for y in (0, size[1]))
    corrected = np.sqrt(np.linspace(0.0, 1.0, _FACTORS)) * farthest
    taken = corrected if warp is None else LensMap(warp, size).source_radius(corrected)
    factors = gain(falloff, (taken / (falloff.radius * math.hypot(*size) / 2.0)) ** 2)
    to_centre = np.array([[1.0, 0.0, -centre[0]], [0.0, 1.0, -centre[1]], [0.0, 0.0, farthest]])
    return Falloff(factors.astype(np.float32), to_centre @ to_points)
