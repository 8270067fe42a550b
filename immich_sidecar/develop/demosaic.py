"""The compiled inner loops that turn the mosaic of a Bayer sensor into colours, a few rows at a time.

Both ways of interpolating work on square roots of light: colours differ by factors more than by sums, and noise is
even there. Both find green first, by differences of colours along rows and columns, and then the other colours from
those differences. `NEAR` weighs the two directions by what varies between the next pixels, after Hamilton and Adams
(US patent 5629734, 1997). `WINDOWS` weighs four directions by what varies in windows along them, after Pekkucuksen and
Altunbasak, "Gradient based threshold free color filter array interpolation" (2010).

Importing this module imports numba. Loops are written for vector units: one array written, few read, no branches.
"""

from typing import Any

import numpy as np

from immich_sidecar.develop.borders import mirrored
from immich_sidecar.develop.compiled import compiled_loop

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Kinds of interpolation.
NEAR, WINDOWS = 0, 1
#: Pixels around a tile that are needed to interpolate it; even, so that the pattern keeps its place.
MARGIN = 10
#: Columns of a tile, and rows at most: what is worked on stays near the size of second-level caches.
TILE_COLUMNS, TILE_ROWS = 512, 64
#: Arrays of the size of a tile with its margin that are worked on, and single rows.
_PLANES, _ROWS = 7, 3
#: Ways of treating saturated pixels.
CLIP, BLEND, RECONSTRUCT = 0, 1, 2
#: Light that is added before the root and taken away after the square, so that noise about black survives.
_PEDESTAL = np.float32(1.0 / 512.0)
#: What keeps weights finite where nothing varies.
_SMALLEST_GRADIENT = np.float32(0.01)


def scratch() -> tuple[Any, Any]:
    """Memory to work in, for `demosaic_rows`."""
    rows, columns = TILE_ROWS + 2 * MARGIN, TILE_COLUMNS + 2 * MARGIN
    return np.zeros((_PLANES, rows, columns), np.float32), np.zeros((_ROWS, columns), np.float32)


@compiled_loop
def demosaic_rows(
    values: Any,
    frame: Any,
    first: int,
    last: int,
    colours: Any,
    black: Any,
    gains: Any,
    levels: Any,
    offsets: Any,
    mode: int,
    matrix: Any,
    method: int,
    planes: Any,
    lines: Any,
    out: Any,
) -> None:
    """Rows `first` to `last` (at most `TILE_ROWS`) of the frame, as linear RGB.

    `values` (h, w) uint16 is the whole sensor; `frame` top, left, height and width of the part that is wanted;
    `colours` (2, 2) 0, 1, 2 for red, green, blue at the frame's first pixels, `black` and `gains` (2, 2) float32
    make (value - black) * gain from them. `levels` (3) is where each channel saturates, `offsets` and `mode` are
    those of `_unclipped`, `matrix` (3, 3) turns camera RGB into the RGB that is wanted. `planes` and `lines` are
    `scratch`; `out` (3, rows, width) float32.
    """
    width = frame[3]
    for left in range(0, width, TILE_COLUMNS):
        right = min(left + TILE_COLUMNS, width)
        rows, columns = last - first + 2 * MARGIN, right - left + 2 * MARGIN
        limit = np.float32(1.0) if mode == CLIP else np.float32(16.0)
        _roots(values, frame, first - MARGIN, left - MARGIN, black, gains, limit, planes[0, :rows, :columns])
        if method == WINDOWS:
            _differences(planes, rows, columns, (first + left + (colours[0, 0] == 1)) & 1)
        else:
            _near_differences(planes[0], planes[5], rows, columns)
        _diagonals(planes[5], planes[6], rows, columns)
        for y in range(first, last):
            row = y - first + MARGIN
            parity = y & 1
            # The colour of this row that is not green, and the parity of its columns.
            shift = 1 if colours[parity, 0] == 1 else 0
            own = colours[parity, shift]
            start = (left + shift) & 1
            _coloured(planes, row, columns, start, lines[1], lines[own], lines[2 - own])
            red, green, blue = lines[0], lines[1], lines[2]
            for channel in range(3):
                _squared(lines[channel], right - left, limit)
            if mode != CLIP:
                for x in range(right - left):
                    red[x], green[x], blue[x] = _unclipped(red[x], green[x], blue[x], levels, offsets, mode)
            for channel in range(3):
                _mixed(red, green, blue, matrix[channel], out[channel, y - first, left:right])


