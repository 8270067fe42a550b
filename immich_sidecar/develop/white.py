"""White balance: colour temperatures and gains as matrices of linear sRGB."""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.recipe.plan import ColourPlan

Matrix = NDArray[np.float64]

#: Linear sRGB to CIE XYZ relative to D65 (IEC 61966-2-1).
_SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
#: The temperature that changes nothing.
NEUTRAL_KELVIN = 6500.0
#: CIE 1960 uv across the Planckian locus for a tint of 1.
_TINT_STEP = 1.0 / 3000.0


def planckian_uv(kelvin: float) -> tuple[float, float]:
    """CIE 1960 u, v of a black body (Krystek 1985, good from 1000 to 15000 K)."""
    t = kelvin
    u = (0.860117757 + 1.54118254e-4 * t + 1.28641212e-7 * t * t) / (1.0 + 8.42420235e-4 * t + 7.08145163e-7 * t * t)
    v = (0.317398726 + 4.22806245e-5 * t + 4.20481691e-8 * t * t) / (1.0 - 2.89741816e-5 * t + 1.61456053e-7 * t * t)
    return u, v


def light_xyz(kelvin: float, tint: float) -> Matrix:
    """XYZ (Y = 1) of a light; a positive tint lies above the locus (greener light)."""
    u, v = planckian_uv(kelvin)
    warmer, cooler = planckian_uv(kelvin * 0.99), planckian_uv(kelvin * 1.01)
    along = np.array([cooler[0] - warmer[0], cooler[1] - warmer[1]])
    across = np.array([along[1], -along[0]]) / np.hypot(*along)
    if across[1] < 0:
        across = -across
    u, v = u + tint * _TINT_STEP * across[0], v + tint * _TINT_STEP * across[1]
    x, y = 3 * u / (2 * u - 8 * v + 4), 2 * v / (2 * u - 8 * v + 4)
    return np.array([x / y, 1.0, (1 - x - y) / y])


def balance(colour: ColourPlan) -> Matrix | None:
    """The matrix of linear sRGB that the plan's white balance means; None where it changes nothing."""
    if colour.gains is not None:
        return None if set(colour.gains) == {1.0} else np.diag(colour.gains)
    if colour.temperature is None or (colour.temperature == NEUTRAL_KELVIN and not colour.tint):
        return None
    from_light = _BRADFORD @ light_xyz(colour.temperature, colour.tint)
    to_light = _BRADFORD @ light_xyz(NEUTRAL_KELVIN, 0.0)
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(to_light / from_light) @ _BRADFORD
    matrix = np.linalg.inv(_SRGB_TO_XYZ) @ adaptation @ _SRGB_TO_XYZ
    brightness: Matrix = matrix / float(_SRGB_TO_XYZ[1] @ matrix @ np.ones(3))
    return brightness


def balance_in(space: ColourSpace, colour: ColourPlan) -> Matrix | None:
    """The same for linear values of another colour space."""
    matrix = balance(colour)
    if matrix is None or space.is_srgb:
        return matrix
    converted: Matrix = np.linalg.inv(space.to_srgb) @ matrix @ space.to_srgb
    return converted
