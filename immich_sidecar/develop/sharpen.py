"""Sharpening on display values: an unsharp mask of luma that leaves noise alone and makes no halos."""

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
_STRIP = 64
#: Weights of the blur are whole parts of this.
_WHOLE = 256


def sharpened(pixels: NDArray[np.uint8], detail: DetailPlan, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Sharpen display pixels (height, width, 3), in place.

    `scale` is pixels per pixel at full size: the radius and the noise that is spared shrink with it.
    """
    from immich_sidecar.develop.sharpen_kernels import luma_of, memory_for, sharpen_rows

    radius = detail.sharpen_radius * scale
    if not detail.sharpen or radius < _SMALLEST_RADIUS or min(pixels.shape[:2]) < 2:
        return pixels
    height, width = pixels.shape[:2]
    weights, reach = blur_weights(radius), max(1, round(radius))
    amount = np.float32(_MOST * detail.sharpen / 100.0)
    spared = _DEVIATIONS * 255.0 * FULL_THRESHOLD * detail.sharpen_threshold / 100.0 * scale
    half_at = np.float32(spared**4 + 1e-6)
    margin = max(len(weights) - 1, reach)
    memory = memory_for(width, len(weights) - 1, reach)
    # Luma, as it was before, of a strip and of the rows around it.
    luma = np.empty((_STRIP + 2 * margin, width), np.uint8)
    held, top = 0, 0
    for start in range(0, height, _STRIP):
        end = min(start + _STRIP, height)
        first, last = max(0, start - margin), min(height, end + margin)
        kept = luma[first - top : held - top]
        luma[: len(kept)] = kept
        if held < last:
            luma_of(pixels[held:last], luma[held - first : last - first])
        held, top = last, first
        sharpen_rows(
            pixels[start:end],
            luma[: last - first],
            start - first,
            weights,
            reach,
            amount,
            half_at,
            memory,
        )
    return pixels


def blur_weights(deviation: float) -> NDArray[np.uint16]:
    """A Gaussian's weights, in parts of 256: the middle one, and those to one side.

    For small deviations there is one to each side, of the same variance.
    """
    if deviation < _SAMPLED:
        side = np.array([0.5 * deviation * deviation])
    else:
        reach = np.arange(1, int(np.ceil(3.0 * deviation)) + 1)
        side = np.exp(-0.5 * (reach / deviation) ** 2)
        side /= 1.0 + 2.0 * side.sum()
    parts = np.round(side * _WHOLE)
    # What rounds to nothing is not looked at.
    parts = parts[: int(np.flatnonzero(parts)[-1]) + 1] if parts.any() else parts[:1]
    return np.append(_WHOLE - 2.0 * parts.sum(), parts).astype(np.uint16)
