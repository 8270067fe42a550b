"""White balance: colour temperatures and gains as matrices of linear sRGB."""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.recipe.light import BRADFORD, NEUTRAL_KELVIN, SRGB_TO_XYZ, light_xyz
from immich_sidecar.recipe.plan import ColourPlan
from immich_sidecar.recipe.plan import Matrix as PlanMatrix

Matrix = NDArray[np.float64]

_SRGB_TO_XYZ = np.array(SRGB_TO_XYZ)
_BRADFORD = np.array(BRADFORD)


def balance(colour: ColourPlan) -> Matrix | None:
    """The matrix of linear sRGB that the plan's white balance means; None where it changes nothing."""
    if colour.gains is not None:
        return None if set(colour.gains) == {1.0} else np.diag(colour.gains)
    if colour.temperature is None or (colour.temperature == NEUTRAL_KELVIN and not colour.tint):
        return None
    from_light = _BRADFORD @ np.array(light_xyz(colour.temperature, colour.tint))
    to_light = _BRADFORD @ np.array(light_xyz(NEUTRAL_KELVIN, 0.0))
    adaptation = np.linalg.inv(_BRADFORD) @ np.diag(to_light / from_light) @ _BRADFORD
    matrix = np.linalg.inv(_SRGB_TO_XYZ) @ adaptation @ _SRGB_TO_XYZ
    brightness: Matrix = matrix / float(_SRGB_TO_XYZ[1] @ matrix @ np.ones(3))
    return brightness


def balance_in(space: ColourSpace, colour: ColourPlan, camera: PlanMatrix | None = None) -> Matrix | None:
    """The same for linear values of another colour space; `camera` makes linear sRGB of a camera's own colours."""
    matrix = balance(colour)
    to_srgb = np.eye(3) if camera is None else np.array(camera)
    if matrix is not None and colour.gains_of_camera and abs(np.linalg.det(to_srgb)) > 1e-6:
        matrix = to_srgb @ matrix @ np.linalg.inv(to_srgb)
        matrix = matrix / float(_SRGB_TO_XYZ[1] @ matrix @ np.ones(3))
    if matrix is None or space.is_srgb:
        return matrix
    converted: Matrix = np.linalg.inv(space.to_srgb) @ matrix @ space.to_srgb
    return converted
