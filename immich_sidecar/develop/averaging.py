"""Shrinking by averaging: each pixel is the mean of what it covers.

What OpenCV calls INTER_AREA, two to four times faster where the factor is no whole number: rows are averaged first,
whole ones at a time, for which compilers make vector instructions, and columns of the few rows that are left then.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.compiled import compiled as _compiled


def averaged(pixels: NDArray[Any], size: tuple[int, int], *, factor: float | None = None) -> NDArray[Any]:
    """Shrink a picture.

    Parameters
    ----------
    pixels
        Shape (height, width) or (height, width, channels), `uint8`, `uint16` or `float32`.
    size
        Width and height of the result, at most those of the picture.
    factor
        How many pixels of the picture, at least 1, one of the result covers in both directions; then pixels stay
        squares, and the last ones may cover a little less. None: what fits the size, for each direction apart.
    """
    planes = np.ascontiguousarray(pixels).reshape(*pixels.shape[:2], -1)
    out: NDArray[Any] = np.empty((size[1], size[0], planes.shape[2]), pixels.dtype)
    height, width = planes.shape[:2]
    _average(planes, factor or height / size[1], factor or width / size[0], out)
    return out.reshape(size[1], size[0], *pixels.shape[2:])


def boxed(pixels: NDArray[np.uint8], side: int, *, thinned: bool = False) -> NDArray[np.uint8]:
    """Shrink a picture (height, width, 3) by a whole factor, at most 256: means of `side` x `side` pixels.

    What does not make a whole square is lost at the right and at the bottom, as far as squares are left. `thinned`
    asks two rows of four alone, which takes half as long.
    """
    height, width = pixels.shape[:2]
    tall, wide = min(side, height), min(side, width)
    out = np.empty((height // tall, width // wide, 3), np.uint8)
    _average_whole(np.ascontiguousarray(pixels), tall, wide, 4 if thinned else 2, out)
    return out


@_compiled
def _average_whole(pixels: Any, tall: int, wide: int, step: int, out: Any) -> None:
    """`boxed`: sums of whole rows first, two of every `step` rows at a time, in 16 bits."""
    rows, columns = out.shape[:2]
    used = 3 * columns * wide
    sums = np.empty(used, np.uint16)
    asked = tall if step == 2 or tall == 1 else 2 * ((tall + 2) // 4)
    three, half, scale = np.uintp(3), np.float32(0.5), np.float32(1.0 / (asked * wide))
    for y in range(rows):
        sums[:] = 0
        for number in range(0, tall - 1, step):
            upper, lower = _row(pixels, y * tall + number), _row(pixels, y * tall + number + 1)
            for k in range(used):
                sums[k] = np.uint16(sums[k] + np.uint16(np.uint16(upper[k]) + np.uint16(lower[k])))
        if asked % 2:
            upper = _row(pixels, y * tall + tall - 1)
            for k in range(used):
                sums[k] = np.uint16(sums[k] + np.uint16(upper[k]))
        for x in range(columns):
            red, green, blue = 0, 0, 0
            first = np.uintp(3 * x * wide)
            for number in range(wide):
                at = first + np.uintp(number) * three
                red += sums[at]
                green += sums[at + np.uintp(1)]
                blue += sums[at + np.uintp(2)]
            out[y, x, 0] = np.float32(red) * scale + half
            out[y, x, 1] = np.float32(green) * scale + half
            out[y, x, 2] = np.float32(blue) * scale + half


@_compiled
def _row(pixels: Any, y: int) -> Any:
    return pixels[y].reshape(pixels.shape[1] * pixels.shape[2])


@_compiled
def _average(pixels: Any, down: float, across: float, out: Any) -> None:
    """`averaged`, row by row."""
    height, width, channels = pixels.shape
    rows, columns = out.shape[:2]
    taps = int(np.ceil(across)) + 1
    places = np.empty(columns * channels, np.uint32)
    weights = np.zeros((taps, columns * channels), np.float32)
    for x in range(columns):
        begin, end = x * across, min((x + 1) * across, width * 1.0)
        first = min(int(begin), width - 1)
        for channel in range(channels):
            k = x * channels + channel
            places[k] = first * channels + channel
            for tap in range(taps):
                covered = min(end, first + tap + 1.0) - max(begin, first + tap * 1.0)
                weights[tap, k] = max(covered, 0.0) / (end - begin)
    # Beyond the last pixel there are zeros, which weigh nothing.
    line = np.zeros((width + taps) * channels, np.float32)
    whole = line[: width * channels]
    total = np.empty(columns * channels, np.float32)
    for y in range(rows):
        begin, end = y * down, min((y + 1) * down, height * 1.0)
        top = min(int(begin), height - 1)
        for row in range(top, min(int(np.ceil(end)), height)):
            weight = np.float32((min(end, row + 1.0) - max(begin, row * 1.0)) / (end - begin))
            source = pixels[row].reshape(width * channels)
            if row == top:
                for k in range(whole.shape[0]):
                    whole[k] = weight * np.float32(source[k])
            else:
                for k in range(whole.shape[0]):
                    whole[k] += weight * np.float32(source[k])
        one, two = weights[0], weights[1]
        for k in range(total.shape[0]):
            at = places[k]
            total[k] = one[k] * line[at] + two[k] * line[at + np.uint32(channels)]
        for tap in range(2, taps):
            one, beside = weights[tap], line[tap * channels :]
            for k in range(total.shape[0]):
                total[k] += one[k] * beside[places[k]]
        there = out[y].reshape(columns * channels)
        if out.itemsize == 4:
            there[:] = total
        else:
            for k in range(total.shape[0]):
                there[k] = np.int32(np.rint(total[k]))
