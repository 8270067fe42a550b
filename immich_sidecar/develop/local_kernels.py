"""The inner loop of changes to parts of a picture."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled

#: Steps of `gains`, and below which part of a mask a pixel is left as it is.
STEPS = 1024
_TOP, _TRACE = np.float32(STEPS - 1), np.float32(1 / 512)


@compiled
def change_rows(  # noqa: PLR0917  compiled functions take what stands in its place
    pixels: Any,
    decoding: Any,
    encoding: Any,
    luminance: Any,
    maps_a: Any,
    maps_b: Any,
    gains: Any,
    saturation: Any,
    out: Any,
) -> None:
    """Change light and colour by how much each pixel belongs to each part.

    `pixels` (height, width, 3) uint16; `decoding` (3, 65536) code value to linear light; `encoding` (3, 65536) code
    value of light i / 65535; `maps_a`, `maps_b` (parts, rows, columns): a pixel's part is a * root of luminance + b;
    `gains` (parts, `STEPS`) factors of light in the dark by how much a pixel belongs to the part, from not at all to
    wholly; `saturation` (parts,).
    """
    height, width = pixels.shape[:2]
    parts, rows, columns = maps_a.shape
    down, across = np.float32(rows / height), np.float32(columns / width)
    divisor = 1 if out.itemsize == 2 else 257
    rounding = divisor // 2
    half, one, zero, top = np.float32(0.5), np.float32(1.0), np.float32(0.0), np.float32(65535.0)
    row_a, row_b = np.empty((parts, columns + 1), np.float32), np.empty((parts, columns + 1), np.float32)
    for y in range(height):
        at = min(max((np.float32(y) + half) * down - half, zero), np.float32(rows - 1))
        first = int(at)
        second = min(first + 1, rows - 1)
        share = at - np.float32(first)
        for part in range(parts):
            for x in range(columns):
                row_a[part, x] = maps_a[part, first, x] * (one - share) + maps_a[part, second, x] * share
                row_b[part, x] = maps_b[part, first, x] * (one - share) + maps_b[part, second, x] * share
            row_a[part, columns] = row_a[part, columns - 1]
            row_b[part, columns] = row_b[part, columns - 1]
        for x in range(width):
            red = decoding[0, pixels[y, x, 0]]
            green = decoding[1, pixels[y, x, 1]]
            blue = decoding[2, pixels[y, x, 2]]
            grey = luminance[0] * red + luminance[1] * green + luminance[2] * blue
            root = np.sqrt(max(grey, zero))
            at = min(max((np.float32(x) + half) * across - half, zero), np.float32(columns - 1))
            left = int(at)
            share = at - np.float32(left)
            changed = False
            for part in range(parts):
                a = row_a[part, left] * (one - share) + row_a[part, left + 1] * share
                b = row_b[part, left] * (one - share) + row_b[part, left + 1] * share
                belongs = min(a * root + b, one)
                if belongs < _TRACE:
                    continue
                changed = True
                gain = gains[part, int(belongs * _TOP + half)]
                if gain != one:
                    gain = gain / (one + (gain - one) * max(red, green, blue))
                    red, green, blue = red * gain, green * gain, blue * gain
                if saturation[part] != zero:
                    grey = luminance[0] * red + luminance[1] * green + luminance[2] * blue
                    factor = one + saturation[part] * belongs
                    highest, lowest = max(red, green, blue) - grey, grey - min(red, green, blue)
                    if factor > one:
                        if highest > zero:
                            factor = min(factor, max(one, (one - grey) / highest))
                        if lowest > zero:
                            factor = min(factor, max(one, grey / lowest))
                    red = grey + (red - grey) * factor
                    green = grey + (green - grey) * factor
                    blue = grey + (blue - grey) * factor
            if not changed:
                # A code value of 16 bits and of 8 stand 257 to 1.
                for channel in range(3):
                    out[y, x, channel] = (int(pixels[y, x, channel]) + rounding) // divisor
                continue
            out[y, x, 0] = encoding[0, int(min(max(red, zero), one) * top + half)]
            out[y, x, 1] = encoding[1, int(min(max(green, zero), one) * top + half)]
            out[y, x, 2] = encoding[2, int(min(max(blue, zero), one) * top + half)]
