"""How a photo is exposed: where its light lies, what is clipped, and what kind of light was meant.

All in linear light. "Stops" are log2 of relative luminance, 0 for full white.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.columns import channel_means
from immich_sidecar.analysis.measure.percentiles import percentile, percentiles

_Number = TypeVar("_Number", np.uint8, np.float32)

#: Luminance weights of linear sRGB (IEC 61966-2-1).
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
#: A channel at or above this linear value counts as clipped.
_CLIPPED = 0.97
#: Longer edge, in pixels, of the picture that is looked at.
_EDGE = 512


class Exposure(BaseModel):
    """Light of a photo in linear terms."""

    model_config = ConfigDict(frozen=True)

    #: Stops of luminance at 1, 5, 25, 50, 75, 95 and 99 % of the pixels.
    percentiles: tuple[float, ...]
    #: Stops of the geometric mean luminance.
    key: float
    #: Stops between the brightest pixels (largest channel, 99.7 %) and full white; 0 where the range is used.
    headroom: float
    #: Display value 0..255 that the smallest channel stays below in 1 % of the pixels; high where a veil of
    #: light lies over everything.
    veil: float
    #: Share of pixels whose red, green, blue channel is clipped, and where all three are.
    clipped: tuple[float, float, float, float]
    #: Share of pixels without light in any channel (display value 2 or less).
    crushed: float
    #: Share of pixels more than 6.6 stops below the brightest ones; large at night.
    darkness: float
    #: How much the brightest 5 % look like a low sun or lamps: 0 neutral .. 1 deep yellow, orange or red.
    warmth: float
    #: Mean saturation (1 - min/max) of pixels that are neither black nor clipped, 0..1.
    saturation: float


def measure_exposure(display: NDArray[np.uint8], linear: NDArray[np.float32]) -> Exposure:
    """Measure the exposure of a photo.

    Parameters
    ----------
    display
        HxWx3, sRGB.
    linear
        The same picture in linear sRGB, float32 0..1.
    """
    linear, display = _small(linear), _small(display)
    luminance = linear @ LUMINANCE
    # Each channel apart is looked at much faster.
    channels, codes = _apart(linear), _apart(display)
    (smallest, largest), (smallest_code, largest_code) = _extremes(*channels), _extremes(*codes)
    brightest = max(1e-4, percentile(largest, 99.7))
    levels = percentiles(luminance, (1, 5, 25, 50, 75, 95, 99))
    bright = luminance >= levels[5]
    top = np.stack([channel[bright] for channel in channels], axis=1)
    red, green, blue = (float(v) for v in channel_means(top))
    warm = 0.0 if red <= 1e-4 else float(np.clip((red - blue) / red * (red / max(green, 1e-4)) ** 0.5, 0, 1))
    visible = (largest > 0.004) & (largest < _CLIPPED)
    saturation = 1 - smallest[visible] / largest[visible] if visible.any() else np.zeros(1, np.float32)
    stops = np.log2(levels + 1e-4)
    clipped = [share_of(channel >= _CLIPPED) for channel in channels]
    return Exposure(
        percentiles=tuple(round(float(v), 3) for v in stops),
        key=round(float(np.log2(luminance + 2e-3).mean()), 3),
        headroom=round(max(0.0, -float(np.log2(brightest))), 3),
        veil=round(percentile(smallest_code, 1.0), 1),
        clipped=(
            round(clipped[0], 4),
            round(clipped[1], 4),
            round(clipped[2], 4),
            round(share_of(smallest >= _CLIPPED), 4),
        ),
        crushed=round(share_of(largest_code <= 2), 4),
        darkness=round(share_of(luminance < brightest * 0.01), 4),
        warmth=round(warm, 3),
        saturation=round(float(saturation.mean()), 3),
    )


def extremes(image: NDArray[_Number]) -> tuple[NDArray[_Number], NDArray[_Number]]:
    """Smallest and largest channel of each pixel (last axis); many times faster than NumPy's own way."""
    return _extremes(image[..., 0], image[..., 1], image[..., 2])


def _extremes(
    red: NDArray[_Number], green: NDArray[_Number], blue: NDArray[_Number]
) -> tuple[NDArray[_Number], NDArray[_Number]]:
    return np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)


def _apart(image: NDArray[_Number]) -> tuple[NDArray[_Number], NDArray[_Number], NDArray[_Number]]:
    """Red, green and blue, each with its pixels one after the other."""
    red, green, blue = (np.ascontiguousarray(image[..., c]) for c in range(3))
    return red, green, blue


def share_of(mask: NDArray[np.bool_]) -> float:
    """Which part of a mask is set, 0..1; the mask has at least one entry."""
    return np.count_nonzero(mask) / mask.size


def _small(image: NDArray[_Number]) -> NDArray[_Number]:
    """Every n-th pixel; enough for shares and percentiles."""
    step = max(1, max(image.shape[:2]) // _EDGE)
    return image[::step, ::step]
