"""The compiled loops of sharpening.

Numbers of 8 and 16 bits are worked on as such, which gives vectors two to four times as many: sums of two have 64 bits
in numba, unless they are told not to.
"""

from typing import Any

import numpy as np

from immich_sidecar.develop.borders import mirrored
from immich_sidecar.develop.compiled import compiled, compiled_loop
from immich_sidecar.develop.table_kernels import HALF, ONE

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Columns whose changes are laid out for three channels at a time.
_PIECE = 1024
_U8, _U16, _I16 = np.uint8, np.uint16, np.int16


@compiled_loop
def sharpen_rows(
    pixels: Any, luma: Any, first: int, weights: Any, reach: int, amount: Any, spared: Any, memory: Any
) -> None:
    """Add to all three channels what sharpening adds to luma, in place.

    `pixels` (rows, width, 3) uint8; `luma` (more rows, width) uint8, that of `pixels` from row `first` on, with as many
    rows above and below as are looked at, or else with the border of the picture, in which it is reflected. `weights`
    (uint16) of the blur, in parts of 256: its middle, then one side. The lightest and darkest of the neighbours
    within `reach` pixels bound what comes out: a sixteenth of their distance and one code value is what luma may pass
    them by. `amount` (float32) is the factor of the difference between luma and blur, of which half is left at a
    difference whose fourth power is `spared` (float32, more than 0). `memory` is what `memory_for` makes.
    """
    width, sums, triple = pixels.shape[1], memory[0][: pixels.shape[1]], memory[1]
    blurred, light, dark = memory[2], memory[3], memory[4]
    for y in range(pixels.shape[0]):
        blur_down(luma, first + y, weights, sums, blurred)
        blur_across(blurred, weights, sums)
        extremes(luma, first + y, reach, light, dark)
        changes(luma[first + y], sums, light, dark, amount, spared)
        add(sums, triple, pixels[y].reshape(3 * width))


@compiled_loop
def luma_of(pixels: Any, luma: Any) -> None:
    """Luma (rows, width) of pixels (rows, width, 3), both `uint8`: ITU-R BT.601's weights, in parts of 256."""
    width = luma.shape[1]
    red, green, blue, half = _U16(77), _U16(150), _U16(29), _U16(128)
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    for y in range(luma.shape[0]):
        row, line = pixels[y].reshape(3 * width), luma[y]
        for x in range(width):
            at = np.uintp(x) * three
            first = _U16(_U16(red * _U16(row[at])) + _U16(green * _U16(row[at + one])))
            line[x] = _U8(_U16(first + _U16(_U16(blue * _U16(row[at + two])) + half)) >> _U16(8))


@compiled_loop
def changes(here: Any, sums: Any, light: Any, dark: Any, amount: Any, spared: Any) -> None:
    """What is added to a row of luma, whose blur `sums` are; in their place, as `int16`."""
    for x in range(sums.shape[0]):
        value = np.float32(here[x])
        difference = value - np.float32(sums[x]) * np.float32(1.0 / 256.0)
        power = difference * difference
        power *= power
        change = amount * difference * power / (power + spared)
        high, low = np.float32(light[x]), np.float32(dark[x])
        more = (high - low) * np.float32(0.0625) + ONE
        change = min(max(change, low - more - value), high + more - value)
        sums[x] = _U16(np.int32(np.floor(change + HALF)))


@compiled_loop
def add(changes: Any, triple: Any, row: Any) -> None:
    """Add a number for each pixel to its three channels; `triple` is memory for three of each."""
    black, white = _I16(0), _I16(255)
    for x0 in range(0, changes.shape[0], _PIECE):
        start, n = np.uintp(x0), min(_PIECE, changes.shape[0] - x0)
        for x in range(n):
            change = _I16(changes[start + np.uintp(x)])
            triple[3 * x], triple[3 * x + 1], triple[3 * x + 2] = change, change, change
        start *= np.uintp(3)
        for x in range(3 * n):
            at = start + np.uintp(x)
            row[at] = min(max(_I16(_I16(row[at]) + triple[x]), black), white)


