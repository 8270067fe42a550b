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

from immich_sidecar.develop import aligned
from immich_sidecar.develop.borders import mirrored
from immich_sidecar.develop.compiled import compiled, compiled_loop
from immich_sidecar.develop.overwriting import Overwritten
from immich_sidecar.develop.picture_memory import picture

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Places that are so many pixels apart, as a part of a pixel between them, are interpolated with the same weights.
_SAME = 1.0 / 64.0
#: Values of a row (columns times channels), and rows of the result, that are made at once; what lies between the passes
#: then stays in the cache.
_VALUES, _ROWS = 3072, 88
#: By so many pixels the height of a place may change over such a block beyond one pixel a row: so far the cubic between
#: its two neighbours is read beyond them.
_SKEWED = 1.0 / 32.0
#: Values that are made at once, even where the last of them are not wanted: loops of a fixed length have no remainder.
_PIECE = 32
#: How far rows lie apart in memory that is worked in. Compilers know it, so they see that rows do not overlap.
_STRIDE = _VALUES + _PIECE
#: So many rows a block may slant at most: all of its rows shall stay in the cache.
_SLANT = 64
#: Rows of the result that are made together, so that what they share is read once.
_TOGETHER = 4
#: Rows, at least, that are made at a time where they are written over what they are made of, and how many of those lie
#: around a place at most.
_STRIP, _AROUND = 256, 8
#: The slope of the cubic at its outer neighbours: of -0.5, -0.65 and -0.75 the one that leaves the least error beside
#: photos that were turned when they still had four times the size.
_SLOPE = -0.65


