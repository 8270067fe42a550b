"""The leans that are looked at, and profiles over them."""

import numpy as np
from numpy.typing import NDArray

#: Largest lean that is searched, in degrees; beyond it a lean is meant, or is not a lean.
MAX_DEGREES = 12.0
#: Distance of two leans of the grid, in degrees.
STEP = 0.1
#: The leans, in degrees.
GRID = np.arange(-MAX_DEGREES, MAX_DEGREES + STEP / 2, STEP)


def smoothed(profiles: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian blur along the last axis, with nothing beyond the ends; sigma in steps of the grid."""
    import cv2

    rows = np.atleast_2d(profiles)
    blurred = cv2.GaussianBlur(rows, (2 * int(4 * sigma) + 1, 1), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float64).reshape(profiles.shape)


def peaks(profile: NDArray[np.float64], most: int, *, apart: float = 0.8) -> list[int]:
    """Indices of the highest local maxima, at least `apart` degrees from each other."""
    inner = profile[1:-1]
    found = np.flatnonzero((inner >= profile[:-2]) & (inner > profile[2:]) & (inner > 0)) + 1
    chosen: list[int] = []
    for index in found[np.argsort(-profile[found], kind="stable")]:
        if all(abs(int(index) - other) * STEP >= apart for other in chosen):
            chosen.append(int(index))
            if len(chosen) == most:
                break
    return chosen