@compiled_loop
def _roots(values: Any, frame: Any, top: int, left: int, black: Any, gains: Any, limit: Any, out: Any) -> None:
    """Square roots of balanced light of a tile whose first pixel is (top, left) of the frame."""
    height, width = frame[2], frame[3]
    rows, columns = out.shape
    # Columns of the tile that lie inside the frame.
    begin, end = max(0, -left), min(columns, width - left)
    zero = np.float32(0.0)
    for y in range(rows):
        inside = mirrored(top + y, height)
        source = values[frame[0] + inside, frame[1] + left + begin :]
        target = out[y, begin:]
        parity = inside & 1
        # Tiles begin at even columns less an even margin.
        b0, b1 = black[parity, (left + begin) & 1], black[parity, (left + begin + 1) & 1]
        g0, g1 = gains[parity, (left + begin) & 1], gains[parity, (left + begin + 1) & 1]
        for x in range(end - begin):
            odd = (x & 1) == 1
            light = (np.float32(source[x]) - (b1 if odd else b0)) * (g1 if odd else g0)
            target[x] = np.sqrt(min(max(light + _PEDESTAL, zero), limit + _PEDESTAL))
        for x in range(begin):
            out[y, x] = out[y, mirrored(left + x, width) - left]
        for x in range(end, columns):
            out[y, x] = out[y, mirrored(left + x, width) - left]


@compiled_loop
def _near_differences(roots: Any, found: Any, rows: int, columns: int) -> None:
    """What `_differences` finds, from the next pixels along rows and columns only."""
    half, quarter, two, small = np.float32(0.5), np.float32(0.25), np.float32(2.0), _SMALLEST_GRADIENT
    for y in range(8, rows - 8):
        a, b, c, d, e = roots[y - 2], roots[y - 1], roots[y], roots[y + 1], roots[y + 2]
        row = found[y]
        for x in range(columns - 4):
            here = c[x + 2]
            along = half * (c[x + 1] + c[x + 3] - here) - quarter * (c[x] + c[x + 4])
            upright = half * (b[x + 2] + d[x + 2] - here) - quarter * (a[x + 2] + e[x + 2])
            # The direction along which less varies counts more.
            change = abs(c[x + 1] - c[x + 3]) + abs(two * here - c[x] - c[x + 4]) + small
            rise = abs(b[x + 2] - d[x + 2]) + abs(two * here - a[x + 2] - e[x + 2]) + small
            change, rise = change * change, rise * rise
            row[x + 2] = (along * rise + upright * change) / (change + rise)


@compiled_loop
def _differences(planes: Any, rows: int, columns: int, start: int) -> None:
    """Green less the other colour at red and blue pixels of a tile (plane 5); plane 6 is written over.

    `start` is the parity of red and blue pixels in the first row of the tile.
    """
    roots, across, upright = planes[0], planes[1], planes[2]
    west, north, found, diagonal = planes[3], planes[4], planes[5], planes[6]
    half, quarter = np.float32(0.5), np.float32(0.25)
    for y in range(2, rows - 2):
        a, b, c, d, e = roots[y - 2], roots[y - 1], roots[y], roots[y + 1], roots[y + 2]
        odd = (start + y) & 1
        row = across[y]
        for x in range(columns - 4):
            value = half * (c[x + 1] + c[x + 3] - c[x + 2]) - quarter * (c[x] + c[x + 4])
            row[x + 2] = value if (x & 1) == odd else -value
        row = upright[y]
        for x in range(columns - 4):
            value = half * (b[x + 2] + d[x + 2] - c[x + 2]) - quarter * (a[x + 2] + e[x + 2])
            row[x + 2] = value if (x & 1) == odd else -value
    # How much the differences vary along each direction, over three lines and five steps back.
    for y in range(3, rows - 3):
        a, b, c = across[y - 1], across[y], across[y + 1]
        row, sums = diagonal[y], west[y]
        for x in range(columns - 6):
            row[x + 3] = abs(a[x + 2] - a[x + 4]) + abs(b[x + 2] - b[x + 4]) + abs(c[x + 2] - c[x + 4])
        for x in range(columns - 10):
            sums[x + 7] = row[x + 3] + row[x + 4] + row[x + 5] + row[x + 6] + row[x + 7]
    for y in range(3, rows - 3):
        a, b, row = upright[y - 1], upright[y + 1], diagonal[y]
        for x in range(columns - 6):
            row[x + 3] = abs(a[x + 2] - b[x + 2]) + abs(a[x + 3] - b[x + 3]) + abs(a[x + 4] - b[x + 4])
    for y in range(7, rows - 3):
        a, b, c, d, e = diagonal[y - 4], diagonal[y - 3], diagonal[y - 2], diagonal[y - 1], diagonal[y]
        sums = north[y]
        for x in range(columns - 6):
            sums[x + 3] = a[x + 3] + b[x + 3] + c[x + 3] + d[x + 3] + e[x + 3]
    # The weighted mean of what is seen in the four directions, near pixels counting more.
    one, two, three, small = np.float32(1.0), np.float32(2.0), np.float32(3.0), _SMALLEST_GRADIENT
    sixth = np.float32(1.0 / 6.0)
    for y in range(7, rows - 7):
        a, b, c, d, e = upright[y - 2], upright[y - 1], upright[y], upright[y + 1], upright[y + 2]
        up, down, row = north[y], north[y + 4], found[y]
        for x in range(columns - 14):
            n, s = up[x + 7] + small, down[x + 7] + small
            middle = three * c[x + 7]
            row[x + 7] = (middle + two * b[x + 7] + a[x + 7]) / (n * n) + (middle + two * d[x + 7] + e[x + 7]) / (s * s)
        side, back = across[y], west[y]
        for x in range(columns - 14):
            n, s, w, o = up[x + 7] + small, down[x + 7] + small, back[x + 7] + small, back[x + 11] + small
            wn, ws, ww, wo = one / (n * n), one / (s * s), one / (w * w), one / (o * o)
            middle = three * side[x + 7]
            total = ww * (middle + two * side[x + 6] + side[x + 5]) + wo * (middle + two * side[x + 8] + side[x + 9])
            row[x + 7] = (row[x + 7] + total) * sixth / (wn + ws + ww + wo)


