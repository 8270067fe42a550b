"""How noisy a photo is at full size, in brightness and in colour.

The estimate is the mean absolute diagonal Haar coefficient (after Donoho 1994) of the smoothest blocks: edges and
texture hardly reach them, noise reaches all. JPEG compression and demosaicing move noise to lower frequencies, so a
second, coarser scale is looked at too.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

#: Side of a block, in pixels.
_BLOCK = 32
#: Share of the blocks, smoothest first, that is believed.
_SMOOTHEST = 0.25


class Noise(BaseModel):
    """Standard deviation of noise at full size, in code values of 255."""

    model_config = ConfigDict(frozen=True)

    #: Of brightness (luma of display values).
    luma: float
    #: Of colour (Cb and Cr).
    chroma: float
    #: Blocks that the estimate rests on; few mean little.
    blocks: int


def measure_noise(luma: Sequence[NDArray[np.float32]], chroma: Sequence[NDArray[np.float32]]) -> Noise:
    """Estimate noise from pieces of a photo at full size.

    Parameters
    ----------
    luma
        Brightness of each piece, HxW float32 of display values 0..1; pieces below 64 px are passed over.
    chroma
        Cb and Cr of the same pieces, HxWx2 float32, 0 for grey.
    """
    in_luma: list[tuple[float, float]] = []
    in_chroma: list[tuple[float, float]] = []
    for brightness, colour in zip(luma, chroma, strict=True):
        if min(brightness.shape[:2]) < 2 * _BLOCK:
            continue
        # Whole blocks only, so that both scales have as many.
        rows, columns = (n - n % _BLOCK for n in brightness.shape)
        codes = brightness[:rows, :columns] * np.float32(255)
        usable = _usable(codes)
        in_luma += _blocks(codes, usable, subsampled=False)
        for channel in range(2):
            in_chroma += _blocks(colour[:rows, :columns, channel] * np.float32(255), usable, subsampled=True)
    if len(in_luma) < 4:
        return Noise(luma=0.0, chroma=0.0, blocks=len(in_luma))
    return Noise(luma=round(_pool(in_luma), 2), chroma=round(_pool(in_chroma), 2), blocks=len(in_luma))


def _usable(luma: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Blocks that are neither black nor white, where noise would be cut off."""
    mean = _tiles(luma).mean(axis=(1, 3))
    result: NDArray[np.bool_] = (mean > 12) & (mean < 243)
    return result


def _tiles(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK
    return plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)


def _blocks(plane: NDArray[np.float32], usable: NDArray[np.bool_], *, subsampled: bool) -> list[tuple[float, float]]:
    """(roughness, deviation) of every usable block; planes that may have been subsampled show it coarsely only."""
    fine = _diagonal(plane, _BLOCK)
    half = np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)
    coarse = _diagonal(half, _BLOCK // 2) * 2
    # Roughness at a scale that white noise of a few codes hardly reaches.
    soft = np.asarray(cv2.GaussianBlur(plane, (0, 0), 3.0), np.float32)
    rough = _tiles(soft).std(axis=(1, 3))
    # White noise shows the same at both scales; correlated noise more at the coarser one, texture much more.
    sigma = np.maximum(fine, coarse if subsampled else np.minimum(coarse, 2.0 * fine))
    return list(zip(rough[usable].tolist(), sigma[usable].tolist(), strict=True))


def _diagonal(plane: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Deviation of diagonal Haar coefficients, for each block of the plane."""
    rows, columns = plane.shape[0] // block, plane.shape[1] // block
    p = plane[: rows * block, : columns * block]
    detail = (p[0::2, 0::2] - p[0::2, 1::2] - p[1::2, 0::2] + p[1::2, 1::2]) / 2
    half = block // 2
    # The mean, not the median: values of 8 bit are too coarse for medians, and edges are left out by block.
    result: NDArray[np.float32] = np.abs(detail).reshape(rows, half, columns, half).mean(axis=(1, 3)) * 1.2533
    return result


def _pool(blocks: list[tuple[float, float]]) -> float:
    values = np.array(blocks)
    count = max(4, int(len(values) * _SMOOTHEST))
    smoothest = values[np.argsort(values[:, 0])[:count], 1]
    # Noise is everywhere; what some blocks do not have is texture.
    return float(min(np.median(smoothest), 1.5 * np.percentile(values[:, 1], 10)))
