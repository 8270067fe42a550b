"""How noisy a photo is at full size, in brightness and in colour.

Noise is everywhere, texture is not: the deviation of diagonal Haar coefficients (after Donoho 1994) is taken of
small blocks, and of all blocks of about the same brightness only the smoothest ones are believed. A sensor's
variance grows with light (shot noise) from a floor (read noise); that straight line is fitted in linear light, so
that brightnesses at which everything has texture are told by those at which something is smooth.
"""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.percentiles import median, percentile

Floats = NDArray[np.float64]

#: Side of a block, in pixels.
_BLOCK = 16
#: Percentile of the blocks of one brightness that is believed, and the share of the deviation that it shows for
#: noise alone; for colour, whose blocks are more uneven, at the fine and at the coarse scale.
_SMOOTHEST, _SHOWN = 4.0, 0.82
_SMOOTHEST_COLOUR, _SHOWN_COLOUR, _SHOWN_COARSE = 6.0, 0.84, 0.78
#: Code values between which noise is not cut off.
_DARKEST, _BRIGHTEST = 14.0, 240.0
#: How much more brightness noise there is at full size than in pixels that are made of two green, a red and a blue.
_BINNED = 1.35
#: Into how many brightnesses the blocks are dealt, and how many blocks one needs.
_BINS, _FEWEST = 8, 20


class Noise(BaseModel):
    """Standard deviation of noise at full size, in code values of 255."""

    model_config = ConfigDict(frozen=True)

    #: Of brightness (luma of display values), at the brightness that half of the picture has.
    luma: float
    #: Of colour (Cb and Cr).
    chroma: float
    #: Blocks that the estimate rests on; few mean little.
    blocks: int
    #: How much rougher ordinary blocks are than the smoothest of the same brightness: about 1 for noise, which is
    #: the same everywhere, from 1.5 on it is texture.
    unevenness: float = 1.0
    #: Variance in linear light 0..1: `shot` times the light, plus `read`.
    shot: float = 0.0
    #: Variance in linear light where there is none.
    read: float = 0.0


def measure_noise(
    luma: Sequence[NDArray[np.float32]], chroma: Sequence[NDArray[np.float32]], *, binned: bool = False
) -> Noise:
    """Estimate noise from pieces of a photo at full size.

    Parameters
    ----------
    luma
        Brightness of each piece, HxW float32 of display values 0..1; pieces below 64 px are passed over.
    chroma
        Cb and Cr of the same pieces, HxWx2 float32, 0 for grey.
    binned
        Whether the pieces are at half size, each pixel made of the four of a sensor's pattern (RAW).
    """
    levels, fine, colour, coarse = [], [], [], []
    for brightness, difference in zip(luma, chroma, strict=True):
        if min(brightness.shape[:2]) < 4 * _BLOCK:
            continue
        # Whole blocks of both scales only.
        rows, columns = (n - n % (2 * _BLOCK) for n in brightness.shape)
        codes = brightness[:rows, :columns] * np.float32(255)
        here = _means(codes, _BLOCK)
        good = (here > _DARKEST) & (here < _BRIGHTEST)
        levels.append(here[good])
        fine.append(_deviation(codes, _BLOCK)[good])
        for channel in range(2):
            plane = np.ascontiguousarray(difference[:rows, :columns, channel]) * np.float32(255)
            half = np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
            colour.append(_deviation(plane, _BLOCK)[good])
            coarse.append(2 * _deviation(half, _BLOCK // 2)[good])
    level = np.concatenate(levels).astype(np.float64) if levels else np.zeros(0)
    if level.size < 2 * _FEWEST:
        return Noise(luma=0.0, chroma=0.0, blocks=int(level.size))
    deviation = np.concatenate(fine).astype(np.float64)
    bins = _bins(level)
    floor = np.array([percentile(deviation[b], _SMOOTHEST) for b in bins]) / _SHOWN
    ordinary = np.array([percentile(deviation[b], 25.0) for b in bins])
    brightness_of_bin = np.array([median(level[b]) for b in bins])
    shot, read = _line(brightness_of_bin, floor)
    light, steepness = _linear(level)
    shown = float(np.median(np.sqrt(shot * light + read) * steepness)) * 255
    if binned:
        shown *= _BINNED
    return Noise(
        luma=round(shown, 2),
        chroma=round(_colour(level, colour, coarse), 2),
        blocks=int(level.size),
        unevenness=round(float(np.median(ordinary / np.maximum(floor, 0.05))), 3),
        shot=float(f"{shot:.3g}"),
        read=float(f"{read:.3g}"),
    )


def _deviation(plane: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Deviation of diagonal Haar coefficients, for each block of the plane."""
    detail = (plane[0::2, 0::2] - plane[0::2, 1::2] - plane[1::2, 0::2] + plane[1::2, 1::2]) / 2
    # The mean, not the median: values of 8 bit are too coarse for medians, and edges are left out by block.
    return _means(np.abs(detail), block // 2) * np.float32(1.2533)


def _means(plane: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """The mean of each block of a plane that has whole blocks only."""
    size = (plane.shape[1] // block, plane.shape[0] // block)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _bins(level: Floats) -> list[NDArray[np.bool_]]:
    """Blocks of about the same brightness, as many in each."""
    edges = np.quantile(level, np.linspace(0, 1, _BINS + 1))
    bins = [(level >= low) & (level <= high) for low, high in pairwise(edges)]
    return [b for b in bins if b.sum() >= _FEWEST] or [np.ones(level.size, bool)]


def _linear(level: Floats) -> tuple[Floats, Floats]:
    """Linear light 0..1 of display code values, and the steepness of the sRGB curve there."""
    code = np.maximum(level / 255, 1e-3)
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    steepness = np.where(code <= 0.04045, 12.92, 1.055 / 2.4 * light ** (1 / 2.4 - 1))
    return light, steepness


def _line(level: Floats, deviation: Floats) -> tuple[float, float]:
    """Shot and read noise from the deviation at each brightness; what lies above the line is texture."""
    light, steepness = _linear(level)
    variance = (deviation / 255 / steepness) ** 2
    trust = np.ones(light.size)
    shot = read = 0.0
    for _ in range(4):
        # Relative errors count, and texture can only add.
        weight = trust / (variance + 1e-9) ** 2
        mean_light, mean = np.average(light, weights=weight), np.average(variance, weights=weight)
        spread = np.average((light - mean_light) ** 2, weights=weight)
        together = np.average((light - mean_light) * (variance - mean), weights=weight)
        shot = float(together / spread) if spread > 1e-9 else 0.0
        read = float(mean - shot * mean_light)
        if shot < 0:
            shot, read = 0.0, float(mean)
        elif read < 0:
            shot, read = float((weight * light * variance).sum() / (weight * light**2).sum()), 0.0
        trust = np.where(variance > 1.2 * (shot * light + read), 0.3, 1.0)
    return shot, read


def _colour(level: Floats, fine: list[NDArray[np.float32]], coarse: list[NDArray[np.float32]]) -> float:
    """Deviation of colour noise; JPEG files often hold colour at half the size, which leaves the coarse scale."""
    both = [np.concatenate([*planes[0::2], *planes[1::2]]).astype(np.float64) for planes in (fine, coarse)]
    bins = _bins(np.concatenate([level, level]))
    floors = [
        float(np.median([percentile(values[b], _SMOOTHEST_COLOUR) for b in bins])) / shown
        for values, shown in zip(both, (_SHOWN_COLOUR, _SHOWN_COARSE), strict=True)
    ]
    return max(floors[0], min(floors[1], 1.5 * floors[0]))
