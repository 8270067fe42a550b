"""Turning by a small angle in two passes, first along rows, then along columns.

Catmull and Smith, "3-D transformations of images in scanline order" (1980): what moves every pixel by an affine map
moves it along its row first and along its column then. Each pass is an interpolation in one dimension (Keys, "Cubic
convolution interpolation", 1981) of neighbours that lie side by side in memory, for which compilers make vector
instructions, whereas a table of places cannot be read so. Over some pixels places drift apart by so little that they
share their weights (see `_SAME`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.compiled import compiled as _compiled

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Places that are so many pixels apart, as a part of a pixel between them, are interpolated with the same weights.
_SAME = 1.0 / 64.0
#: Columns and rows of the result that are made at once; what lies between the passes then stays in the cache.
_COLUMNS, _ROWS = 512, 64
#: Values that are made at once, even where the last of them are not wanted: loops of a fixed length have no remainder.
_PIECE = 32
#: The slope of the cubic at its outer neighbours: of -0.5, -0.65 and -0.75 the one that leaves the least error beside
#: photos that were turned when they still had four times the size.
_SLOPE = -0.65


def straightened(pixels: NDArray[Any], way: NDArray[np.float64], size: tuple[int, int]) -> NDArray[Any]:
    """Move pixels by an affine map that turns by a small angle.

    Parameters
    ----------
    pixels
        Shape (height, width, channels), `uint8` or `uint16`, at least 8 pixels a side.
    way
        2x3: pixel coordinates (x, y, 1) of the result to those of `pixels`; the centre of the first pixel is (0, 0).
        Its diagonal is near 1.
    size
        Width and height of the result. Beyond their border `pixels` are reflected.
    """
    out: NDArray[Any] = np.empty((size[1], size[0], pixels.shape[2]), pixels.dtype)
    _straighten(np.ascontiguousarray(pixels), np.ascontiguousarray(way, np.float64), out)
    return out


@_compiled
def _straighten(pixels: Any, way: Any, out: Any) -> None:
    """`straightened`, block by block."""
    channels = pixels.shape[2]
    lines = out.reshape(out.shape[0], out.shape[1] * channels)
    a, b, tx = way[0, 0], way[0, 1], way[0, 2]
    d, e, ty = way[1, 0], way[1, 1], way[1, 2]
    # Along a row of `pixels`: x of `pixels` = along * x of the result + across * y of `pixels` + start.
    along, across = a - b * d / e, b / e
    start = tx - across * ty
    columns = min(_COLUMNS, out.shape[1])
    source = np.zeros(channels * (int(columns * abs(along)) + 8) + _PIECE, np.float32)
    most = int(columns * abs(d) + min(_ROWS, out.shape[0]) * abs(e)) + 8
    between = np.zeros((most, channels * columns + _PIECE), np.float32)
    weights = np.zeros((4, channels * columns + _PIECE), np.float32)
    block = np.empty((_ROWS, channels * columns + _PIECE), np.float32)
    rows = np.empty(columns, np.int64)
    for y0 in range(0, out.shape[0], _ROWS):
        y1 = min(y0 + _ROWS, out.shape[0])
        for x0 in range(0, out.shape[1], _COLUMNS):
            x1 = min(x0 + _COLUMNS, out.shape[1])
            low = min(d * x0, d * (x1 - 1)) + e * y0 + ty
            high = max(d * x0, d * (x1 - 1)) + e * (y1 - 1) + ty
            first = int(np.floor(low)) - 2
            for y in range(first, int(np.floor(high)) + 4):
                _along_row(pixels, y, along, across * y + start, x0, x1, source, between[y - first])
            _along_columns(between, first, d, e, ty, x0, x1, y0, y1, channels, rows, weights, block, lines)


@_compiled
def _along_row(pixels: Any, y: int, along: float, start: float, x0: int, x1: int, source: Any, out: Any) -> None:
    """Columns `x0` to `x1` of the result on row `y` of `pixels`."""
    height, width, channels = pixels.shape
    row = pixels[_reflected(y, height)].reshape(width * channels)
    left = int(np.floor(along * x0 + start)) - 2
    count = int(np.floor(along * (x1 - 1) + start)) + 5 - left
    if left >= 0 and left + count <= width:
        within = row[left * channels : (left + count) * channels]
        for k in range(within.shape[0]):
            source[k] = np.float32(within[k])
    else:
        for k in range(count):
            at = _reflected(left + k, width) * channels
            for channel in range(channels):
                source[k * channels + channel] = np.float32(row[at + channel])
    drift = abs(along - 1.0)
    run = x1 - x0 if drift * (x1 - x0) <= _SAME else max(1, int(_SAME / drift))
    for x in range(x0, x1, run):
        end = min(x + run, x1)
        place = along * (0.5 * (x + end - 1)) + start - 0.5 * (end - 1 - x)
        whole = int(np.floor(place))
        w0, w1, w2, w3 = _weights(place - whole)
        here = source[(whole - 1 - left) * channels :]
        one, two, three = here[channels:], here[2 * channels :], here[3 * channels :]
        count = ((end - x) * channels + _PIECE - 1) // _PIECE * _PIECE
        there = out[(x - x0) * channels : (x - x0) * channels + count]
        for k in range(there.shape[0]):
            there[k] = (w0 * here[k] + w1 * one[k]) + (w2 * two[k] + w3 * three[k])


@_compiled
def _along_columns(
    between: Any,
    first: int,
    d: float,
    e: float,
    ty: float,
    x0: int,
    x1: int,
    y0: int,
    y1: int,
    channels: int,
    rows: Any,
    weights: Any,
    block: Any,
    out: Any,
) -> None:
    """A block of the result from what the first pass left, whose first row is row `first` of the picture."""
    zero, top = np.float32(0.0), np.float32(255.0 if out.itemsize == 1 else 65535.0)
    width = x1 - x0
    drift = abs(e - 1.0)
    run = y1 - y0 if drift * (y1 - y0) <= _SAME else max(1, int(_SAME / drift))
    for y in range(y0, y1, run):
        end = min(y + run, y1)
        middle = e * (0.5 * (y + end - 1)) + ty - 0.5 * (end - 1 - y)
        for x in range(x0, x1):
            place = d * x + middle
            whole = int(np.floor(place))
            rows[x - x0] = whole - 1 - first
            w0, w1, w2, w3 = _weights(place - whole)
            for k in range((x - x0) * channels, (x - x0 + 1) * channels):
                weights[0, k], weights[1, k], weights[2, k], weights[3, k] = w0, w1, w2, w3
        begin = 0
        while begin < width:
            stop = begin + 1
            while stop < width and rows[stop] == rows[begin]:
                stop += 1
            # What is made too much is made again by the columns that follow.
            here = begin * channels
            there = here + ((stop - begin) * channels + _PIECE - 1) // _PIECE * _PIECE
            _interpolate(between, rows[begin], weights, here, there, end - y, block)
            begin = stop
        for row in range(y, end):
            line, there = block[row - y], out[row, x0 * channels : x1 * channels]
            for k in range(there.shape[0]):
                there[k] = np.int32(min(max(line[k], zero), top))


@_compiled
def _interpolate(between: Any, first: int, weights: Any, begin: int, stop: int, count: int, out: Any) -> None:
    """Columns of some rows of the result, and a half: the first row from four rows of `between` from `first` on."""
    w0, w1, w2, w3 = weights[0, begin:stop], weights[1, begin:stop], weights[2, begin:stop], weights[3, begin:stop]
    for row in range(count):
        one, two = between[first + row, begin:stop], between[first + row + 1, begin:stop]
        three, four = between[first + row + 2, begin:stop], between[first + row + 3, begin:stop]
        there = out[row, begin:stop]
        for k in range(there.shape[0]):
            there[k] = (w0[k] * one[k] + w1[k] * two[k]) + (w2[k] * three[k] + (w3[k] * four[k] + np.float32(0.5)))


@_compiled
def _weights(part: float) -> Any:
    """Weights of the four neighbours of a place that lies `part` of a pixel behind the second."""
    s, t = _SLOPE, part
    w0 = ((s * t - 2.0 * s) * t + s) * t
    w1 = ((s + 2.0) * t - (s + 3.0)) * t * t + 1.0
    w3 = (-s * t + s) * t * t
    return np.float32(w0), np.float32(w1), np.float32(1.0 - w0 - w1 - w3), np.float32(w3)


@_compiled
def _reflected(place: int, length: int) -> int:
    """A place inside of `length`, the border being a mirror through the outermost pixels."""
    period = 2 * (length - 1)
    place = abs(place) % period
    return period - place if place >= length else place
