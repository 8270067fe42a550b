"""Compiled loops for black and white, and for tables of colours."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled_loop
from immich_sidecar.develop.table_kernels import (
    BLUE,
    GREEN,
    ONE,
    P1,
    P2,
    RED,
    W0,
    W1,
    W2,
    W3,
    ZERO,
    mix,
    padded,
    root_place,
    through_even_table,
    through_table,
)
from immich_sidecar.develop.table_kernels import HIGH as RED_OVER
from immich_sidecar.develop.table_kernels import LOW as GREEN_OVER
from immich_sidecar.develop.table_kernels import NEW_HIGH as BLUE_OVER

# ruff: noqa: PLR0917 -- compiled code takes no keywords


@compiled_loop
def to_grey(work: Any, weights: Any, toning: Any, amount: Any, places: Any, n: int) -> None:
    """Mix the channels to a grey, and lead the pixels as far as `amount` (0..1) towards the toned grey."""
    wr, wg, wb = weights[0], weights[1], weights[2]
    for i in range(padded(n)):
        places[i] = root_place(wr * work[i + RED] + wg * work[i + GREEN] + wb * work[i + BLUE])
    red, green, blue = toning[0], toning[1], toning[2]
    for i in range(n):
        at = np.uint32(places[i])
        work[i + RED] += (red[at] - work[i + RED]) * amount
        work[i + GREEN] += (green[at] - work[i + GREEN]) * amount
        work[i + BLUE] += (blue[at] - work[i + BLUE]) * amount


@compiled_loop
def look_up(work: Any, stages: Any, places: Any, n: int, is_deep: bool) -> None:
    """A table of display colours, by tetrahedral interpolation (Kasson, Nin, Plouffe, Hafner 1995)."""
    strength = np.float32(stages.lut_strength)
    to_table(work, stages.to_srgb, n)
    for plane in (RED, GREEN, BLUE):
        through_table(work, plane, stages.display, places, n, is_deep)
    find_corners(work, places, stages.lut_points, n)
    weigh_corners(work, places, stages.lut, stages.lut_points, strength, n)
    for plane in (RED, GREEN, BLUE):
        through_even_table(work, plane, stages.undisplay, places, n)
    from_table(work, stages.from_srgb, ONE - strength, n)


@compiled_loop
def to_table(work: Any, m: Any, n: int) -> None:
    """Light of the space to sRGB, cut to what a table has; what was cut off is noted."""
    mix(work, m, n)
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        r0, g0, b0 = min(max(r, ZERO), ONE), min(max(g, ZERO), ONE), min(max(b, ZERO), ONE)
        work[i + RED], work[i + GREEN], work[i + BLUE] = r0, g0, b0
        work[i + RED_OVER], work[i + GREEN_OVER], work[i + BLUE_OVER] = r - r0, g - g0, b - b0


@compiled_loop
def find_corners(work: Any, places: Any, points: int, n: int) -> None:
    """The four corners of the tetrahedron that a colour lies in, and their weights.

    Of the corners the nearest to black comes first, then from there along the axis of the largest fraction, then along
    that of the middle one too; the last lies opposite. `places` are where the first three are in the table.
    """
    top, last = np.float32(points - 1), np.int32(points - 2)
    along_x, along_y, along_z = np.int32(4), np.int32(4 * points), np.int32(4 * points * points)
    for i in range(padded(n)):
        x, y, z = work[i + RED] * top, work[i + GREEN] * top, work[i + BLUE] * top
        xi, yi, zi = min(np.int32(x), last), min(np.int32(y), last), min(np.int32(z), last)
        x, y, z = x - np.float32(xi), y - np.float32(yi), z - np.float32(zi)
        high, low = max(x, y, z), min(x, y, z)
        middle = max(min(x, y), min(max(x, y), z))
        first = np.int32(xi * along_x + yi * along_y + zi * along_z)
        second = along_x if x == high else along_y if y == high else along_z
        left = along_z if z == low else along_y if y == low else along_x
        places[i] = first
        places[i + P1] = first + second
        places[i + P2] = first + (along_x + along_y + along_z - left)
        work[i + W0], work[i + W1], work[i + W2], work[i + W3] = ONE - high, high - middle, middle - low, low


@compiled_loop
def weigh_corners(work: Any, places: Any, lut: Any, points: int, strength: Any, n: int) -> None:
    """What the table says of colours, and how far they are led there."""
    opposite = np.uint32(4 * (1 + points + points * points))
    left = ONE - strength
    for i in range(n):
        a, b, c = np.uint32(places[i]), np.uint32(places[i + P1]), np.uint32(places[i + P2])
        d = a + opposite
        w0, w1, w2, w3 = work[i + W0], work[i + W1], work[i + W2], work[i + W3]
        red = w0 * lut[a] + w1 * lut[b] + w2 * lut[c] + w3 * lut[d]
        a, b, c, d = a + np.uint32(1), b + np.uint32(1), c + np.uint32(1), d + np.uint32(1)
        green = w0 * lut[a] + w1 * lut[b] + w2 * lut[c] + w3 * lut[d]
        a, b, c, d = a + np.uint32(1), b + np.uint32(1), c + np.uint32(1), d + np.uint32(1)
        blue = w0 * lut[a] + w1 * lut[b] + w2 * lut[c] + w3 * lut[d]
        work[i + RED] = work[i + RED] * left + red * strength
        work[i + GREEN] = work[i + GREEN] * left + green * strength
        work[i + BLUE] = work[i + BLUE] * left + blue * strength


@compiled_loop
def from_table(work: Any, m: Any, left: Any, n: int) -> None:
    """Light of sRGB to that of the space. What lies outside sRGB is in no table; it goes as its strength grows."""
    for i in range(padded(n)):
        work[i + RED] += work[i + RED_OVER] * left
        work[i + GREEN] += work[i + GREEN_OVER] * left
        work[i + BLUE] += work[i + BLUE_OVER] * left
    mix(work, m, n)
