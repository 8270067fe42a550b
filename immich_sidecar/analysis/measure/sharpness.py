"""How sharp a photo is at full size."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.percentiles import percentile


class Sharpness(BaseModel):
    """Steepness of the steepest edges."""

    model_config = ConfigDict(frozen=True)

    #: Width in pixels of the sharpest edges (contrast divided by steepness); about 1.5 is crisp, 6 is blurred.
    edge_width: float | None
    #: 0 (blurred) .. 1 (crisp), from the edge width.
    score: float


def measure_sharpness(luma: Sequence[NDArray[np.float32]]) -> Sharpness:
    """Measure the sharpest of several pieces of a photo at full size (HxW float32, display values 0..1)."""
    widths = []
    for patch in luma:
        smooth = cv2.GaussianBlur(patch * np.float32(255), (0, 0), 0.7)
        steepness = cv2.magnitude(
            cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
        )
        kernel = np.ones((13, 13), np.uint8)
        contrast = cv2.dilate(smooth, kernel) - cv2.erode(smooth, kernel)
        edges = contrast > 40
        if int(edges.sum()) < 200:
            continue
        ratio = contrast[edges] / np.maximum(steepness[edges], 1e-3)
        widths.append(percentile(ratio, 2))
    if not widths:
        return Sharpness(edge_width=None, score=0.0)
    width = min(widths)
    return Sharpness(edge_width=round(width, 2), score=round(float(np.clip((7.0 - width) / 5.0, 0, 1)), 3))
