"""The compiled loops that read pixels: linear light of code values, and of numbers that stand for light."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled_loop
from immich_sidecar.develop.table_kernels import BLUE, GREEN, PIECE

# ruff: noqa: PLR0917 -- compiled code takes no keywords


@compiled_loop
def planes_of_codes(pixels: Any, tables: Any, planes: Any) -> None:
    """Linear light (3, rows, width) of code values (rows, width, 3); `tables` (3, levels) has that of each of them."""
    for y in range(pixels.shape[0]):
        for channel in range(3):
            for x in range(pixels.shape[1]):
                planes[channel, y, x] = tables[channel, pixels[y, x, channel]]


@compiled_loop
def planes_of_light(pixels: Any, scale: Any, planes: Any) -> None:
    """Linear light (3, rows, width) of numbers (rows, width, 3) which times `scale` (float32) are light."""
    for y in range(pixels.shape[0]):
        for channel in range(3):
            for x in range(pixels.shape[1]):
                planes[channel, y, x] = np.float32(pixels[y, x, channel]) * scale


@compiled_loop
def read(pixels: Any, y: int, x0: int, n: int, tables: Any, work: Any) -> Any:
    """Linear light of a piece of a row, and what none of it exceeds.

    With `tables` (3, levels), which rise, `pixels` are code values (rows, width, 3); with None, linear light (3, rows,
    width), of which infinity is said.
    """
    start = np.uintp(x0)
    if tables is not None:
        highest, zero, one, two = np.uint8(0), np.uintp(0), np.uintp(1), np.uintp(2)
        row, three = pixels[y].reshape(3 * pixels.shape[1]), np.uintp(3)
        begin = start * three
        for i in range(3 * n):
            highest = max(highest, row[begin + np.uintp(i)])
        for i in range(n):
            at = begin + np.uintp(i) * three
            work[i] = tables[zero, np.uintp(row[at])]
            work[i + GREEN] = tables[one, np.uintp(row[at + one])]
            work[i + BLUE] = tables[two, np.uintp(row[at + two])]
        last = np.uintp(highest)
        return max(tables[zero, last], tables[one, last], tables[two, last])
    for k in range(3):
        line, plane = pixels[k, y], np.uintp(k * PIECE)
        for i in range(n):
            work[plane + np.uintp(i)] = line[start + np.uintp(i)]
    return np.float32(np.inf)


@compiled_loop
def read_display(pixels: Any, y: int, x0: int, n: int, work: Any, places: Any) -> Any:
    """As `read`, of code values of 8 bits on the sRGB curve, which is computed: vectors look nothing up."""
    row, begin = pixels[y].reshape(3 * pixels.shape[1]), np.uintp(3 * x0)
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    codes, highest = places.view(np.uint8), np.uint8(0)
    for i in range(n):
        at = begin + np.uintp(i) * three
        codes[i], codes[i + GREEN], codes[i + BLUE] = row[at], row[at + one], row[at + two]
    for k in range(3):
        for i in range(n):
            highest = max(highest, codes[np.uintp(k * PIECE + i)])
    for i in range(3 * PIECE):
        work[i] = nearly_linear(np.float32(codes[i]) * np.float32(1.0 / 255.0))
    return nearly_linear(np.float32(highest) * np.float32(1.0 / 255.0))


@compiled_loop
def nearly_linear(display: Any) -> Any:
    """The inverse of the sRGB curve (IEC 61966-2-1), 0..1, to an eightieth of a code value of 8 bits: a polynomial.

    Its coefficients are fitted at the code values by least squares, weighed until the largest error was least; 1 is 1.
    """
    light = np.float32(0.08137126) * display - np.float32(0.29497457)
    light = (light * display + np.float32(0.65816963)) * display + np.float32(0.5220781)
    light = (light * display + np.float32(0.0324271)) * display + np.float32(0.00092846)
    return light if display > np.float32(0.04045) else np.float32(1.0 / 12.92) * display
