"""Saturation and monochrome: the matrices and tables that the colour pass needs for them.

OKLab: B. Ottosson, "A perceptual color space for image processing" (2020), with its published matrices.
"""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.recipe.plan import MonochromePlan

#: Linear sRGB to cone responses.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
#: Lightness, a, b to cube roots of cone responses (the columns of a and b).
_FROM_A = np.array([0.3963377774, -0.1055613458, -0.0894841775])
_FROM_B = np.array([0.2158037573, -0.0638541728, -1.2914855480])
#: OKLab chroma of a full tone in the middle of the scale.
_TONE_CHROMA = 0.08


def oklab_matrices(space: ColourSpace) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Linear RGB of a space to the cone responses of OKLab, and back; grey has three equal responses."""
    to_cones = _CONES @ space.to_srgb
    to_cones = to_cones / to_cones.sum(axis=1, keepdims=True)
    back = np.linalg.inv(to_cones)
    return to_cones.astype(np.float32), back.astype(np.float32)


def grey_weights(space: ColourSpace, monochrome: MonochromePlan) -> NDArray[np.float32]:
    """Weights of a space's linear RGB that mean what those of the plan mean in linear sRGB."""
    return np.asarray(np.array(monochrome.weights) @ space.to_srgb, np.float32)


def toned_greys(space: ColourSpace, monochrome: MonochromePlan, light: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear RGB (3, n) of a space for shades of grey: their lightness kept, a hue added between black and white."""
    lightness = np.cbrt(light)
    chroma = _TONE_CHROMA * monochrome.toning * 4.0 * lightness * (1.0 - lightness)
    angle = np.radians(monochrome.hue)
    a, b = chroma * np.cos(angle), chroma * np.sin(angle)
    roots = lightness[:, None] + a[:, None] * _FROM_A + b[:, None] * _FROM_B
    back = oklab_matrices(space)[1].astype(np.float64)
    return np.ascontiguousarray(np.clip(roots**3 @ back.T, 0.0, 1.0).T, np.float32)