@compiled_loop
def _diagonals(found: Any, diagonal: Any, rows: int, columns: int) -> None:
    """The mean of the four diagonal neighbours."""
    for y in range(9, rows - 9):
        a, b, row = found[y - 1], found[y + 1], diagonal[y]
        for x in range(columns - 16):
            row[x + 8] = np.float32(0.25) * (a[x + 7] + a[x + 9] + b[x + 7] + b[x + 9])


@compiled_loop
def _coloured(planes: Any, row: int, columns: int, start: int, green: Any, own: Any, other: Any) -> None:
    """Green, the row's other colour and the third one, of one row of a tile."""
    here, found, diagonal = planes[0, row], planes[5, row], planes[6, row]
    quarter = np.float32(0.25)
    m = MARGIN
    for x in range(columns - 2 * MARGIN):
        green[x] = here[x + m] + found[x + m] if (x & 1) == start else here[x + m]
    above, below = planes[6, row - 1], planes[6, row + 1]
    for x in range(columns - 2 * MARGIN):
        value = quarter * (found[x + m - 1] + found[x + m + 1] + above[x + m] + below[x + m])
        own[x] = green[x] - (found[x + m] if (x & 1) == start else value)
    above, below = planes[5, row - 1], planes[5, row + 1]
    for x in range(columns - 2 * MARGIN):
        value = quarter * (diagonal[x + m - 1] + diagonal[x + m + 1] + above[x + m] + below[x + m])
        other[x] = green[x] - (diagonal[x + m] if (x & 1) == start else value)


@compiled_loop
def _squared(line: Any, columns: int, limit: Any) -> None:
    """Roots to light, at most `limit`, in place."""
    for x in range(columns):
        root = max(line[x], np.float32(0.0))
        line[x] = min(root * root - _PEDESTAL, limit)


@compiled_loop
def _mixed(r: Any, g: Any, b: Any, weights: Any, out: Any) -> None:
    m0, m1, m2 = weights[0], weights[1], weights[2]
    for x in range(out.shape[0]):
        out[x] = m0 * r[x] + m1 * g[x] + m2 * b[x]


