"""Compiled loops for black and white, and for tables of colours."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled
from immich_sidecar.develop.table_kernels import HALF, ONE, ROOT_TOP, ZERO, interpolated, root_places

# ruff: noqa: PLR0917 -- compiled code takes no keywords


@compiled
def to_grey(red: Any, green: Any, blue: Any, weights: Any, toning: Any, amount: Any, work: Any, places: Any) -> None:
    """Mix the channels to a grey, and lead the pixels as far as `amount` (0..1) towards the toned grey."""
    n = red.shape[0]
    grey = work[0, :n]
    for i in range(n):
        grey[i] = weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i]
    root_places(grey, places[0])
    for i in range(n):
        at = np.uint32(places[0, i])
        red[i] += (toning[0, at] - red[i]) * amount
        green[i] += (toning[1, at] - green[i]) * amount
        blue[i] += (toning[2, at] - blue[i]) * amount


@compiled
def look_up(red: Any, green: Any, blue: Any, stages: Any) -> None:
    """A table of display colours, by tetrahedral interpolation (Kasson, Nin, Plouffe, Hafner 1995)."""
    lut, display, undisplay = stages.lut, stages.display, stages.undisplay
    to, back = stages.to_srgb, stages.from_srgb
    strength = np.float32(stages.lut_strength)
    n = lut.shape[0]
    top, last = np.float32(n - 1), n - 2
    for i in range(red.shape[0]):
        r, g, b = red[i], green[i], blue[i]
        r, g, b = (
            to[0, 0] * r + to[0, 1] * g + to[0, 2] * b,
            to[1, 0] * r + to[1, 1] * g + to[1, 2] * b,
            to[2, 0] * r + to[2, 1] * g + to[2, 2] * b,
        )
        r0, g0, b0 = min(max(r, ZERO), ONE), min(max(g, ZERO), ONE), min(max(b, ZERO), ONE)
        # What lies outside sRGB is not in the table; it goes as the strength of the table grows.
        r_over, g_over, b_over = r - r0, g - g0, b - b0
        r = display[np.int32(np.sqrt(r0) * ROOT_TOP + HALF)]
        g = display[np.int32(np.sqrt(g0) * ROOT_TOP + HALF)]
        b = display[np.int32(np.sqrt(b0) * ROOT_TOP + HALF)]
        x, y, z = r * top, g * top, b * top
        xi, yi, zi = min(int(x), last), min(int(y), last), min(int(z), last)
        x, y, z = x - np.float32(xi), y - np.float32(yi), z - np.float32(zi)
        high, low = max(x, y, z), min(x, y, z)
        middle = max(min(x, y), min(max(x, y), z))
        # From the corner along the axis of the largest fraction; to the opposite one along that of the smallest.
        xa, ya, za = xi, yi, zi
        if x == high:
            xa += 1
        elif y == high:
            ya += 1
        else:
            za += 1
        xb, yb, zb = xi + 1, yi + 1, zi + 1
        if z == low:
            zb -= 1
        elif y == low:
            yb -= 1
        else:
            xb -= 1
        w0, wa, wb, w1 = ONE - high, high - middle, middle - low, low
        new = (
            w0 * lut[zi, yi, xi, 0]
            + wa * lut[za, ya, xa, 0]
            + wb * lut[zb, yb, xb, 0]
            + w1 * lut[zi + 1, yi + 1, xi + 1, 0],
            w0 * lut[zi, yi, xi, 1]
            + wa * lut[za, ya, xa, 1]
            + wb * lut[zb, yb, xb, 1]
            + w1 * lut[zi + 1, yi + 1, xi + 1, 1],
            w0 * lut[zi, yi, xi, 2]
            + wa * lut[za, ya, xa, 2]
            + wb * lut[zb, yb, xb, 2]
            + w1 * lut[zi + 1, yi + 1, xi + 1, 2],
        )
        left = ONE - strength
        r = interpolated(undisplay, r * left + new[0] * strength) + r_over * left
        g = interpolated(undisplay, g * left + new[1] * strength) + g_over * left
        b = interpolated(undisplay, b * left + new[2] * strength) + b_over * left
        red[i] = back[0, 0] * r + back[0, 1] * g + back[0, 2] * b
        green[i] = back[1, 0] * r + back[1, 1] * g + back[1, 2] * b
        blue[i] = back[2, 0] * r + back[2, 1] * g + back[2, 2] * b
