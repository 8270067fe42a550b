"""The compiled inner loops of noise removal: a sliding cosine transform whose small coefficients are dropped.

Every block of 8 x 8 pixels, one at each column and at every third row, is transformed, coefficients below a
threshold are set to zero, and what comes back is averaged over the blocks that cover a pixel, those with few
coefficients left (which are smooth, and so surer) weighing more. G. Yu and G. Sapiro, "DCT image denoising: a
simple and effective image denoising algorithm" (IPOL 2011); the weights are those of A. Foi, V. Katkovnik, K.
Egiazarian, "Pointwise shape-adaptive DCT" (2007). All blocks of a row are worked on together, so that the loops
run along the row and become vector instructions. Importing this module imports numba.
"""

import math
from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled_exactly, compiled_loop_exactly

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Side of a block, and rows from one row of blocks to the next.
BLOCK, STEP = 8, 3
#: Columns that are worked on at a time, so that all their coefficients fit the second-level cache.
_PIECE = 512
#: How far the rows of a piece lie apart that is added up: it has 7 noughts to each side.
_STRIDE = _PIECE + 16
_C1, _C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(0.5 * math.cos(k * math.pi / 16)) for k in range(1, 8))
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@compiled_exactly
def without_noise(plane: Any, threshold: Any, out: Any) -> None:
    """Remove white noise from a plane.

    `plane` (rows, columns) float32, both at least 8, with 8 pixels more at each side than are wanted; coefficients
    smaller than `threshold` (float32; a multiple of the noise's deviation) go; `out` like `plane`.
    """
    height, width = plane.shape
    weights = np.empty(((height - 8) // STEP + 1, width), np.float32)
    rows = np.empty((8, width), np.float32)
    clean = np.empty((8, width + 8), np.float32)
    weight = np.empty(width + 8, np.float32)
    block = np.empty((8, 9, _PIECE), np.float32)
    part = np.zeros(8 * _STRIDE, np.float32)
    count = np.zeros(_STRIDE, np.float32)
    limit = threshold * threshold
    blocks = width - 7
    out[:] = _ZERO
    y = 0
    while y + 8 <= height:
        _down(plane[y : y + 8], rows, width)
        clean[:] = _ZERO
        weight[:] = _ZERO
        for x0 in range(0, blocks, _PIECE):
            n = min(_PIECE, blocks - x0)
            for k in range(8):
                _across(rows[k, x0:], block[k], limit, np.float32(-1.0) if k == 0 else limit, n)
            for x in range(n):
                stay = block[0, 8, x] + block[1, 8, x] + block[2, 8, x] + block[3, 8, x]
                stay += block[4, 8, x] + block[5, 8, x] + block[6, 8, x] + block[7, 8, x]
                count[x + 7] = _ONE / stay
            count[n + 7 : n + 14] = _ZERO
            for k in range(8):
                _back_across(block[k], count, part, n)
                _add_shifted(part, clean[k, x0:], n)
            _add_weights(count, weight[x0:], n)
        _back_down(clean, out[y : y + 8], width)
        whole = weights[y // STEP]
        for x in range(width):
            whole[x] = weight[x]
        y += STEP
    for y in range(height):
        # Rows of blocks that cover this one: two or three, but at the border.
        first, last = max(0, (y - 8) // STEP + 1), min(y // STEP, weights.shape[0] - 1)
        if first > last:
            continue
        two, three = min(first + 1, last), min(first + 2, last)
        also_two, also_three = np.float32(last > first), np.float32(last > first + 1)
        line, one, second, third = out[y], weights[first], weights[two], weights[three]
        for x in range(width):
            line[x] /= one[x] + also_two * second[x] + also_three * third[x]


@compiled_loop_exactly
def _forward(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The orthonormal cosine transform of eight numbers (type II)."""
    s0, s1, s2, s3 = a + h, b + g, c + f, d + e
    d0, d1, d2, d3 = a - h, b - g, c - f, d - e
    t0, t1, u0, u1 = s0 + s3, s1 + s2, s0 - s3, s1 - s2
    return (
        (t0 + t1) * (_C4),
        _C1 * d0 + _C3 * d1 + _C5 * d2 + _C7 * d3,
        _C2 * u0 + _C6 * u1,
        _C3 * d0 - _C7 * d1 - _C1 * d2 - _C5 * d3,
        (t0 - t1) * (_C4),
        _C5 * d0 - _C1 * d1 + _C7 * d2 + _C3 * d3,
        _C6 * u0 - _C2 * u1,
        _C7 * d0 - _C5 * d1 + _C3 * d2 - _C1 * d3,
    )


@compiled_loop_exactly
def _backward(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """The inverse of `_forward`."""
    p, q = (a + e) * _C4, (a - e) * _C4
    r, s = _C2 * c + _C6 * g, _C6 * c - _C2 * g
    t0, t1, t2, t3 = p + r, q + s, q - s, p - r
    o0 = _C1 * b + _C3 * d + _C5 * f + _C7 * h
    o1 = _C3 * b - _C7 * d - _C1 * f - _C5 * h
    o2 = _C5 * b - _C1 * d + _C7 * f + _C3 * h
    o3 = _C7 * b - _C5 * d + _C3 * f - _C1 * h
    return (t0 + o0, t1 + o1, t2 + o2, t3 + o3, t3 - o3, t2 - o2, t1 - o1, t0 - o0)


@compiled_loop_exactly
def _down(plane: Any, out: Any, n: int) -> None:
    """Transform eight rows, column by column."""
    r0, r1, r2, r3, r4, r5, r6, r7 = plane[0], plane[1], plane[2], plane[3], plane[4], plane[5], plane[6], plane[7]
    o0, o1, o2, o3, o4, o5, o6, o7 = out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7]
    for x in range(n):
        o0[x], o1[x], o2[x], o3[x], o4[x], o5[x], o6[x], o7[x] = _forward(
            r0[x], r1[x], r2[x], r3[x], r4[x], r5[x], r6[x], r7[x]
        )


@compiled_loop_exactly
def _back_down(plane: Any, out: Any, n: int) -> None:
    """Transform eight rows back, column by column, and add them to `out`."""
    r0, r1, r2, r3, r4, r5, r6, r7 = plane[0], plane[1], plane[2], plane[3], plane[4], plane[5], plane[6], plane[7]
    o0, o1, o2, o3, o4, o5, o6, o7 = out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7]
    for x in range(n):
        a, b, c, d, e, f, g, h = _backward(r0[x], r1[x], r2[x], r3[x], r4[x], r5[x], r6[x], r7[x])
        o0[x] += a
        o1[x] += b
        o2[x] += c
        o3[x] += d
        o4[x] += e
        o5[x] += f
        o6[x] += g
        o7[x] += h


@compiled_loop_exactly
def _across(row: Any, out: Any, limit: Any, first_limit: Any, n: int) -> None:
    """Transform the eight numbers from each place of a row on, and drop those whose square is below a limit.

    Row 8 of `out` is how many stay. (Eight branches instead of a loop, and one array for everything that is
    written: so it becomes vector instructions.)
    """
    o0, o1, o2, o3, o4, o5, o6, o7, o8 = out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7], out[8]
    for x in range(n):
        a, b, c, d, e, f, g, h = _forward(
            row[x], row[x + 1], row[x + 2], row[x + 3], row[x + 4], row[x + 5], row[x + 6], row[x + 7]
        )
        stay = _ZERO
        if a * a > first_limit:
            stay += _ONE
        else:
            a = _ZERO
        if b * b > limit:
            stay += _ONE
        else:
            b = _ZERO
        if c * c > limit:
            stay += _ONE
        else:
            c = _ZERO
        if d * d > limit:
            stay += _ONE
        else:
            d = _ZERO
        if e * e > limit:
            stay += _ONE
        else:
            e = _ZERO
        if f * f > limit:
            stay += _ONE
        else:
            f = _ZERO
        if g * g > limit:
            stay += _ONE
        else:
            g = _ZERO
        if h * h > limit:
            stay += _ONE
        else:
            h = _ZERO
        o0[x], o1[x], o2[x], o3[x], o4[x], o5[x], o6[x], o7[x] = a, b, c, d, e, f, g, h
        o8[x] = stay


@compiled_loop_exactly
def _back_across(block: Any, weight: Any, out: Any, n: int) -> None:
    """The inverse of `_across`, times a weight of each place; eight rows, each from place 7 on and then noughts."""
    r0, r1, r2, r3, r4, r5, r6, r7 = block[0], block[1], block[2], block[3], block[4], block[5], block[6], block[7]
    for x in range(n):
        a, b, c, d, e, f, g, h = _backward(r0[x], r1[x], r2[x], r3[x], r4[x], r5[x], r6[x], r7[x])
        w = weight[x + 7]
        out[x + 7], out[x + 7 + _STRIDE], out[x + 7 + 2 * _STRIDE], out[x + 7 + 3 * _STRIDE] = (
            a * w,
            b * w,
            c * w,
            d * w,
        )
        out[x + 7 + 4 * _STRIDE], out[x + 7 + 5 * _STRIDE] = e * w, f * w
        out[x + 7 + 6 * _STRIDE], out[x + 7 + 7 * _STRIDE] = g * w, h * w
    for k in range(8):
        for x in range(n + 7, n + 14):
            out[k * _STRIDE + x] = _ZERO


@compiled_loop_exactly
def _add_shifted(part: Any, out: Any, n: int) -> None:
    """Add row k of `part` (see `_back_across`) to `out`, k places further."""
    for x in range(n + 7):
        near = (part[x + 7] + part[x + 6 + _STRIDE]) + (part[x + 5 + 2 * _STRIDE] + part[x + 4 + 3 * _STRIDE])
        far = (part[x + 3 + 4 * _STRIDE] + part[x + 2 + 5 * _STRIDE]) + (
            part[x + 1 + 6 * _STRIDE] + part[x + 7 * _STRIDE]
        )
        out[x] += near + far


@compiled_loop_exactly
def _add_weights(count: Any, out: Any, n: int) -> None:
    """Add the weight of each block (from place 7 on, noughts about them) to the eight columns that it covers."""
    for x in range(n + 7):
        near = (count[x] + count[x + 1]) + (count[x + 2] + count[x + 3])
        out[x] += near + ((count[x + 4] + count[x + 5]) + (count[x + 6] + count[x + 7]))


@compiled_exactly
def split(red: Any, green: Any, blue: Any, stable: Any, luma: Any, cb: Any, cr: Any) -> None:
    """Display values to luma on a scale of even noise, and colour differences (JFIF) in code values.

    `red`, `green`, `blue` (rows, columns) uint8; `stable` float32, by four times luma; the rest float32.
    """
    n = red.shape[1]
    place = np.empty(n, np.int32)
    light = np.empty(n, np.float32)
    for y in range(red.shape[0]):
        row_r, row_g, row_b, row_cb, row_cr, row_y = red[y], green[y], blue[y], cb[y], cr[y], luma[y]
        for x in range(n):
            light[x] = (
                np.float32(0.299) * np.float32(row_r[x])
                + np.float32(0.587) * np.float32(row_g[x])
                + np.float32(0.114) * np.float32(row_b[x])
            )
        for x in range(n):
            row_cb[x] = (np.float32(row_b[x]) - light[x]) * np.float32(1.0 / 1.772)
        for x in range(n):
            row_cr[x] = (np.float32(row_r[x]) - light[x]) * np.float32(1.0 / 1.402)
        for x in range(n):
            place[x] = np.int32(light[x] * np.float32(4.0) + _HALF)
        for x in range(n):
            row_y[x] = stable[np.uint32(place[x])]


@compiled_exactly
def join(red: Any, green: Any, blue: Any, luma: Any, scale: Any, unstable: Any, kept: Any, cb: Any, cr: Any) -> None:
    """The inverse of `split`, in place, with a part `kept` of the luma that was there.

    `unstable` is luma by `scale` times the stable scale.
    """
    n = red.shape[1]
    last, top = np.float32(unstable.shape[0] - 2), np.float32(255.0)
    clean = np.empty(n, np.float32)
    place = np.empty(n, np.int32)
    for y in range(red.shape[0]):
        row_r, row_g, row_b, row_cb, row_cr, row_y = red[y], green[y], blue[y], cb[y], cr[y], luma[y]
        for x in range(n):
            at = min(max(row_y[x] * scale, _ZERO), last)
            k = np.int32(at)
            place[x], clean[x] = k, at - np.float32(k)
        for x in range(n):
            here = np.uint32(place[x])
            clean[x] = unstable[here] + (unstable[here + np.uint32(1)] - unstable[here]) * clean[x]
        for x in range(n):
            before = (
                np.float32(0.299) * np.float32(row_r[x])
                + np.float32(0.587) * np.float32(row_g[x])
                + np.float32(0.114) * np.float32(row_b[x])
            )
            clean[x] += (before - clean[x]) * kept + _HALF
        for x in range(n):
            row_r[x] = np.uint8(np.int32(min(max(clean[x] + np.float32(1.402) * row_cr[x], _ZERO), top)))
        for x in range(n):
            row_b[x] = np.uint8(np.int32(min(max(clean[x] + np.float32(1.772) * row_cb[x], _ZERO), top)))
        for x in range(n):
            value = clean[x] - np.float32(0.344136) * row_cb[x] - np.float32(0.714136) * row_cr[x]
            row_g[x] = np.uint8(np.int32(min(max(value, _ZERO), top)))


@compiled_exactly
def take_fine(plane: Any, half: Any, energy: Any) -> None:
    """Leave of a plane (rows, columns; both even) what is finer than `half`, its means of 2 x 2, say when enlarged.

    `energy`, as large as `half`, becomes the mean square of that.
    """
    columns = half.shape[1]
    between, wide = np.empty(columns, np.float32), np.empty(2 * columns, np.float32)
    quarter = np.float32(0.25)
    for y in range(plane.shape[0]):
        row, sums = plane[y], energy[y // 2]
        _enlarged(half, y, between, wide)
        for x in range(2 * columns):
            row[x] -= wide[x]
        if y % 2 == 0:
            for x in range(columns):
                sums[x] = quarter * (row[2 * x] * row[2 * x] + row[2 * x + 1] * row[2 * x + 1])
        else:
            for x in range(columns):
                sums[x] += quarter * (row[2 * x] * row[2 * x] + row[2 * x + 1] * row[2 * x + 1])


@compiled_exactly
def keep_detail(plane: Any, smooth: Any, energy: Any, limit: Any) -> None:
    """`smooth`, enlarged, plus `plane` as far as its `energy` around passes `limit`; in place of `plane`.

    `smooth` and `energy` have half as many rows and columns as `plane`.
    """
    columns = smooth.shape[1]
    between, part = np.empty(columns, np.float32), np.empty(columns, np.float32)
    wide, wide_part = np.empty(2 * columns, np.float32), np.empty(2 * columns, np.float32)
    kept = np.empty(energy.shape, np.float32)
    for y in range(energy.shape[0]):
        row, told = kept[y], energy[y]
        for x in range(columns):
            row[x] = max(_ONE - limit / (told[x] + np.float32(1e-6)), _ZERO)
    for y in range(plane.shape[0]):
        row = plane[y]
        _enlarged(smooth, y, between, wide)
        _enlarged(kept, y, part, wide_part)
        for x in range(2 * columns):
            row[x] = wide[x] + row[x] * wide_part[x]


@compiled_loop_exactly
def _enlarged(half: Any, y: int, between: Any, out: Any) -> None:
    """Row `y` of a plane made twice as large by bilinear interpolation; `between` is memory for a row of `half`."""
    near, last = y // 2, half.shape[0] - 1
    far = max(near - 1, 0) if y % 2 == 0 else min(near + 1, last)
    row, other, end = half[near], half[far], between.shape[0] - 1
    much, little = np.float32(0.75), np.float32(0.25)
    for x in range(end + 1):
        between[x] = much * row[x] + little * other[x]
    for x in range(1, end):
        out[2 * x] = much * between[x] + little * between[x - 1]
        out[2 * x + 1] = much * between[x] + little * between[x + 1]
    out[0], out[2 * end + 1] = between[0], between[end]
    if end > 0:
        out[1] = much * between[0] + little * between[1]
        out[2 * end] = much * between[end] + little * between[end - 1]
