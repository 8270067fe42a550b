"""The compiled loop of sharpening."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled
from immich_sidecar.develop.table_kernels import HALF, ONE

# ruff: noqa: PLR0917 -- compiled code takes no keywords


@compiled
def sharpen_rows(pixels: Any, luma: Any, soft: Any, light: Any, dark: Any, amount: Any, spared: Any) -> None:
    """Add to all three channels what sharpening adds to luma, in place.

    `pixels` (rows, width, 3) uint8; `luma`, its blur `soft`, and the lightest and darkest of its neighbours, uint8 of
    the same rows. `amount` (float32) is the factor of the difference between luma and blur, of which half is left at
    a difference whose fourth power is `spared` (float32, more than 0). A sixteenth of the neighbours' distance and
    one code value is what luma may pass them by.
    """
    width = pixels.shape[1]
    changes = np.empty(width, np.int16)
    triple = np.empty(3 * width, np.int16)
    black, white = np.int16(0), np.int16(255)
    for y in range(pixels.shape[0]):
        for x in range(width):
            difference = np.float32(luma[y, x]) - np.float32(soft[y, x])
            power = difference * difference
            power *= power
            change = amount * difference * power / (power + spared)
            here, high, low = np.float32(luma[y, x]), np.float32(light[y, x]), np.float32(dark[y, x])
            more = (high - low) * np.float32(0.0625) + ONE
            new = min(max(here + change, low - more), high + more)
            changes[x] = np.int16(np.floor(new - here + HALF))
        for x in range(width):
            triple[3 * x] = changes[x]
            triple[3 * x + 1] = changes[x]
            triple[3 * x + 2] = changes[x]
        row = pixels[y].reshape(3 * width)
        for x in range(3 * width):
            # Sums of two numbers of 16 bits have 64 in numba, which takes six times as long.
            row[x] = min(max(np.int16(np.int16(row[x]) + triple[x]), black), white)