@compiled
def memory_for(width: int, side: int, reach: int) -> Any:
    """What `sharpen_rows` works in, for weights of so many pixels to each side and that reach."""
    wide = width + 2 * max(side, reach)
    return (
        np.zeros(width, _U16),
        np.zeros(3 * _PIECE, _I16),
        np.zeros(wide, _U8),
        np.zeros(wide, _U8),
        np.zeros(wide, _U8),
    )


@compiled_loop
def blur_down(luma: Any, y: int, weights: Any, sums: Any, out: Any) -> None:
    """The rows around row `y`, weighed; into `out` from the blur's side on, with reflected columns about them."""
    width, side = sums.shape[0], weights.shape[0] - 1
    rows, middle, last = luma[y], weights[0], luma.shape[0]
    for x in range(width):
        sums[x] = middle * _U16(rows[x])
    for k in range(1, side + 1, 2):
        one, two = weights[k], weights[k + 1] if k < side else _U16(0)
        above, below = luma[mirrored(y - k, last)], luma[mirrored(y + k, last)]
        further, farther = luma[mirrored(y - k - 1, last)], luma[mirrored(y + k + 1, last)]
        for x in range(width):
            sums[x] = _U16(
                sums[x]
                + _U16(one * _U16(_U16(above[x]) + _U16(below[x])))
                + _U16(two * _U16(_U16(further[x]) + _U16(farther[x])))
            )
    inside = out[side : side + width]
    for x in range(width):
        inside[x] = _U8(_U16(sums[x] + _U16(128)) >> _U16(8))
    for k in range(1, side + 1):
        out[side - k], out[side + width - 1 + k] = inside[mirrored(-k, width)], inside[mirrored(width - 1 + k, width)]


@compiled_loop
def blur_across(blurred: Any, weights: Any, sums: Any) -> None:
    """The columns around each of what `blur_down` left, weighed: in parts of 256 of a code value."""
    width, side = sums.shape[0], weights.shape[0] - 1
    middle, here = weights[0], blurred[side : side + width]
    for x in range(width):
        sums[x] = middle * _U16(here[x])
    for k in range(1, side + 1, 2):
        one, two = weights[k], weights[k + 1] if k < side else _U16(0)
        j = min(k + 1, side)
        left, right = blurred[side - k : side - k + width], blurred[side + k : side + k + width]
        further, farther = blurred[side - j : side - j + width], blurred[side + j : side + j + width]
        for x in range(width):
            sums[x] = _U16(
                sums[x]
                + _U16(one * _U16(_U16(left[x]) + _U16(right[x])))
                + _U16(two * _U16(_U16(further[x]) + _U16(farther[x])))
            )


@compiled_loop
def extremes(luma: Any, y: int, reach: int, light: Any, dark: Any) -> None:
    """The lightest and the darkest value within `reach` rows and columns of each pixel of row `y`."""
    width, last = luma.shape[1], luma.shape[0] - 1
    row, high, low = luma[y], light[reach : reach + width], dark[reach : reach + width]
    for x in range(width):
        high[x] = row[x]
    for x in range(width):
        low[x] = row[x]
    for k in range(1, reach + 1):
        above, below = luma[max(y - k, 0)], luma[min(y + k, last)]
        for x in range(width):
            high[x] = max(high[x], above[x], below[x])
        for x in range(width):
            low[x] = min(low[x], above[x], below[x])
    for k in range(reach):
        light[k], light[reach + width + k] = high[0], high[width - 1]
        dark[k], dark[reach + width + k] = low[0], low[width - 1]
    # What is found for a column is written where nothing else reads it any more.
    for k in range(reach):
        for x in range(width + 2 * (reach - 1 - k)):
            light[x] = max(light[x], light[x + 1], light[x + 2])
        for x in range(width + 2 * (reach - 1 - k)):
            dark[x] = min(dark[x], dark[x + 1], dark[x + 2])
