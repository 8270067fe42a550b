"""Whether a colour cast lies over a photo.

Four estimators of the light (shades of grey, grey edge, white patch, grey world) are compared with each other and
with the colours themselves. A camera has balanced the picture already, and most colours that fill a picture are the
things' own: grass, sea, sandstone, evening. So a cast needs estimators that agree, a picture that has hardly any
neutral pixel, and one colour that returns in its shadows, middle tones and lights.

Chromaticities are pairs (log2 red/green, log2 blue/green) in linear sRGB; (0, 0) is neutral.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

#: Longer edge, in pixels, of the picture that is looked at.
_EDGE = 420
#: Radius around a chromaticity within which pixels count as of that colour.
_RADIUS = 0.16


class Cast(BaseModel):
    """The colour of the light that seems to lie over the picture."""

    model_config = ConfigDict(frozen=True)

    #: Chromaticity of the supposed light; None where there is nothing to go by.
    light: tuple[float, float] | None = None
    #: Largest distance between two estimators.
    disagreement: float = 0.0
    #: Share of pixels that are neutral as they are.
    neutral: float = 0.0
    #: Share of pixels that would be neutral under the supposed light.
    explained: float = 0.0
    #: The smallest such share among shadows, middle tones and lights.
    explained_everywhere: float = 0.0
    #: Share of pixels with a colour strong enough to be a thing's own.
    colourful: float = 0.0


def measure_cast(display: NDArray[np.uint8], linear: NDArray[np.float32]) -> Cast:
    """Measure the colour cast.

    Parameters
    ----------
    display
        HxWx3, sRGB.
    linear
        The same picture in linear sRGB, float32 0..1.
    """
    step = max(1, round(max(display.shape[:2]) / _EDGE))
    if step > 1:
        linear = np.asarray(cv2.blur(linear, (step, step)), np.float32)[::step, ::step]
    largest, smallest = linear.max(axis=2), linear.min(axis=2)
    usable = (largest < 0.95) & (smallest > 0.002) & (largest > 0.008)
    if usable.mean() < 0.15:
        return Cast()
    pixels = linear[usable]
    colours = np.log2(np.stack([pixels[:, 0] / pixels[:, 1], pixels[:, 2] / pixels[:, 1]], axis=1))
    shades = _chromaticity(np.mean(pixels**6, axis=0) ** (1 / 6))
    edges = _grey_edge(linear, usable)
    luminance = pixels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    patch = _chromaticity(np.median(pixels[luminance >= np.percentile(luminance, 97)], axis=0))
    centre = np.median(np.stack([shades, edges, patch]), axis=0)
    near = np.linalg.norm(colours - centre, axis=1) < 0.6
    world = colours[near].mean(axis=0) if near.mean() > 0.05 else centre + 1.0
    estimates = np.stack([shades, edges, patch, world])
    light = np.median(estimates, axis=0)
    gaps = np.linalg.norm(estimates[:, None] - estimates[None, :], axis=2)
    explained = np.linalg.norm(colours - light, axis=1) < _RADIUS
    low, high = np.percentile(luminance, [33, 67])
    zones = (luminance <= low, (luminance > low) & (luminance < high), luminance >= high)
    return Cast(
        light=(round(float(light[0]), 3), round(float(light[1]), 3)),
        disagreement=round(float(gaps.max()), 3),
        neutral=round(float((np.linalg.norm(colours, axis=1) < 0.1).mean()), 4),
        explained=round(float(explained.mean()), 4),
        explained_everywhere=round(min(float(explained[z].mean()) if z.any() else 0.0 for z in zones), 4),
        colourful=round(float((np.linalg.norm(colours - light, axis=1) > 0.8).mean()), 4),
    )


def _chromaticity(light: NDArray[np.float32]) -> NDArray[np.float64]:
    red, green, blue = np.maximum(light, 1e-6)
    return np.array([np.log2(red / green), np.log2(blue / green)], np.float64)


def _grey_edge(linear: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Light by the mean difference across edges (van de Weijer et al. 2007), Minkowski norm 4."""
    smooth = cv2.GaussianBlur(linear, (0, 0), 1.2)
    strength = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    inside = cv2.erode(usable.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if inside.sum() < 200:
        inside = usable
    return _chromaticity(np.mean(strength[inside] ** 4, axis=0) ** 0.25)
