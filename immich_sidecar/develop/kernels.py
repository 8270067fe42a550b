"""The compiled inner loop of colour. Compiled at first use, and kept in numba's cache where one can be written.

The cache lies where NUMBA_CACHE_DIR says, else beside this file, else in the user's cache folder; with none
of them writable it is compiled anew in each process.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np


@lru_cache(maxsize=1)
def colour_kernel() -> Callable[..., None]:
    """The compiled `_colour`."""
    import numba

    try:
        compiled: Callable[..., None] = numba.njit(cache=True, nogil=True, error_model="numpy")(_colour)
    except RuntimeError:
        # No folder for the cache can be written.
        compiled = numba.njit(nogil=True, error_model="numpy")(_colour)
    return compiled


def _colour(  # noqa: PLR0917 -- compiled code takes no keywords
    pixels: Any,
    tables: Any,
    before: Any,
    has_before: bool,
    matrix: Any,
    has_matrix: bool,
    top: float,
    first: Any,
    is_local: bool,
    map_a: Any,
    map_b: Any,
    luminance: Any,
    display: Any,
    gains: Any,
    second: Any,
    has_second: bool,
    encoding: Any,
    out: Any,
) -> None:
    """Code values to code values.

    `pixels` (h, w, 3) uint8 or uint16; `tables` (3, levels) code value to linear; `before`, `matrix` 3x3;
    `first` 65536 values over 0..top and `second` 65536 values over 0..1, linear to linear; `map_a`, `map_b`
    maps as wide as the picture whose rows lie evenly over it, with base = a * display + b; `display` 65536 values
    linear to display; `gains` 1024 factors by base; `encoding` (3, 65536) uint8, linear to code value; `out`
    (h, w, 3) uint8.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    end = np.float32(65535.0)
    last = np.uint32(65534)
    scale = np.float32(65535.0 / top)
    height, width = pixels.shape[0], pixels.shape[1]
    rows = map_a.shape[0]
    step_y = np.float32(rows / height)
    for y in range(height):
        map_y = (np.float32(y) + np.float32(0.5)) * step_y - np.float32(0.5)
        map_y = min(max(map_y, zero), np.float32(rows - 1))
        y0 = int(map_y)
        y1 = min(y0 + 1, rows - 1)
        part_y = map_y - np.float32(y0)
        for x in range(width):
            r = tables[0, pixels[y, x, 0]]
            g = tables[1, pixels[y, x, 1]]
            b = tables[2, pixels[y, x, 2]]
            if has_before:
                r, g, b = (
                    before[0, 0] * r + before[0, 1] * g + before[0, 2] * b,
                    before[1, 0] * r + before[1, 1] * g + before[1, 2] * b,
                    before[2, 0] * r + before[2, 1] * g + before[2, 2] * b,
                )
            if has_matrix:
                # White that is clipped stays white: between 0.9 and 1 the change fades out.
                keep = (min(r, g, b) / np.float32(top) - np.float32(0.9)) * np.float32(10.0)
                keep = min(max(keep, zero), one)
                keep = keep * keep * (np.float32(3.0) - np.float32(2.0) * keep)
                r2 = matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b
                g2 = matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b
                b2 = matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b
                r, g, b = r2 + keep * (r - r2), g2 + keep * (g - g2), b2 + keep * (b - b2)
            r = min(max(r * scale, zero), end)
            g = min(max(g * scale, zero), end)
            b = min(max(b * scale, zero), end)
            # Largest and smallest channel go through the curve, the middle one keeps its place between them.
            high, low = max(r, g, b), min(r, g, b)
            i = min(np.uint32(high), last)
            new_high = first[i] + (first[i + 1] - first[i]) * (high - np.float32(i))
            i = min(np.uint32(low), last)
            new_low = first[i] + (first[i + 1] - first[i]) * (low - np.float32(i))
            slope = (new_high - new_low) / (high - low) if high > low else zero
            r, g, b = new_low + (r - low) * slope, new_low + (g - low) * slope, new_low + (b - low) * slope
            if is_local:
                a = map_a[y0, x] + (map_a[y1, x] - map_a[y0, x]) * part_y
                c = map_b[y0, x] + (map_b[y1, x] - map_b[y0, x]) * part_y
                light = luminance[0] * r + luminance[1] * g + luminance[2] * b
                value = display[np.uint32(min(max(light, zero), one) * end)]
                base = min(max(a * value + c, zero), one) * np.float32(1023.0)
                i = min(np.uint32(base), np.uint32(1022))
                gain = gains[i] + (gains[i + 1] - gains[i]) * (base - np.float32(i))
                r, g, b = min(r * gain, one), min(g * gain, one), min(b * gain, one)
            if has_second:
                r, g, b = r * end, g * end, b * end
                high, low = max(r, g, b), min(r, g, b)
                i = min(np.uint32(high), last)
                new_high = second[i] + (second[i + 1] - second[i]) * (high - np.float32(i))
                i = min(np.uint32(low), last)
                new_low = second[i] + (second[i + 1] - second[i]) * (low - np.float32(i))
                slope = (new_high - new_low) / (high - low) if high > low else zero
                r, g, b = new_low + (r - low) * slope, new_low + (g - low) * slope, new_low + (b - low) * slope
            half = np.float32(0.5)
            out[y, x, 0] = encoding[0, np.uint32(min(max(r, zero), one) * end + half)]
            out[y, x, 1] = encoding[1, np.uint32(min(max(g, zero), one) * end + half)]
            out[y, x, 2] = encoding[2, np.uint32(min(max(b, zero), one) * end + half)]
