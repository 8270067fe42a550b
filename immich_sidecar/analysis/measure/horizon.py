"""How far a photo leans, by agreement of three estimators that fail in different ways.

Straight edges, local gradients and the spectrum of the whole picture are asked separately for edges that are
nearly horizontal and for edges that are nearly vertical. A lean is only believed where they agree: leaves, faces
and diagonal streets produce votes, but seldom the same vote three times.

Sign: a tilt is positive where the LEFT end of the horizon is lower, which a clockwise turn of as many degrees
corrects.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

#: Largest lean that is searched, in degrees; beyond it a lean is meant, or is not a lean.
MAX_DEGREES = 12.0
#: Longer edge, in pixels, of the picture that is looked at.
_EDGE = 800
#: Edges nearer to the border than this share of the picture belong to frames and scans.
_BORDER = 0.015
_STEP = 0.1
_GRID = np.arange(-MAX_DEGREES, MAX_DEGREES + _STEP / 2, _STEP)


class Direction(BaseModel):
    """What one family of edges (nearly horizontal, or nearly vertical) says about the lean."""

    model_config = ConfigDict(frozen=True)

    #: Lean in degrees by straight line segments; None where there are none.
    lines: float | None = None
    #: Lean in degrees by the histogram of gradient directions.
    gradients: float | None = None
    #: Lean in degrees by the power spectrum.
    spectrum: float | None = None
    #: Length of all agreeing segments, as a multiple of the picture's shorter side.
    length: float = 0.0
    #: Length of the longest straight run of agreeing segments, as a share of the picture's side along it.
    longest: float = 0.0
    #: How many segments of equal weight would say the same.
    segments: float = 0.0
    #: How far apart the agreeing segments lie across their direction, as a share of the picture.
    spread: float = 0.0
    #: Share of the agreeing segments in the weight of all segments of the family.
    purity: float = 0.0
    #: Change of direction from one edge of the picture to the other, in degrees (perspective).
    convergence: float = 0.0
    #: Reliability 0..1 of this family alone.
    confidence: float = 0.0


class Tilt(BaseModel):
    """How far the photo leans."""

    model_config = ConfigDict(frozen=True)

    #: Lean in degrees, positive where the left end of the horizon is lower; None without agreement.
    degrees: float | None = None
    #: Reliability 0..1 of `degrees`.
    confidence: float = 0.0
    #: Votes of the nearly horizontal edges.
    horizontal: Direction = Direction()
    #: Votes of the nearly vertical edges.
    vertical: Direction = Direction()


@dataclass(frozen=True)
class _Segments:
    """Line segments of one family: lean in degrees, length in pixels, place across the family (-0.5..0.5)."""

    lean: NDArray[np.float64]
    length: NDArray[np.float64]
    place: NDArray[np.float64]
    #: Begin and end along the family's direction, in pixels.
    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    #: Offset across the family's direction at the middle of the picture, in pixels, for each lean of zero.
    offset: NDArray[np.float64]


def measure_tilt(display: NDArray[np.uint8]) -> Tilt:
    """Measure the lean of a photo.

    Parameters
    ----------
    display
        HxWx3, sRGB, oriented; any size, about 1000 px are enough.
    """
    grey = np.asarray(cv2.cvtColor(display, cv2.COLOR_RGB2GRAY), np.uint8)
    scale = _EDGE / max(grey.shape)
    if scale < 1:
        grey = np.asarray(cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    if min(grey.shape) < 96:
        return Tilt()
    families = _segments(grey)
    gradients = _gradient_profiles(grey)
    spectra = _spectrum_profiles(grey)
    shape = (grey.shape[0], grey.shape[1])
    horizontal = _direction(families[0], gradients[0], spectra[0], shape=shape, horizontal=True)
    vertical = _direction(families[1], gradients[1], spectra[1], shape=shape, horizontal=False)
    degrees, confidence = _combine(horizontal, vertical)
    return Tilt(degrees=degrees, confidence=confidence, horizontal=horizontal, vertical=vertical)


def _segments(grey: NDArray[np.uint8]) -> tuple[_Segments, _Segments]:
    """Straight segments by LSD (Grompone von Gioi et al. 2012), sorted into horizontal and vertical ones."""
    height, width = grey.shape
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    lines = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(np.float64)
    x1, y1, x2, y2 = lines.T
    length = np.hypot(x2 - x1, y2 - y1)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    margin_x, margin_y = _BORDER * width, _BORDER * height
    good = (
        (length > 0.022 * max(height, width))
        & (middle_x > margin_x)
        & (middle_x < width - margin_x)
        & (middle_y > margin_y)
        & (middle_y < height - margin_y)
    )
    lines, length, middle_x, middle_y = lines[good], length[good], middle_x[good], middle_y[good]
    x1, y1, x2, y2 = lines.T
    # Counter-clockwise turn of the scene: rightwards lines rise, upwards lines lean to the left.
    flat = np.degrees(np.arctan2(-(y2 - y1) * np.sign(x2 - x1 + 1e-9), np.abs(x2 - x1)))
    steep = np.degrees(np.arctan2((x2 - x1) * np.sign(y2 - y1 + 1e-9), np.abs(y2 - y1)))
    is_flat, is_steep = np.abs(flat) <= MAX_DEGREES + 3, np.abs(steep) <= MAX_DEGREES + 3
    horizontal = _Segments(
        lean=flat[is_flat],
        length=length[is_flat],
        place=middle_y[is_flat] / height - 0.5,
        begin=np.minimum(x1, x2)[is_flat],
        end=np.maximum(x1, x2)[is_flat],
        offset=middle_y[is_flat],
    )
    vertical = _Segments(
        lean=steep[is_steep],
        length=length[is_steep],
        place=middle_x[is_steep] / width - 0.5,
        begin=np.minimum(y1, y2)[is_steep],
        end=np.maximum(y1, y2)[is_steep],
        offset=middle_x[is_steep],
    )
    return horizontal, vertical


def _gradient_profiles(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Histograms over `_GRID` of gradient directions, for horizontal and for vertical edges."""
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.4)
    gx, gy = cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1)
    margin = max(4, int(_BORDER * max(grey.shape)))
    gx, gy = gx[margin:-margin, margin:-margin], gy[margin:-margin, margin:-margin]
    # Only neighbourhoods with one direction count: the coherence of the structure tensor.
    xx, yy, xy = (cv2.GaussianBlur(p, (0, 0), 2.5) for p in (gx * gx, gy * gy, gx * gy))
    coherence = np.sqrt((xx - yy) ** 2 + 4 * xy * xy) / (xx + yy + 1e-3)
    magnitude = np.sqrt(gx * gx + gy * gy)
    # A strong edge is no better evidence of direction than a clear one.
    weight = np.minimum(magnitude, np.percentile(magnitude, 97)) * coherence**4
    edges = np.append(_GRID - _STEP / 2, _GRID[-1] + _STEP / 2)
    flat = np.degrees(np.arctan(gx / np.where(np.abs(gy) < 1e-6, 1e-6, gy)))
    steep = np.degrees(np.arctan(-gy / np.where(np.abs(gx) < 1e-6, 1e-6, gx)))
    profiles = []
    for lean in (flat, steep):
        near = np.abs(lean) < MAX_DEGREES + 1
        histogram = np.histogram(lean[near], bins=edges, weights=weight[near])[0]
        profiles.append(_smooth(histogram.astype(np.float64), 4.0))
    return profiles[0], profiles[1]


