"""The compiled inner loops of colour. Compiled at first use, and kept in numba's cache where one can be written.

The cache lies where NUMBA_CACHE_DIR says, else beside this file, else in the user's cache folder; with none
of them writable they are compiled anew in each process. Importing this module imports numba: import it where
pixels are about to be coloured.

A row is worked on in pieces that fit the first-level cache, stage after stage, each a loop that a compiler turns
into vector instructions; what a plan does not ask for is a stage that is not called. Three front ends read pixels
(code values, linear light, or planes of it); everything after that is one back half.
"""

from typing import Any, NamedTuple

import numpy as np

from immich_sidecar.develop.compiled import compiled
from immich_sidecar.develop.local_tone_kernels import by_surroundings, maps_for_rows, prepare_row
from immich_sidecar.develop.look_kernels import look_up, to_grey
from immich_sidecar.develop.saturation_kernels import saturate
from immich_sidecar.develop.table_kernels import HALF, ONE, ZERO, encode, through_table

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Pixels of a piece of a row.
_PIECE = 1024
#: A channel counts as cut off from here on, in sixteenths of the range of light; wholly at its end.
_CUT = np.float32(15.0)


class Stages(NamedTuple):
    """What the back half is to do, with everything it needs. Arrays are `float32` unless said otherwise."""

    #: Size of the picture that `first_row` counts in.
    width: int
    height: int
    #: Vignetting: factors, evenly over the squared distance 0..1 from the optical centre, and the 3x3 map from
    #: pixel centres of the picture to coordinates in which that distance is 1 at the table's end.
    has_falloff: bool
    falloff: Any
    falloff_map: Any
    #: Camera RGB to the space's RGB, 3x3.
    has_before: bool
    before: Any
    #: White balance, 3x3; what is clipped white stays white.
    has_balance: bool
    balance: Any
    #: The end of the range of linear light: sensor saturation is 1.
    top: float
    #: Linear light 0..`top` to 0..1, by the root of light: `ROOT_STEPS` values and one more.
    has_first: bool
    first: Any
    #: Maps of the surroundings whose rows and columns lie evenly over the picture, base = a * display + b, and
    #: `GAIN_STEPS` factors by base.
    is_local: bool
    map_a: Any
    map_b: Any
    luminance: Any
    display: Any
    gains: Any
    #: A second curve, 0..1 to 0..1, by the root of light.
    has_second: bool
    second: Any
    #: Saturation and vibrance: factors 1 + amount, and the 3x3 matrices to cone responses (Ottosson 2020) and back.
    has_saturation: bool
    saturation: float
    vibrance: float
    to_cones: Any
    from_cones: Any
    #: Channel mixer: 3 weights, how much of it happens 0..1, and linear RGB of each grey by the root of light,
    #: (3, `ROOT_STEPS`).
    is_monochrome: bool
    weights: Any
    grey_amount: float
    toning: Any
    #: Table of display sRGB to display sRGB, (n, n, n, 3), the last index of a place being red; its strength 0..1; the
    #: 3x3 matrices to linear sRGB and back.
    has_lut: bool
    lut: Any
    lut_strength: float
    to_srgb: Any
    from_srgb: Any
    #: Light of display values, evenly, `ROOT_STEPS` values and one more.
    undisplay: Any
    #: Code values by the root of light: `uint8` (3, `ROOT_STEPS`), or `float32` and one more for 16 bits.
    encoding: Any


