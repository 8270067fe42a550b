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
from immich_sidecar.develop.picture_memory import picture
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
#: Rows (blocks at half the size begin at multiples of 6) and columns that are worked on at a time, so that planes of
#: them fit the cache, and what is looked at around them.
_STRIP, _TILE, _MARGIN = 528, 1024, 24
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
    out = picture(pixels.shape, np.uint8)
    height, width = pixels.shape[:2]
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        first, last = max(0, top - _MARGIN), min(height, bottom + _MARGIN)
        for left in range(0, width, _TILE):
            right = min(left + _TILE, width)
            begin, end = max(0, left - _MARGIN), min(width, right + _MARGIN)
            wanted = slice(top - first, bottom - first), slice(left - begin, right - begin)
            out[top:bottom, left:right] = _tile(pixels[first:last, begin:end], wanted, detail, scale)
    return out


def _tile(
    pixels: NDArray[np.uint8], wanted: tuple[slice, slice], detail: DetailPlan, scale: float
) -> NDArray[np.uint8]:
    """Denoise the rows and columns of a part that are wanted; the others are what surrounds them."""
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
    rows, columns = wanted
    clean = (_clean(luma, _DEVIATIONS, rows) if detail.luma else luma[rows])[:, columns]
    kept = np.float32(_KEPT_GRAIN if detail.luma else 1.0)
    r, g, b = (np.ascontiguousarray(channel[wanted]) for channel in channels)
    # There is compiled code for planes that lie like this alone.
    planes = [np.ascontiguousarray(plane) for plane in (clean, blue[wanted], red[wanted])]
    block_dct.join(r, g, b, planes[0], np.float32(1.0 / step), unstable, kept, planes[1], planes[2])
    merged: Any = cv2.merge([r, g, b])
    return np.asarray(merged, np.uint8)


def _clean(plane: NDArray[np.float32], threshold: float, rows: slice | None = None) -> NDArray[np.float32]:
    """A plane, or rows of it, without noise whose coefficients are below a threshold."""
    import cv2

    from immich_sidecar.develop import block_dct

    pad = block_dct.BLOCK
    start, end = (rows.start, rows.stop) if rows else (0, plane.shape[0])
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
    whole: Any = plane
    if height % 2 or width % 2:
        whole = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    half: Any = cv2.resize(whole, (whole.shape[1] // 2, whole.shape[0] // 2), interpolation=cv2.INTER_AREA)
    energy = np.empty_like(half)
    block_dct.take_fine(whole, half, energy)
    energy = cv2.blur(energy, (_FINE_SIDE, _FINE_SIDE), borderType=cv2.BORDER_REFLECT_101)
    clean = np.ascontiguousarray(_clean(half, _DEVIATIONS * noise / 2.0))
    block_dct.keep_detail(whole, clean, energy, np.float32(_FINE_COLOUR * noise * noise))
    cleaned: NDArray[np.float32] = whole[:height, :width]
    return cleaned


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
