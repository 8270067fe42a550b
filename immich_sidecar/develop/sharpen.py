"""Sharpening on display values: an unsharp mask of luma that leaves noise alone and makes no halos."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.recipe.plan import DetailPlan

#: The noise, as a part of the display range, that a threshold of 100 stands for.
FULL_THRESHOLD = 0.1
#: How many times the difference to the blurred picture an amount of 100 adds.
_MOST = 2.0
#: Differences of this many deviations of the noise that is left alone are sharpened by half.
_DEVIATIONS = 2.0
#: Smallest deviation of a blur, in pixels, that a sampled Gaussian stands for well.
_SAMPLED = 0.6
#: Below this many pixels of blur nothing is left to see.
_SMALLEST_RADIUS = 0.1
#: Rows that are worked on at a time.
_STRIP = 128


def sharpened(pixels: NDArray[np.uint8], detail: DetailPlan, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Sharpen display pixels (height, width, 3), in place.

    `scale` is pixels per pixel at full size: the radius and the noise that is spared shrink with it.
    """
    import cv2

    from immich_sidecar.develop.sharpen_kernels import sharpen_rows

    radius = detail.sharpen_radius * scale
    if not detail.sharpen or radius < _SMALLEST_RADIUS or min(pixels.shape[:2]) < 2:
        return pixels
    kernel = blur_kernel(radius)
    amount = np.float32(_MOST * detail.sharpen / 100.0)
    spared = _DEVIATIONS * 255.0 * FULL_THRESHOLD * detail.sharpen_threshold / 100.0 * scale
    reach = max(1, round(radius))
    margin = max(len(kernel) // 2, reach)
    around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    whole = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height = pixels.shape[0]
    for start in range(0, height, _STRIP):
        end = min(start + _STRIP, height)
        first, last = max(0, start - margin), min(height, end + margin)
        luma = whole[first:last]
        soft: Any = cv2.sepFilter2D(luma, cv2.CV_8U, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
        light: Any = cv2.dilate(luma, around)
        dark: Any = cv2.erode(luma, around)
        here = slice(start - first, end - first)
        sharpen_rows(
            pixels[start:end], luma[here], soft[here], light[here], dark[here], amount, np.float32(spared**4 + 1e-6)
        )
    return pixels


def blur_kernel(deviation: float) -> NDArray[np.float32]:
    """A Gaussian's weights; for small ones three weights of the same variance."""
    if deviation < _SAMPLED:
        side = 0.5 * deviation * deviation
        weights = np.array([side, 1.0 - 2.0 * side, side])
    else:
        reach = int(np.ceil(3.0 * deviation))
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)
