"""EXIF orientation: eight ways to turn and mirror, exact in pixels."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def oriented(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Pixels (height, width, ...) turned upright by an EXIF orientation 1..8 (EXIF 2.32, tag 274)."""
    if orientation == 1:
        return np.ascontiguousarray(pixels)
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
