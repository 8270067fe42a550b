"""Directions without lines: local gradients, the power spectrum, and sums along straight paths.

Each gives two profiles over `GRID`, for level and for upright structure: the larger, the more of the picture has
that direction.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.percentiles import percentile
from immich_sidecar.analysis.measure.tilt.grid import GRID, MAX_DEGREES, smoothed
from immich_sidecar.analysis.measure.tilt.histograms import clear_directions
from immich_sidecar.analysis.measure.tilt.paths import sums_along
from immich_sidecar.develop.averaging import averaged

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]

#: Longer edge, in pixels, of the pictures that are looked at.
_GRADIENT_EDGE, _SPECTRUM_EDGE, _PATH_EDGE = 560, 256, 288
#: Distance in degrees of the directions along which is summed.
_PATH_STEP = 0.5
#: Edges nearer to the border than this share of the picture belong to frames and scans.
_BORDER = 0.015


def shrunk(grey: Grey, edge: int) -> Grey:
    """The picture with the longer edge at most so many pixels."""
    scale = edge / max(grey.shape)
    if scale >= 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    # Square pixels, or directions would not be those of the picture.
    return averaged(grey, size, factor=1 / scale)


def gradient_profiles(grey: Grey) -> tuple[Floats, Floats]:
    """Histograms of gradient directions; only neighbourhoods with one clear direction count."""
    small = shrunk(grey, _GRADIENT_EDGE)
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.2)
    gx = np.asarray(cv2.Scharr(smooth, cv2.CV_32F, 1, 0), np.float32)
    gy = np.asarray(cv2.Scharr(smooth, cv2.CV_32F, 0, 1), np.float32)
    margin = max(4, int(_BORDER * max(small.shape)))
    gx, gy = gx[margin:-margin, margin:-margin], gy[margin:-margin, margin:-margin]
    squares = gx * gx, gy * gy, gx * gy
    magnitude = np.asarray(np.sqrt(squares[0] + squares[1]), np.float32)
    # A strong edge is no better evidence of direction than a clear one.
    ceiling = percentile(magnitude[::3, ::3], 97)
    xx, yy, xy = (np.asarray(cv2.blur(p, (9, 9)), np.float32) for p in squares)
    histograms = clear_directions((gx, gy, magnitude), (xx, yy, xy), ceiling)
    level, upright = (smoothed(h / magnitude.size / max(ceiling, 1e-3), 4.0) for h in histograms)
    return level, upright


def spectrum_profiles(grey: Grey) -> tuple[Floats, Floats]:
    """Mean logarithmic energy of the power spectrum along each direction."""
    small = shrunk(grey, _SPECTRUM_EDGE).astype(np.float32)
    height, width = small.shape
    size = _SPECTRUM_EDGE * 2
    canvas = (small - small.mean()) * cv2.createHanningWindow((width, height), cv2.CV_32F)
    # Nothing lies beyond the picture, and only frequencies that are looked at are worked out.
    radius = np.arange(14, int(size * 0.42), dtype=np.float32)
    rows = np.fft.rfft(canvas, size, axis=1)[:, : radius.size + 16]
    spectrum = np.fft.fft(rows, size, axis=0)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    # Rows of the other sign are folded in so that one half-plane with the origin in the middle remains.
    power = np.fft.fftshift(power, axes=0)
    angle = np.radians(GRID).astype(np.float32)[:, None]
    profiles = []
    # A level edge has its energy on the vertical frequency axis, and turns with the picture.
    for fx, fy in (
        (np.sin(angle) * radius, np.cos(angle) * radius),
        (np.cos(angle) * radius, -np.sin(angle) * radius),
    ):
        negative = fx < 0
        x, y = np.where(negative, -fx, fx), np.where(negative, -fy, fy)
        slices = cv2.remap(power, x.astype(np.float32), (y + size // 2).astype(np.float32), cv2.INTER_LINEAR)
        profiles.append(smoothed(np.log(slices * radius**2 + 1).mean(axis=1).astype(np.float64), 2.0))
    return profiles[0], profiles[1]


def path_profiles(grey: Grey) -> tuple[Floats, Floats]:
    """The clearest straight path of each direction: how much of it is an edge of one polarity, 0..1."""
    small = cv2.GaussianBlur(shrunk(grey, _PATH_EDGE).astype(np.float32), (0, 0), 1.5)
    coarse = np.arange(-MAX_DEGREES, MAX_DEGREES + _PATH_STEP / 2, _PATH_STEP)
    profiles = []
    for picture, sign in ((small, -1.0), (np.ascontiguousarray(small.T), 1.0)):
        step = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3)
        other = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3)
        typical = float(np.mean(np.abs(step))) + 2.0
        # Contrast counts little: a path is told by how far it goes on.
        clear = step / (np.abs(step) + 0.6 * np.abs(other) + typical)
        sums = sums_along(np.asarray(clear, np.float32), sign * np.tan(np.radians(coarse)))
        strength = np.abs(sums[:, 4:-4]).max(axis=1) / clear.shape[1]
        profiles.append(np.interp(GRID, coarse, strength))
    return profiles[0], profiles[1]