def straightened(
    pixels: NDArray[Any], way: NDArray[np.float64], size: tuple[int, int], *, over: bool = False
) -> NDArray[Any]:
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
    over
        Whether the result may be written over `pixels`.
    """
    pixels, way = np.ascontiguousarray(pixels), np.ascontiguousarray(way, np.float64)
    shape = (size[1], size[0], pixels.shape[2])
    drift = abs(way[1, 1] - 1.0)
    most = _ROWS if drift * _ROWS <= _SKEWED else max(1, int(_SKEWED / drift))
    if not over or int(np.prod(shape)) > pixels.size:
        out = picture(shape, pixels.dtype)
        _straighten(pixels, way, most, 0, out)
        return out
    whole = Overwritten(pixels, shape)
    # Whole blocks, so that they are the same ones.
    step = most * -(-_STRIP // most)
    for first in range(0, size[1], step):
        rows = np.empty((min(step, size[1] - first), *shape[1:]), pixels.dtype)
        _straighten(pixels, way, most, first, rows)
        whole.add(rows, _needed(len(pixels), way, first + step, size))
    return whole.finished()


def _needed(height: int, way: NDArray[np.float64], first: int, size: tuple[int, int]) -> int:
    """The first of so many rows that rows of the result are made of, from one of them on."""
    places = [way[1, 0] * x + way[1, 1] * y + way[1, 2] for x in (0, size[0] - 1) for y in (first, size[1] - 1)]
    mirrored_lowest = 2 * (height - 1) - max(places)
    return max(0, int(min(*places, mirrored_lowest)) - _AROUND)


@compiled
def _straighten(pixels: Any, way: Any, most: int, first_row: int, out: Any) -> None:
    """`straightened`, block by block of `most` rows; `out` are those of the result from `first_row` on."""
    height, width, channels = out.shape
    a, b, tx = way[0, 0], way[0, 1], way[0, 2]
    d, e, ty = way[1, 0], way[1, 1], way[1, 2]
    # Along a row of `pixels`: x of `pixels` = along * x of the result + across * y of `pixels` + start.
    along, across = a - b * d / e, b / e
    start = tx - across * ty
    columns = min(_VALUES // channels, width, max(8, int(_SLANT / max(abs(d), 1e-9))))
    source = aligned.zeros(channels * (int(columns * abs(along)) + 8) + _PIECE)
    ramp = aligned.zeros(channels * columns + _PIECE)
    for k in range(ramp.shape[0]):
        ramp[k] = (along - 1.0) * (k // channels)
    drift = abs(e - 1.0)
    # Rows of `pixels` that a block is made of: those of one column, and as many as it slants.
    between = aligned.zeros((most + 3 + _TOGETHER + int(columns * abs(d)) + 2) * _STRIDE)
    weights = aligned.zeros(4 * _STRIDE)
    block = np.zeros(_TOGETHER * _STRIDE, out.dtype)
    part = aligned.zeros(_STRIDE)
    rows, begins = np.zeros(columns + 1, np.int64), np.zeros(columns + 1, np.int64)
    flat, lines = pixels.reshape(pixels.size), out.reshape(out.size)
    for y0 in range(0, height, most):
        count = min(most, height - y0)
        middle = e * (first_row + y0 + 0.5 * (count - 1)) + ty - 0.5 * (count - 1)
        run = count if drift * count <= _SAME else max(_TOGETHER, int(_SAME / drift) // _TOGETHER * _TOGETHER)
        for x0 in range(0, width, columns):
            n = min(columns, width - x0)
            # Columns that have the same row of `pixels` above the first row of the result.
            parts = 0
            for x in range(n):
                place = d * (x0 + x) + middle
                rows[x] = int(np.floor(place)) - 1
                if x == 0 or rows[x] != rows[x - 1]:
                    begins[parts] = x
                    parts += 1
                for channel in range(channels):
                    part[x * channels + channel] = place - (rows[x] + 1)
            begins[parts] = n
            lowest = min(rows[0], rows[n - 1])
            _along_rows(
                flat, pixels.shape, along, across, start, x0, d, rows, begins, parts, count + 3, ramp, source, between
            )
            for first in range(0, count, run):
                last = min(first + run, count)
                _lay_weights(part, (e - 1.0) * 0.5 * (first + last - count), weights)
                for row in range(first, last, _TOGETHER):
                    for which in range(parts):
                        # What is made too much to the right of a part is made again with the next one.
                        x = begins[which]
                        above, wide = row + rows[x] - lowest, (begins[which + 1] - x) * channels
                        _interpolate(between, above * _STRIDE, weights, x * channels, wide, block)
                    for number in range(min(_TOGETHER, last - row)):
                        line = np.uintp(number * _STRIDE)
                        there = np.uintp(((y0 + row + number) * width + x0) * channels)
                        for k in range(n * channels):
                            lines[there + np.uintp(k)] = block[line + np.uintp(k)]


@compiled_loop
def _along_rows(
    pixels: Any,
    shape: Any,
    along: float,
    across: float,
    start: float,
    x0: int,
    d: float,
    rows: Any,
    begins: Any,
    parts: int,
    count: int,
    ramp: Any,
    source: Any,
    out: Any,
) -> None:
    """The first pass of a block.

    `pixels` are laid out flat; `shape` is theirs. `out` gets the rows of them that the block is made of, from the first
    on that any of its columns needs: `count` of them for each column, from that on which `rows` says; no more is made
    than is asked for. `begins` says where each of the `parts` of the block begins whose columns have the same.
    """
    height, width, channels = shape
    drift, step = along - 1.0, np.uintp(channels)
    last = begins[parts] - 1
    lowest, highest = min(rows[0], rows[last]), max(rows[0], rows[last]) + count
    from_part, to_part = 0, 0
    for number in range(lowest, highest):
        y = number if d >= 0.0 else highest - 1 - (number - lowest)
        while to_part < parts and 0 <= y - rows[begins[to_part]] < count:
            to_part += 1
        while not 0 <= y - rows[begins[from_part]] < count:
            from_part += 1
        begin = along * x0 + across * y + start
        left = int(np.floor(along * begins[from_part] + begin)) - 2
        wide = int(np.floor(along * (begins[to_part] - 1) + begin)) + 5 - left
        offset = mirrored(y, height) * width
        # What lies within the picture, with what is made too much, is read where it is.
        is_inside = left >= 0 and left + wide + _PIECE <= width
        here = np.uintp((offset + left) * channels if is_inside else 0)
        if not is_inside:
            for k in range(wide):
                at = (offset + mirrored(left + k, width)) * channels
                for channel in range(channels):
                    source[k * channels + channel] = np.float32(pixels[at + channel])
        x, last_of_all = begins[from_part], begins[to_part]
        line = (y - lowest) * _STRIDE
        while x < last_of_all:
            place = along * x + begin
            whole = int(np.floor(place))
            part = np.float32(place - whole)
            # So many columns have the same two columns of `pixels` about them, one further on each.
            run = (1.0 - part if drift > 0.0 else part) / abs(drift) if drift != 0.0 else np.inf
            end = x + max(1, int(np.ceil(min(run, last_of_all - x))))
            n = ((end - x) * channels + _PIECE - 1) // _PIECE * _PIECE
            one, to = np.uintp((whole - 1 - left) * channels), np.uintp(line + x * channels)
            if is_inside:
                _along(pixels, here + one, step, part, ramp, n, out, to)
            else:
                _along(source, one, step, part, ramp, n, out, to)
            x = end


@compiled_loop
def _along(values: Any, one: Any, step: Any, part: Any, ramp: Any, n: int, out: Any, to: Any) -> None:
    """`n` values of `out` from `to` on, each between the second and the third of four that lie `step` apart.

    The first of them are `values` from `one` on; places lie `part` and `ramp` behind the second.
    """
    slope, other = np.float32(_SLOPE), np.float32(_SLOPE + 2.0)
    two, three, four = one + step, one + step + step, one + step + step + step
    for at in range(n):
        i = np.uintp(at)
        t = part + ramp[i]
        before, near = np.float32(values[one + i]), np.float32(values[two + i])
        after, further = np.float32(values[three + i]), np.float32(values[four + i])
        rise = near - after
        cubic = slope * (before - further) + other * rise
        linear = slope * (before - after)
        out[to + i] = near + t * (linear + t * (t * cubic - ((cubic + linear) + rise)))


@compiled_loop
def _lay_weights(part: Any, more: float, weights: Any) -> None:
    """Weights of the four neighbours of places that lie `part` (and `more`) of a pixel behind the second."""
    s, plus = np.float32(_SLOPE), np.float32(more)
    for k in range(_STRIDE):
        t = part[k] + plus
        w0 = ((s * t - (s + s)) * t + s) * t
        w1 = ((s + np.float32(2.0)) * t - (s + np.float32(3.0))) * t * t + np.float32(1.0)
        w3 = (s - s * t) * t * t
        weights[k], weights[_STRIDE + k] = w0, w1
        weights[2 * _STRIDE + k], weights[3 * _STRIDE + k] = np.float32(1.0) - w0 - w1 - w3, w3


@compiled_loop
def _interpolate(between: Any, row: int, weights: Any, begin: int, n: int, block: Any) -> None:
    """`n` values of `_TOGETHER` rows of the result from `begin` on, the first of rows of `between` from `row` on."""
    half, zero, top = np.float32(0.5), np.float32(0.0), np.float32(255.0 if block.itemsize == 1 else 65535.0)
    s, w, out = between[row + begin :], weights[begin:], block[begin:]
    for k in range((n + _PIECE - 1) // _PIECE * _PIECE):
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