def _spectrum_profiles(grey: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy over `_GRID` of straight structure in the power spectrum, for horizontal and vertical edges."""
    size = 512
    scale = size / max(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
    height, width = small.shape
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    canvas = np.zeros((size * 2, size * 2), np.float32)
    canvas[:height, :width] = (small - small.mean()) * window
    power = np.abs(np.fft.rfft2(canvas)).astype(np.float32) ** 2
    # Rows of the other sign are folded in so that one half-plane with the origin in the middle remains.
    power = np.fft.fftshift(power, axes=0)
    radius = np.arange(24, int(size * 0.8), dtype=np.float32)
    angle = np.radians(_GRID).astype(np.float32)[:, None]
    profiles = []
    # A horizontal edge has its energy on the vertical frequency axis, and turns with the picture.
    for fx, fy in (
        (np.sin(angle) * radius, np.cos(angle) * radius),
        (np.cos(angle) * radius, -np.sin(angle) * radius),
    ):
        negative = fx < 0
        x, y = np.where(negative, -fx, fx), np.where(negative, -fy, fy)
        slices = cv2.remap(power, x.astype(np.float32), (y + size).astype(np.float32), cv2.INTER_LINEAR)
        profiles.append(_smooth(np.log(slices * radius**2 + 1).mean(axis=1).astype(np.float64), 2.0))
    return profiles[0], profiles[1]


def _direction(
    family: _Segments,
    gradient: NDArray[np.float64],
    spectrum: NDArray[np.float64],
    *,
    shape: tuple[int, int],
    horizontal: bool,
) -> Direction:
    """Let the three estimators vote on one family of edges."""
    height, width = shape
    along, across = (width, height) if horizontal else (height, width)
    if family.lean.size == 0:
        return Direction()
    weight = family.length**2
    lean, convergence = _line_peak(family, weight, may_converge=not horizontal)
    residual = family.lean - lean - convergence * family.place
    inlier = np.abs(residual) < 0.8
    for _ in range(2):
        lean += float(np.average(residual[inlier], weights=weight[inlier])) if inlier.any() else 0.0
        residual = family.lean - lean - convergence * family.place
        inlier = np.abs(residual) < 0.8
    if not inlier.any() or abs(lean) > MAX_DEGREES:
        return Direction()
    agreeing = weight[inlier]
    place = family.place[inlier]
    nearby = _peak_near(gradient, lean), _peak_near(spectrum, lean)
    length = float(family.length[inlier].sum()) / min(height, width)
    longest = _longest_run(family, inlier, lean, horizontal=horizontal, along=along, across=across)
    segments = float(agreeing.sum() ** 2 / (agreeing**2).sum())
    spread = float(np.ptp(place)) if place.size > 1 else 0.0
    purity = float(agreeing.sum() / weight.sum())
    votes = sum(1.0 if v is not None and abs(v - lean) < 0.5 else 0.0 for v in nearby)
    many = _ramp(length, 0.8, 3.0) * _ramp(spread, 0.15, 0.5) * _ramp(segments, 2.0, 5.0) * _ramp(purity, 0.25, 0.6)
    # One long line may be a horizon; one that stands may be a pole, a seam or a tree.
    one = _ramp(longest, 0.3, 0.7) * (_ramp(purity, 0.15, 0.4) if horizontal else _ramp(spread, 0.2, 0.5))
    evidence = max(many, one)
    confidence = evidence * (0.15, 0.55, 1.0)[int(votes)]
    if horizontal:
        # Roads, rails and house fronts that run into the distance: their direction changes with height.
        convergence, share = _trend(family, weight)
        confidence *= 1 - 0.75 * _ramp(share, 0.25, 0.55) * _ramp(abs(convergence), 3.0, 6.0)
    return Direction(
        lines=round(lean, 3),
        gradients=nearby[0],
        spectrum=nearby[1],
        length=round(length, 3),
        longest=round(longest, 3),
        segments=round(segments, 2),
        spread=round(spread, 3),
        purity=round(purity, 3),
        convergence=round(convergence, 2),
        confidence=round(confidence, 3),
    )


def _line_peak(family: _Segments, weight: NDArray[np.float64], *, may_converge: bool) -> tuple[float, float]:
    """The lean at the middle of the picture, and its change across it, that most of the weight agrees on."""

    def scores(convergence: float) -> NDArray[np.float64]:
        level = family.lean - convergence * family.place
        return np.asarray(weight @ np.exp(-0.5 * ((level[:, None] - _GRID[None, :]) / 0.35) ** 2))

    best = scores(0.0)
    lean, convergence, score = float(_GRID[best.argmax()]), 0.0, float(best.max())
    if may_converge and family.lean.size >= 4:
        needed = score * 1.3
        for candidate in np.arange(-24.0, 24.5, 1.0):
            found = scores(candidate)
            if found.max() > needed:
                needed = float(found.max())
                lean, convergence = float(_GRID[found.argmax()]), float(candidate)
    return lean, convergence


def _trend(family: _Segments, weight: NDArray[np.float64]) -> tuple[float, float]:
    """Change of direction across the picture in degrees, and the share of the scatter that it explains."""
    if family.lean.size < 3:
        return 0.0, 0.0
    lean = family.lean - np.average(family.lean, weights=weight)
    place = family.place - np.average(family.place, weights=weight)
    across, scatter = float(np.average(place**2, weights=weight)), float(np.average(lean**2, weights=weight))
    if across < 1e-6 or scatter < 1e-6:
        return 0.0, 0.0
    together = float(np.average(lean * place, weights=weight))
    return together / across, together**2 / across / scatter


def _peak_near(profile: NDArray[np.float64], lean: float) -> float | None:
    """The clearest peak of a profile within 1.5 degrees of a lean; None where the profile says something else."""
    centre = round((lean + MAX_DEGREES) / _STEP)
    first, last = max(1, centre - 15), min(_GRID.size - 2, centre + 15)
    index = np.arange(first, last + 1)
    peaks = index[(profile[index] >= profile[index - 1]) & (profile[index] >= profile[index + 1])]
    floor, top = float(np.median(profile)), float(profile.max())
    peaks = peaks[profile[peaks] - floor > 0.6 * (top - floor)]
    if peaks.size == 0 or top <= floor:
        return None
    return round(float(_GRID[peaks[profile[peaks].argmax()]]), 2)


def _longest_run(
    family: _Segments,
    inlier: NDArray[np.bool_],
    lean: float,
    *,
    horizontal: bool,
    along: int,
    across: int,
) -> float:
    """Length of the longest line that agreeing segments form together, as a share of the side along it."""
    begin, end, offset = family.begin[inlier], family.end[inlier], family.offset[inlier]
    turn = np.tan(np.radians(lean)) * ((begin + end) / 2 - along / 2)
    at_middle = offset + turn if horizontal else offset - turn
    longest = 0.0
    for place in at_middle:
        same = np.abs(at_middle - place) < 0.005 * across + 1.0
        order = np.argsort(begin[same])
        covered, reach = 0.0, -np.inf
        for a, b in zip(begin[same][order], end[same][order], strict=True):
            covered += max(0.0, b - max(a, reach))
            reach = max(reach, b)
        longest = max(longest, covered)
    return min(1.0, longest / along)


def _combine(horizontal: Direction, vertical: Direction) -> tuple[float | None, float]:
    """One lean from both families, and how far to believe it."""
    h, v = horizontal.confidence, vertical.confidence
    if max(h, v) < 0.2 or (horizontal.lines is None and vertical.lines is None):
        return None, 0.0
    if min(h, v) >= 0.12 and horizontal.lines is not None and vertical.lines is not None:
        gap = abs(horizontal.lines - vertical.lines)
        if gap < 1.0:
            degrees = (h * horizontal.lines + v * vertical.lines) / (h + v)
            return round(degrees, 3), round(min(0.98, 1 - (1 - h) * (1 - v) * 0.6 - 0.05 * gap), 3)
        if min(h, v) > 0.35 * max(h, v):
            return None, 0.0
    family, other = (vertical, horizontal) if v > h else (horizontal, vertical)
    if family.lines is None:
        return None, 0.0
    # One family alone may be a slope, a sign or a shelf that leans by itself, the more so the more it leans;
    # many uprights across the whole picture, or one line through all of it, are seldom that.
    if family is vertical:
        sure = _ramp(family.spread, 0.5, 0.8) * _ramp(family.segments, 4.0, 8.0)
    else:
        many = _ramp(family.length, 2.5, 4.0) * _ramp(family.purity, 0.5, 0.65)
        sure = max(_ramp(family.longest, 0.6, 0.85), many)
    if other.lines is not None and other.confidence >= 0.05 and abs(other.lines - family.lines) < 1.0:
        # Weak support is support.
        sure = max(sure, 0.8)
    trust = 0.82 + 0.06 * sure - (0.55 - 0.35 * sure) * _ramp(abs(family.lines), 2.0, 7.0)
    return family.lines, round(family.confidence * trust, 3)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, a line between."""
    return float(min(1.0, max(0.0, (value - low) / (high - low))))


def _smooth(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian blur of a profile with repeated ends; sigma in bins."""
    reach = int(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), kernel / kernel.sum(), mode="valid")
