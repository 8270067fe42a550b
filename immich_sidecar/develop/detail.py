"""Noise removal on display values, brightness and colour apart.

Brightness is put on a scale on which the noise of a sensor is even, and noise is taken from it by a sliding cosine
transform (see `block_dct`). Colour differences are cleaned in the same way at half the size, where their noise
is clumped anyway; what is finer is kept where it is stronger than noise.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.curves import linear_curve
from immich_sidecar.recipe.plan import DetailPlan

#: The noise, as a part of the display range, that a strength of 100 stands for (25.5 of 255 code values).
FULL_STRENGTH = 0.1
#: Coefficients below so many deviations of the noise go.
_DEVIATIONS = 2.7
#: The part of the removed luma that stays: a trace of grain keeps surfaces from looking like plastic.
_KEPT_GRAIN = 0.1
#: How many times its noise's variance the fine colour around a pixel must have to be kept.
_FINE_COLOUR = 1.7
_FINE_SIDE = 3
#: Rows that are worked on at a time (blocks at half the size begin at multiples of 6), and the rows around
#: them that are looked at.
_STRIP, _MARGIN = 264, 24
#: Below this many pixels per full pixel the averaging of a preview has removed the noise already.
_SMALLEST_SCALE = 0.2
#: By how much noise may differ from that of middle grey; cameras do not let it grow in the dark as sensors do.
_EVENNESS = (0.7, 1.4)
_FINE = 4


def denoised(pixels: NDArray[np.uint8], detail: DetailPlan, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Remove noise from display pixels (height, width, 3); the result is another array if anything is asked.

    `scale` is pixels per pixel at full size: noise shrinks with it.
    """
    if (not detail.luma and not detail.chroma) or scale < _SMALLEST_SCALE or min(pixels.shape[:2]) < 2:
        return pixels
    out = np.empty_like(pixels)
    height = pixels.shape[0]
    for start in range(0, height, _STRIP):
        end = min(start + _STRIP, height)
        first, last = max(0, start - _MARGIN), min(height, end + _MARGIN)
        _strip(pixels[first:last], (start - first, end - first), detail, scale, out[start:end])
    return out


def _strip(
    pixels: NDArray[np.uint8], rows: tuple[int, int], detail: DetailPlan, scale: float, out: NDArray[np.uint8]
) -> None:
    """Denoise the rows of a strip that are wanted; the others are what surrounds them."""
    import cv2

    from immich_sidecar.develop import block_dct

    sigma = 255.0 * FULL_STRENGTH * detail.luma / 100.0 * scale
    stable, unstable, step = stabilising(sigma or 1.0)
    channels: list[Any] = list(cv2.split(pixels))
    luma, blue, red = (np.empty(pixels.shape[:2], np.float32) for _ in range(3))
    block_dct.split(channels[0], channels[1], channels[2], stable, luma, blue, red)
    if detail.chroma:
        noise = 255.0 * FULL_STRENGTH * detail.chroma / 100.0 * scale
        blue, red = _clean_colour(blue, noise), _clean_colour(red, noise)
    here = slice(*rows)
    clean = _clean(luma, _DEVIATIONS, rows) if detail.luma else luma[here]
    kept = np.float32(_KEPT_GRAIN if detail.luma else 1.0)
    r, g, b = (np.ascontiguousarray(channel[here]) for channel in channels)
    clean = np.ascontiguousarray(clean)
    block_dct.join(r, g, b, clean, np.float32(1.0 / step), unstable, kept, blue[here], red[here])
    cv2.merge([r, g, b], dst=out)


def _clean(plane: NDArray[np.float32], threshold: float, rows: tuple[int, int] | None = None) -> NDArray[np.float32]:
    """A plane, or rows of it, without noise whose coefficients are below a threshold."""
    import cv2

    from immich_sidecar.develop import block_dct

    pad = block_dct.BLOCK
    start, end = rows or (0, plane.shape[0])
    # Real rows above and below where there are some.
    above, below = min(pad, start), min(pad, plane.shape[0] - end)
    part = plane[start - above : end + below]
    padded: Any = cv2.copyMakeBorder(part, pad - above, pad - below, pad, pad, cv2.BORDER_REFLECT)
    out: NDArray[np.float32] = np.empty_like(padded)
    block_dct.without_noise(padded, np.float32(threshold), out)
    return out[pad:-pad, pad:-pad]


def _clean_colour(plane: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """A plane of colour differences without noise of a standard deviation in code values."""
    import cv2

    from immich_sidecar.develop import block_dct

    height, width = plane.shape
    half: Any = cv2.resize(plane, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    clean = _clean(half, _DEVIATIONS * noise / 2.0)
    plane -= cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.resize(np.ascontiguousarray(clean), (width, height), interpolation=cv2.INTER_LINEAR)
    energy = cv2.resize(cv2.multiply(plane, plane), (half.shape[1], half.shape[0]), interpolation=cv2.INTER_AREA)
    energy = cv2.blur(energy, (_FINE_SIDE, _FINE_SIDE), borderType=cv2.BORDER_REFLECT_101)
    energy = cv2.resize(energy, (width, height), interpolation=cv2.INTER_LINEAR)
    block_dct.keep_detail(plane, smooth, energy, np.float32(_FINE_COLOUR * noise * noise))
    return plane


@lru_cache(maxsize=16)
def stabilising(sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Tables to a scale on which luma noise has a deviation of 1, and back.

    Light x of a sensor has noise of the variance shot * x + read; what that comes to on the display scale, relative
    to middle grey, gives the shape, and `sigma`, in code values there, the height.

    Returns
    -------
    tuple
        Stable values by four times the code value; code values by stable value / step, one more than needed; the
        step.
    """
    value = np.linspace(0.0, 1.0, 255 * _FINE + 1)
    light = linear_curve(value)
    slope = np.gradient(value, light)
    grey = int(np.searchsorted(light, 0.18))
    shots = np.geomspace(1e-6, 0.05, 60)
    at_grey = np.sqrt(shots * light[grey] + _read(shots)) * slope[grey]
    shot = float(np.interp(sigma / 255.0, at_grey, shots))
    noise = np.sqrt(shot * light + _read(np.array(shot))) * slope
    noise = sigma * np.clip(noise / noise[grey], *_EVENNESS)
    # The scale rises by one where noise has gone one deviation further.
    rise = 1.0 / (_FINE * 0.5 * (noise[1:] + noise[:-1]))
    stable = np.concatenate([[0.0], np.cumsum(rise)])
    step = float(stable[-1] / (len(stable) * 4))
    even = np.arange(len(stable) * 4 + 2) * step
    unstable = np.interp(even, stable, value * 255.0)
    return np.append(stable, stable[-1]).astype(np.float32), unstable.astype(np.float32), step


def _read(shot: NDArray[np.float64]) -> NDArray[np.float64]:
    """Read noise that goes with shot noise (Brooks et al., "Unprocessing images", 2019)."""
    return np.asarray(np.exp(2.18 * np.log(shot) + 1.2))
