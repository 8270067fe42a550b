"""What LibRaw knows of the colours of a camera: its matrix, and the white of the light as the camera measured it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Linear sRGB to CIE XYZ (D65), IEC 61966-2-1, with the digits that LibRaw has.
_SRGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
#: What a camera's own matrix has in its first place at least, for LibRaw to take it.
_MATRIX_THERE = 0.125


@dataclass(frozen=True, eq=False)
class Camera:
    """Colours of a camera with three kinds of pixels."""

    #: White-balanced camera RGB to linear sRGB, 3x3, rows sum up to 1.
    to_srgb: NDArray[np.float64]
    #: Factors of red, green and blue that make the daylight of `to_srgb` (D65) neutral, green = 1.
    daylight: NDArray[np.float64] | None
    #: Factors of red, green and blue that make the light of the shot neutral, green = 1; None where not measured.
    as_shot: NDArray[np.float64] | None


def camera_of(file: Any) -> Camera | None:
    """The colours of the camera of a file that LibRaw opened; None where it knows no matrix for it.

    The choice of the matrix is LibRaw's, with `use_camera_matrix` as it is by default.
    """
    if file.num_colors != 3:
        return None
    as_shot, daylight = _factors(file.camera_whitebalance), _factors(file.daylight_whitebalance)
    from_xyz = np.asarray(file.rgb_xyz_matrix, np.float64)[:3]
    to_camera = from_xyz @ _SRGB_TO_XYZ if from_xyz.shape == (3, 3) else np.zeros((3, 3))
    white = to_camera.sum(axis=1, keepdims=True)
    known = bool((white > 1e-5).all()) and abs(np.linalg.det(to_camera / white)) >= 1e-6
    own = np.asarray(file.color_matrix, np.float64)[:3, :3]
    if own.shape == (3, 3) and own[0, 0] > _MATRIX_THERE:
        return Camera(own, daylight, as_shot)
    return Camera(np.linalg.inv(to_camera / white), daylight, as_shot) if known else None


def _factors(values: Any) -> NDArray[np.float64] | None:
    factors = np.array([float(v) for v in values[:3]])
    return factors / factors[1] if factors.min() > 0 and np.isfinite(factors).all() else None