@compiled_loop
def _unclipped(r: Any, g: Any, b: Any, levels: Any, offsets: Any, mode: int) -> tuple[Any, Any, Any]:
    """Balanced light beyond 1.0, where the least amplified channel is saturated.

    BLEND keeps the brightness of what was measured and the colour of what is left of it at 1.0. RECONSTRUCT
    puts a saturated channel as far above the others as it stands (`offsets`) in the brightest whole parts of the
    picture. Where every channel is saturated the result is neutral, so no sky turns pink.
    """
    one, third = np.float32(1.0), np.float32(1.0 / 3.0)
    if max(r, g, b) < one:
        return r, g, b
    if mode == RECONSTRUCT:
        near = np.float32(0.98)
        r2 = max(r, np.float32(0.5) * (g + b) + offsets[0]) if r >= near * levels[0] else r
        g2 = max(g, np.float32(0.5) * (r + b) + offsets[1]) if g >= near * levels[1] else g
        b2 = max(b, np.float32(0.5) * (r + g) + offsets[2]) if b >= near * levels[2] else b
        # How close the last whole channel is to saturation.
        rest = min(r / levels[0], g / levels[1], b / levels[2])
        fade = min(max((rest - np.float32(0.7)) * np.float32(4.0), np.float32(0.0)), one)
        top = max(r2, g2, b2)
        return r2 + fade * (top - r2), g2 + fade * (top - g2), b2 + fade * (top - b2)
    cut_r, cut_g, cut_b = min(r, one), min(g, one), min(b, one)
    more = (r + g + b - cut_r - cut_g - cut_b) * third
    return cut_r + more, cut_g + more, cut_b + more


@compiled_loop
def piled(values: Any, frame: Any, bounds: Any, largest: Any, counts: Any) -> None:
    """The largest value at each of 2 x 2 places in all of the frame, and how many reach `bounds` there.

    `bounds` (2, 2), `largest` (2, 2) and `counts` (2, 2) int64; the latter two are written.
    """
    for y in range(frame[2]):
        row = values[frame[0] + y, frame[1] : frame[1] + frame[3]]
        parity = y & 1
        even, odd = np.uint16(0), np.uint16(0)
        for x in range(row.shape[0] // 2):
            even, odd = max(even, row[2 * x]), max(odd, row[2 * x + 1])
        if row.shape[0] & 1:
            even = max(even, row[row.shape[0] - 1])
        largest[parity, 0] = max(largest[parity, 0], np.int64(even))
        largest[parity, 1] = max(largest[parity, 1], np.int64(odd))
        for column, bound in ((0, bounds[parity, 0]), (1, bounds[parity, 1])):
            if np.int64(even if column == 0 else odd) >= bound:
                number = 0
                for x in range(column, row.shape[0], 2):
                    number += np.int64(row[x]) >= bound
                counts[parity, column] += number


@compiled_loop
def binned_rows(
    values: Any,
    frame: Any,
    first: int,
    last: int,
    colours: Any,
    black: Any,
    gains: Any,
    levels: Any,
    offsets: Any,
    mode: int,
    matrix: Any,
    lines: Any,
    out: Any,
) -> None:
    """Rows `first` to `last` of a picture that has one pixel of each 2 x 2 pixels of the frame.

    `lines` (3, width / 2) is memory to work in, `out` (3, rows, width / 2) float32, the rest as for `demosaic_rows`.
    """
    limit = np.float32(1.0) if mode == CLIP else np.float32(16.0)
    red, green, blue = lines[0], lines[1], lines[2]
    for y in range(first, last):
        green[:] = np.float32(0.0)
        for place in range(4):
            row, column = place >> 1, place & 1
            colour = colours[row, column]
            source = values[frame[0] + 2 * y + row, frame[1] + column : frame[1] + frame[3]]
            dark, gain = black[row, column], gains[row, column]
            if colour == 1:
                half = gain * np.float32(0.5)
                for x in range(green.shape[0]):
                    green[x] += (np.float32(source[2 * x]) - dark) * half
            else:
                line = lines[colour]
                for x in range(line.shape[0]):
                    line[x] = (np.float32(source[2 * x]) - dark) * gain
        for channel in range(3):
            line = lines[channel]
            for x in range(line.shape[0]):
                line[x] = min(line[x], limit)
        if mode != CLIP:
            for x in range(red.shape[0]):
                red[x], green[x], blue[x] = _unclipped(red[x], green[x], blue[x], levels, offsets, mode)
        for channel in range(3):
            _mixed(red, green, blue, matrix[channel], out[channel, y - first])


@compiled_loop
def to_codes(planes: Any, scale: Any, out: Any) -> None:
    """Linear RGB (3, rows, width) float32, times `scale` (float32) and rounded, to uint16."""
    end, half = np.float32(65535.0), np.float32(0.5)
    for channel in range(3):
        for y in range(planes.shape[1]):
            line, codes = planes[channel, y], out[channel, y]
            for x in range(line.shape[0]):
                codes[x] = np.uint16(min(max(line[x] * scale, np.float32(0.0)) + half, end))