@compiled
def colour_codes(pixels: Any, tables: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour code values.

    `pixels` (rows, width, 3) uint8 or uint16, rows of the picture from `first_row` on; `tables` (3, levels) code
    value to linear light; `out` like `pixels`, uint8 or uint16; may be the same array.
    """
    width = pixels.shape[1]
    light, around, held = np.empty((3, width), np.float32), maps_for_rows(width, stages), np.full(2, -1)
    for y in range(pixels.shape[0]):
        row = pixels[y]
        for i in range(width):
            light[0, i] = tables[0, row[i, 0]]
            light[1, i] = tables[1, row[i, 1]]
            light[2, i] = tables[2, row[i, 2]]
        colour_row(light, first_row + y, stages, around, held, out[y])


@compiled
def colour_light(pixels: Any, scale: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour linear light.

    `pixels` (rows, width, 3) of any number type, rows of the picture from `first_row` on, which times `scale`
    (float32) are linear light; `out` like `pixels`, uint8 or uint16.
    """
    width = pixels.shape[1]
    light, around, held = np.empty((3, width), np.float32), maps_for_rows(width, stages), np.full(2, -1)
    for y in range(pixels.shape[0]):
        row = pixels[y]
        for i in range(width):
            light[0, i] = np.float32(row[i, 0]) * scale
            light[1, i] = np.float32(row[i, 1]) * scale
            light[2, i] = np.float32(row[i, 2]) * scale
        colour_row(light, first_row + y, stages, around, held, out[y])


@compiled
def colour_planes(planes: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour linear light whose channels lie apart.

    `planes` (3, rows, width) float32, rows of the picture from `first_row` on; `out` (rows, width, 3) uint8.
    """
    width = planes.shape[2]
    light, around, held = np.empty((3, width), np.float32), maps_for_rows(width, stages), np.full(2, -1)
    for y in range(planes.shape[1]):
        light[:] = planes[:, y]
        colour_row(light, first_row + y, stages, around, held, out[y])


@compiled
def colour_row(light: Any, y: int, stages: Any, around: Any, held: Any, out: Any) -> None:
    """Everything between linear light of the file (3, width), which is overwritten, and a row of code values.

    `stages` is taken apart here, once a row, because handing all of its arrays on takes half a microsecond a call.
    """
    work, places = np.empty((6, _PIECE), np.float32), np.empty((3, _PIECE), np.int32)
    is_local, has_first, has_second = stages.is_local, stages.has_first, stages.has_second
    first, second, display, gains = stages.first, stages.second, stages.display, stages.gains
    luminance, encoding = stages.luminance, stages.encoding
    scale, is_deep = np.float32(ONE / np.float32(stages.top)), encoding.itemsize == 4
    if is_local:
        prepare_row(y, stages.map_a, stages.map_b, stages.height, around, held)
    for x0 in range(0, light.shape[1], _PIECE):
        n = min(_PIECE, light.shape[1] - x0)
        red, green, blue = light[0, x0 : x0 + n], light[1, x0 : x0 + n], light[2, x0 : x0 + n]
        if stages.has_falloff:
            brighten_corners(red, green, blue, x0, y, stages.falloff, stages.falloff_map, work, places)
        if stages.has_before:
            mix(red, green, blue, stages.before)
        if stages.has_balance:
            balance(red, green, blue, stages.balance, scale)
        if is_local or has_first:
            spread(red, green, blue, scale, work)
        if has_first:
            through_table(work[2, :n], first, places[0], work[4], is_deep)
            through_table(work[3, :n], first, places[0], work[4], is_deep)
        if is_local:
            map_a, map_b = around[0, x0 : x0 + n], around[1, x0 : x0 + n]
            by_surroundings(red, green, blue, luminance, display, gains, map_a, map_b, work, places[0])
            if has_second:
                through_table(work[2, :n], second, places[0], work[4], is_deep)
                through_table(work[3, :n], second, places[0], work[4], is_deep)
        if is_local or has_first:
            between(red, green, blue, work)
        if stages.has_saturation:
            saturation, vibrance = np.float32(stages.saturation), np.float32(stages.vibrance)
            saturate(red, green, blue, stages.to_cones, stages.from_cones, saturation, vibrance, work)
        if stages.is_monochrome:
            to_grey(red, green, blue, stages.weights, stages.toning, np.float32(stages.grey_amount), work, places)
        if stages.has_lut:
            look_up(red, green, blue, stages)
        encode(red, green, blue, encoding, places, out[x0 : x0 + n])


@compiled
def mix(red: Any, green: Any, blue: Any, m: Any) -> None:
    for i in range(red.shape[0]):
        r, g, b = red[i], green[i], blue[i]
        red[i] = m[0, 0] * r + m[0, 1] * g + m[0, 2] * b
        green[i] = m[1, 0] * r + m[1, 1] * g + m[1, 2] * b
        blue[i] = m[2, 0] * r + m[2, 1] * g + m[2, 2] * b


@compiled
def balance(red: Any, green: Any, blue: Any, m: Any, scale: Any) -> None:
    for i in range(red.shape[0]):
        r, g, b = red[i], green[i], blue[i]
        # White that is clipped stays white: between 0.9 and 1 the change fades out.
        keep = (min(r, g, b) * scale - np.float32(0.9)) * np.float32(10.0)
        keep = min(max(keep, ZERO), ONE)
        keep = keep * keep * (np.float32(3.0) - np.float32(2.0) * keep)
        r2 = m[0, 0] * r + m[0, 1] * g + m[0, 2] * b
        g2 = m[1, 0] * r + m[1, 1] * g + m[1, 2] * b
        b2 = m[2, 0] * r + m[2, 1] * g + m[2, 2] * b
        # A channel that was cut off was brighter than it shows: it is not drawn beneath the other two.
        cut = np.float32(16.0) * scale
        r3 = r2 + min(max(r * cut - _CUT, ZERO), ONE) * max((g2 + b2) * HALF - r2, ZERO)
        g3 = g2 + min(max(g * cut - _CUT, ZERO), ONE) * max((r2 + b2) * HALF - g2, ZERO)
        b3 = b2 + min(max(b * cut - _CUT, ZERO), ONE) * max((r2 + g2) * HALF - b2, ZERO)
        red[i] = r3 + keep * (r - r3)
        green[i] = g3 + keep * (g - g3)
        blue[i] = b3 + keep * (b - b3)


@compiled
def spread(red: Any, green: Any, blue: Any, scale: Any, work: Any) -> None:
    """Cut light to 0..1; the largest and the smallest channel into the first two rows of `work` and the next two."""
    n = red.shape[0]
    high, low, new_high, new_low = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    for i in range(n):
        r = min(max(red[i] * scale, ZERO), ONE)
        g = min(max(green[i] * scale, ZERO), ONE)
        b = min(max(blue[i] * scale, ZERO), ONE)
        red[i], green[i], blue[i] = r, g, b
        high[i], low[i] = max(r, g, b), min(r, g, b)
        new_high[i], new_low[i] = max(r, g, b), min(r, g, b)


@compiled
def between(red: Any, green: Any, blue: Any, work: Any) -> None:
    """The largest and the smallest channel become the new ones; the middle one keeps its place between them."""
    n = red.shape[0]
    high, low, new_high, new_low = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    for i in range(n):
        base = low[i]
        slope = (new_high[i] - new_low[i]) / max(high[i] - base, np.float32(1e-9))
        red[i] = new_low[i] + (red[i] - base) * slope
        green[i] = new_low[i] + (green[i] - base) * slope
        blue[i] = new_low[i] + (blue[i] - base) * slope


@compiled
def brighten_corners(
    red: Any, green: Any, blue: Any, x0: int, y: int, falloff: Any, m: Any, work: Any, places: Any
) -> None:
    n = red.shape[0]
    last = np.float32(falloff.shape[0] - 2)
    row = np.float32(y)
    u0, v0, w0 = m[0, 1] * row + m[0, 2], m[1, 1] * row + m[1, 2], m[2, 1] * row + m[2, 2]
    for i in range(n):
        x = np.float32(x0 + i)
        w = ONE / (m[2, 0] * x + w0)
        u, v = (m[0, 0] * x + u0) * w, (m[1, 0] * x + v0) * w
        place = min(u * u + v * v, ONE) * last
        k = np.int32(place)
        places[0, i], work[0, i] = k, place - np.float32(k)
    for i in range(n):
        at = np.uint32(places[0, i])
        work[0, i] = falloff[at] + (falloff[at + np.uint32(1)] - falloff[at]) * work[0, i]
    for i in range(n):
        red[i] *= work[0, i]
        green[i] *= work[0, i]
        blue[i] *= work[0, i]
