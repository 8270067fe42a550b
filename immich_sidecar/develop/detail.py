"""Noise removal on display values: a guided filter on brightness, a Gaussian on colour differences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.recipe.plan import DetailPlan

#: The noise, as a part of the display range, that a strength of 100 stands for (25.5 of 255 code values).
FULL_STRENGTH = 0.1
#: How many times the noise's variance a surface may vary and still be smoothed by half.
_VARIANCES = 2.0
#: Rows that are worked on at a time.
_STRIP = 256
#: Below this many pixels per full pixel the averaging of a preview has removed the noise already.
_SMALLEST_SCALE = 0.2


def denoised(pixels: NDArray[np.uint8], detail: DetailPlan, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Remove noise from display pixels (height, width, 3).

    `scale` is pixels per pixel at full size: noise and radii shrink with it. He, Sun, Tang, "Guided Image
    Filtering" (2013), of luma by itself; colour differences (JFIF) are blurred. Both are held in 8 bits.
    """
    if (not detail.luma and not detail.chroma) or scale < _SMALLEST_SCALE:
        return pixels
    luma = FULL_STRENGTH * detail.luma / 100.0 * scale
    chroma = FULL_STRENGTH * detail.chroma / 100.0
    radius = max(1, round((2 + (luma > 0.03) + (luma > 0.06)) * scale))
    blur = (0.8 + 40.0 * chroma) * scale if chroma else 0.0
    margin = 2 * radius + int(4.0 * blur) + 2
    out = np.empty_like(pixels)
    height = pixels.shape[0]
    for start in range(0, height, _STRIP):
        end = min(start + _STRIP, height)
        first, last = max(0, start - margin), min(height, end + margin)
        strip = _strip(pixels[first:last], luma, radius, blur)
        out[start:end] = strip[start - first : end - first]
    return out


def _strip(pixels: NDArray[np.uint8], luma: float, radius: int, blur: float) -> NDArray[np.uint8]:
    import cv2

    parts: Any = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2YCrCb)
    y, red, blue = cv2.split(parts)
    if luma > 0.0:
        size, border = (2 * radius + 1, 2 * radius + 1), cv2.BORDER_REFLECT_101
        deep = y.astype(np.float32)
        average = cv2.blur(deep, size, borderType=border)
        variance = cv2.sqrBoxFilter(deep, cv2.CV_32F, size, normalize=True, borderType=border)
        variance -= average * average
        np.maximum(variance, np.float32(0.0), out=variance)
        a = variance / (variance + np.float32(_VARIANCES * (255.0 * luma) ** 2))
        average -= a * average
        a = cv2.blur(a, size, borderType=border)
        a *= deep
        a += cv2.blur(average, size, borderType=border)
        y = cv2.convertScaleAbs(a)
    if blur > 0.0:
        red = cv2.GaussianBlur(red, (0, 0), blur, borderType=cv2.BORDER_REFLECT_101)
        blue = cv2.GaussianBlur(blue, (0, 0), blur, borderType=cv2.BORDER_REFLECT_101)
    clean: Any = cv2.cvtColor(cv2.merge([y, red, blue]), cv2.COLOR_YCrCb2RGB)
    return np.asarray(clean, np.uint8)
