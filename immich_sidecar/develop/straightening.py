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
#: Values of a row (columns times channels), and rows of the result, that are made at once; what lies between the passes
#: then stays in the cache.
_VALUES, _ROWS = 1536, 64
#: Values that are made at once, even where the last of them are not wanted: loops of a fixed length have no remainder.
_PIECE = 32
#: How far rows lie apart in memory that is worked in. Compilers know it, so they see that rows do not overlap.
_STRIDE = _VALUES + _PIECE
#: Rows of the result that are made together, so that what they share is read once.
_TOGETHER = 4
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
    columns = min(_VALUES // channels, out.shape[1])
    source = np.zeros(channels * (int(columns * abs(along)) + 8) + _PIECE, np.float32)
    ramp = np.zeros(channels * columns + _PIECE, np.float32)
    for k in range(ramp.shape[0]):
        ramp[k] = (along - 1.0) * (k // channels)
    most = int(columns * abs(d) + min(_ROWS, out.shape[0]) * abs(e)) + 8
    between = np.zeros(most * _STRIDE, np.float32)
    weights = np.zeros(4 * _STRIDE, np.float32)
    block = np.empty(_ROWS * _STRIDE, out.dtype)
    rows = np.empty(columns, np.int64)
    for y0 in range(0, out.shape[0], _ROWS):
        y1 = min(y0 + _ROWS, out.shape[0])
        for x0 in range(0, out.shape[1], columns):
            x1 = min(x0 + columns, out.shape[1])
            low = min(d * x0, d * (x1 - 1)) + e * y0 + ty
            high = max(d * x0, d * (x1 - 1)) + e * (y1 - 1) + ty
            first = int(np.floor(low)) - 2
            for y in range(first, int(np.floor(high)) + 4):
                _along_row(pixels, y, along, across * y + start, x0, x1, ramp, source, between[(y - first) * _STRIDE :])
            _along_columns(between, first, d, e, ty, x0, x1, y0, y1, channels, rows, weights, block, lines)


@_compiled
def _along_row(
    pixels: Any, y: int, along: float, start: float, x0: int, x1: int, ramp: Any, source: Any, out: Any
) -> None:
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
    drift, step = along - 1.0, np.uintp(channels)
    slope, other = np.float32(_SLOPE), np.float32(_SLOPE + 2.0)
    x = x0
    while x < x1:
        place = along * x + start
        whole = int(np.floor(place))
        part = np.float32(place - whole)
        # So many columns have the same two columns of `pixels` about them, one further on each.
        run = (1.0 - part if drift > 0.0 else part) / abs(drift) if drift != 0.0 else np.inf
        end = x + max(1, int(np.ceil(min(run, x1 - x))))
        count = ((end - x) * channels + _PIECE - 1) // _PIECE * _PIECE
        one, to = np.uintp((whole - 1 - left) * channels), np.uintp((x - x0) * channels)
        two, three, four = one + step, one + step + step, one + step + step + step
        for at in range(count):
            i = np.uintp(at)
            t = part + ramp[i]
            here, after = source[two + i], source[three + i]
            rise = here - after
            cubic = slope * (source[one + i] - source[four + i]) + other * rise
            linear = slope * (source[one + i] - after)
            out[to + i] = here + t * (linear + t * (t * cubic - ((cubic + linear) + rise)))
        x = end


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
    top = np.float32(255.0 if out.itemsize == 1 else 65535.0)
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
                weights[k], weights[_STRIDE + k], weights[2 * _STRIDE + k], weights[3 * _STRIDE + k] = w0, w1, w2, w3
        begin = 0
        while begin < width:
            stop = begin + 1
            while stop < width and rows[stop] == rows[begin]:
                stop += 1
            # What is made too much is made again by the columns that follow.
            here = begin * channels
            there = here + ((stop - begin) * channels + _PIECE - 1) // _PIECE * _PIECE
            _interpolate(between, rows[begin], weights, here, there, end - y, top, block)
            begin = stop
        for row in range(y, end):
            line, there = block[(row - y) * _STRIDE :], out[row, x0 * channels : x1 * channels]
            for k in range(there.shape[0]):
                there[k] = line[k]


@_compiled
def _interpolate(
    between: Any, first: int, weights: Any, begin: int, stop: int, count: int, top: Any, block: Any
) -> None:
    """Values `begin` to `stop` of `count` rows of the result, the first from four rows of `between` from `first` on."""
    half, zero = np.float32(0.5), np.float32(0.0)
    n = stop - begin
    w = weights[begin : stop + 3 * _STRIDE]
    row = 0
    while row + _TOGETHER <= count:
        s = between[(first + row) * _STRIDE + begin : (first + row + 6) * _STRIDE + stop]
        out = block[row * _STRIDE + begin : (row + 3) * _STRIDE + stop]
        for k in range(n):
            w0, w1, w2, w3 = w[k], w[k + _STRIDE], w[k + 2 * _STRIDE], w[k + 3 * _STRIDE]
            a, b, c, d = s[k], s[k + _STRIDE], s[k + 2 * _STRIDE], s[k + 3 * _STRIDE]
            e, f, g = s[k + 4 * _STRIDE], s[k + 5 * _STRIDE], s[k + 6 * _STRIDE]
            one = (w0 * a + w1 * b) + (w2 * c + (w3 * d + half))
            two = (w0 * b + w1 * c) + (w2 * d + (w3 * e + half))
            three = (w0 * c + w1 * d) + (w2 * e + (w3 * f + half))
            four = (w0 * d + w1 * e) + (w2 * f + (w3 * g + half))
            out[k] = np.int32(min(max(one, zero), top))
            out[k + _STRIDE] = np.int32(min(max(two, zero), top))
            out[k + 2 * _STRIDE] = np.int32(min(max(three, zero), top))
            out[k + 3 * _STRIDE] = np.int32(min(max(four, zero), top))
        row += _TOGETHER
    while row < count:
        s = between[(first + row) * _STRIDE + begin : (first + row + 3) * _STRIDE + stop]
        out = block[row * _STRIDE + begin : row * _STRIDE + stop]
        for k in range(n):
            w0, w1, w2, w3 = w[k], w[k + _STRIDE], w[k + 2 * _STRIDE], w[k + 3 * _STRIDE]
            a, b, c, d = s[k], s[k + _STRIDE], s[k + 2 * _STRIDE], s[k + 3 * _STRIDE]
            out[k] = np.int32(min(max((w0 * a + w1 * b) + (w2 * c + (w3 * d + half)), zero), top))
        row += 1


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
