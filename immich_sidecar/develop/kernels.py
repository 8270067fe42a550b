"""The compiled inner loops of colour. Compiled at first use, and kept in numba's cache where one can be written.

The cache lies where NUMBA_CACHE_DIR says, else beside this file, else in the user's cache folder; with none
of them writable they are compiled anew in each process. Importing this module imports numba: import it where
pixels are about to be coloured.

A row is worked on in pieces that fit the first-level cache (see `table_kernels`), stage after stage, each a loop that
a compiler turns into vector instructions; what a plan does not ask for is a stage that is not called. What most
pictures are, code values of 8 bits, is read as it lies in memory; everything else comes as planes of linear light, so
that there are few variants to compile.
"""

from typing import Any, NamedTuple

import numpy as np

from immich_sidecar.develop.compiled import compiled, compiled_loop
from immich_sidecar.develop.curves import KNEE
from immich_sidecar.develop.local_tone_kernels import by_surroundings, maps_for_rows, prepare_row
from immich_sidecar.develop.look_kernels import look_up, to_grey
from immich_sidecar.develop.reading_kernels import read, read_display
from immich_sidecar.develop.saturation_kernels import saturate
from immich_sidecar.develop.table_kernels import (
    BLUE,
    FACTOR,
    GREEN,
    HALF,
    LOW,
    NEW_HIGH,
    NEW_LOW,
    ONE,
    P1,
    P2,
    PIECE,
    RED,
    W0,
    ZERO,
    encode,
    lay_codes,
    memory,
    mix,
    nearly_displayed,
    padded,
    through_bits,
    through_table,
)

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: A channel counts as cut off from here on, in sixteenths of the range of light; wholly at its end.
_CUT = np.float32(15.0)
#: Part of the range of light below which nothing counts as cut off, and no white as clipped.
_NEARLY_CUT = np.float32(0.9)


class Stages(NamedTuple):
    """What the back half is to do, with everything it needs. Arrays are `float32` unless said otherwise."""

    #: Whether code values of 8 bits, read or made, are display values, on the sRGB curve: no table need be asked.
    is_display: bool
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
    #: Exposure where nothing else happens to light before its surroundings are asked: see `exposure_numbers`.
    has_exposure: bool
    exposure: Any
    #: Linear light 0..`top` to 0..1. For code values of 8 bits `CODE_STEPS` values by the first bits of light; for 16
    #: by the root of light, `ROOT_STEPS` values and one more.
    has_first: bool
    first: Any
    #: Maps of the surroundings whose rows and columns lie evenly over the picture, base = a * root of luminance + b,
    #: and `GAIN_STEPS` factors by base.
    is_local: bool
    map_a: Any
    map_b: Any
    luminance: Any
    display: Any
    gains: Any
    #: A second curve, 0..1 to 0..1, laid in the same way.
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
    #: Table of display sRGB to display sRGB with so many points on each axis: red, green, blue and a nought for each
    #: place, laid out flat, places along red being next to each other; its strength 0..1; the 3x3 matrices to linear
    #: sRGB and back.
    has_lut: bool
    lut: Any
    lut_points: int
    lut_strength: float
    to_srgb: Any
    from_srgb: Any
    #: Light of display values, evenly, `ROOT_STEPS` values and one more.
    undisplay: Any
    #: Code values: `uint8` (channels, `CODE_STEPS`), or for 16 bits `float32` by the root of light, (channels,
    #: `ROOT_STEPS` and one more). One channel stands for three that are equal.
    encoding: Any


@compiled
def colour_codes(pixels: Any, tables: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour code values.

    `pixels` (rows, width, 3) uint8, rows of the picture from `first_row` on; `tables` (3, 256) code value to linear
    light; `out` like `pixels`; may be the same array.
    """
    around, held, (work, places) = rows_of_maps(pixels.shape[1], stages), np.full(2, -1), memory()
    for y in range(pixels.shape[0]):
        colour_row(pixels, y, tables, first_row + y, stages, around, held, work, places, out)


@compiled
def colour_planes(planes: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour linear light whose channels lie apart.

    `planes` (3, rows, width) float32, rows of the picture from `first_row` on; `out` (rows, width, 3) uint8 or uint16.
    """
    around, held, (work, places) = rows_of_maps(planes.shape[2], stages), np.full(2, -1), memory()
    for y in range(planes.shape[1]):
        colour_row(planes, y, None, first_row + y, stages, around, held, work, places, out)


@compiled
def rows_of_maps(width: int, stages: Any) -> Any:
    """Memory for rows of the maps of the surroundings, where they are asked."""
    return maps_for_rows(width if stages.is_local else 0, stages.map_a.shape[1], stages.width)


@compiled_loop
def colour_row(
    pixels: Any,
    row: int,
    tables: Any,
    y: int,
    stages: Any,
    around: Any,
    held: Any,
    work: Any,
    places: Any,
    out: Any,
) -> None:
    """Everything between row `row` of `pixels`, which is row `y` of the picture, and that row of `out`.

    `pixels` and `tables` are those of `read`. `stages` is taken apart here, once a row, because handing all of its
    arrays on takes half a microsecond a call.
    """
    is_local, has_first, has_second = stages.is_local, stages.has_first, stages.has_second
    first, second, gains = stages.first, stages.second, stages.gains
    luminance, encoding = stages.luminance, stages.encoding
    scale, is_deep = np.float32(ONE / np.float32(stages.top)), encoding.itemsize == 4
    # Whether the middle channel is to find its place again, and whether code values of 8 bits are made of that at once.
    is_curved = is_local or has_first
    changes_colour = stages.has_saturation or stages.is_monochrome or stages.has_lut
    ends_there = stages.is_display and not is_deep and not changes_colour
    part = prepare_row(y, stages.map_a, stages.map_b, stages.height, around, held) if is_local else ZERO
    width = out.shape[1]
    for x0 in range(0, width, PIECE):
        n = min(PIECE, width - x0)
        if tables is not None and stages.is_display:
            bright = read_display(pixels, row, x0, n, work, places)
        else:
            bright = read(pixels, row, x0, n, tables, work)
        if stages.has_falloff:
            brighten_corners(work, x0, y, stages.falloff, stages.falloff_map, places, n)
        if stages.has_before:
            mix(work, stages.before, n)
        is_plain = bright * scale < _NEARLY_CUT and not stages.has_before and not stages.has_falloff
        if stages.has_balance and is_plain and stages.has_exposure:
            mix_exposed(work, stages.balance, scale, stages.exposure, n)
        else:
            if stages.has_balance and is_plain:
                mix(work, stages.balance, n)
            elif stages.has_balance:
                balance(work, stages.balance, scale, n)
            if stages.has_exposure:
                spread_exposed(work, scale, stages.exposure, n)
            elif is_curved:
                spread(work, scale, n)
        if has_first:
            both_through(work, first, places, n, is_deep)
        if is_local:
            by_surroundings(work, around, part, x0, luminance, gains, places, n)
            if has_second:
                both_through(work, second, places, n, is_deep)
        if is_curved and ends_there:
            between_encoded(work, places, n)
            lay_codes(places, out, row, x0, n)
            continue
        if is_curved:
            between(work, n)
        if stages.has_saturation:
            saturation, vibrance = np.float32(stages.saturation), np.float32(stages.vibrance)
            saturate(work, stages.to_cones, stages.from_cones, saturation, vibrance, places, n)
        if stages.is_monochrome:
            to_grey(work, stages.weights, stages.toning, np.float32(stages.grey_amount), places, n)
        if stages.has_lut:
            look_up(work, stages, places, n, is_deep)
        encode(work, places, encoding, stages.is_display, out, row, x0, n)


@compiled_loop
def both_through(work: Any, table: Any, places: Any, n: int, is_deep: bool) -> None:
    """Put the new extremes through a table that is laid by the root of light where deep, else by its first bits."""
    if is_deep:
        through_table(work, NEW_HIGH, table, places, n, is_deep)
        through_table(work, NEW_LOW, table, places, n, is_deep)
    else:
        through_bits(work, table, places, n)


@compiled_loop
def balance(work: Any, m: Any, scale: Any, n: int) -> None:
    m00, m01, m02 = m[0, 0], m[0, 1], m[0, 2]
    m10, m11, m12 = m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    cut = np.float32(16.0) * scale
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        # White that is clipped stays white: between 0.9 and 1 the change fades out.
        keep = (min(r, g, b) * scale - _NEARLY_CUT) * np.float32(10.0)
        keep = min(max(keep, ZERO), ONE)
        keep = keep * keep * (np.float32(3.0) - np.float32(2.0) * keep)
        r2 = m00 * r + m01 * g + m02 * b
        g2 = m10 * r + m11 * g + m12 * b
        b2 = m20 * r + m21 * g + m22 * b
        # A channel that was cut off was brighter than it shows: it is not drawn beneath the other two.
        r3 = r2 + min(max(r * cut - _CUT, ZERO), ONE) * max((g2 + b2) * HALF - r2, ZERO)
        g3 = g2 + min(max(g * cut - _CUT, ZERO), ONE) * max((r2 + b2) * HALF - g2, ZERO)
        b3 = b2 + min(max(b * cut - _CUT, ZERO), ONE) * max((r2 + g2) * HALF - b2, ZERO)
        work[i + RED] = r3 + keep * (r - r3)
        work[i + GREEN] = g3 + keep * (g - g3)
        work[i + BLUE] = b3 + keep * (b - b3)


@compiled_loop
def spread(work: Any, scale: Any, n: int) -> None:
    """Cut light to 0..1; note the smallest channel, the largest and it as new ones, and 1 over their difference."""
    for i in range(padded(n)):
        note(work, i, work[i + RED] * scale, work[i + GREEN] * scale, work[i + BLUE] * scale)


@compiled_loop
def spread_exposed(work: Any, scale: Any, numbers: Any, n: int) -> None:
    """As `spread`, with the new extremes as `exposed` has them."""
    for i in range(padded(n)):
        high, low = note(work, i, work[i + RED] * scale, work[i + GREEN] * scale, work[i + BLUE] * scale)
        work[i + NEW_HIGH], work[i + NEW_LOW] = exposed(high, low, numbers[0], numbers[1], numbers[2])


@compiled_loop
def mix_exposed(work: Any, m: Any, scale: Any, numbers: Any, n: int) -> None:
    """As `mix` and `spread_exposed`, in one loop."""
    m00, m01, m02 = m[0, 0], m[0, 1], m[0, 2]
    m10, m11, m12 = m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    before, after, bend = numbers[0], numbers[1], numbers[2]
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        red = m00 * r + m01 * g + m02 * b
        green = m10 * r + m11 * g + m12 * b
        blue = m20 * r + m21 * g + m22 * b
        high, low = note(work, i, red * scale, green * scale, blue * scale)
        work[i + NEW_HIGH], work[i + NEW_LOW] = exposed(high, low, before, after, bend)


@compiled_loop
def note(work: Any, i: int, red: Any, green: Any, blue: Any) -> Any:
    """What `spread` does with one pixel; its largest and its smallest channel."""
    r, g, b = min(max(red, ZERO), ONE), min(max(green, ZERO), ONE), min(max(blue, ZERO), ONE)
    high, low = max(r, g, b), min(r, g, b)
    work[i + RED], work[i + GREEN], work[i + BLUE] = r, g, b
    work[i + LOW], work[i + NEW_HIGH], work[i + NEW_LOW] = low, high, low
    work[i + FACTOR] = ONE / max(high - low, np.float32(1e-9))
    return high, low


@compiled_loop
def exposed(high: Any, low: Any, before: Any, after: Any, bend: Any) -> Any:
    """`exposure_curve` of two numbers, whose own numbers are told by `exposure_numbers`."""
    knee, room, one_by_room = np.float32(KNEE), np.float32(1.0 - KNEE), np.float32(1.0 / (1.0 - KNEE))
    high, low = high * before, low * before
    over_high, over_low = max(high - knee, ZERO) * one_by_room, max(low - knee, ZERO) * one_by_room
    # A division takes longer than all the rest, so there is one for both.
    below_high, below_low = ONE + bend * over_high, ONE + bend * over_low
    share = room / (below_high * below_low)
    new_high = min((min(high, knee) + over_high * below_low * share) * after, ONE)
    return new_high, min((min(low, knee) + over_low * below_high * share) * after, ONE)


@compiled_loop
def between(work: Any, n: int) -> None:
    """The largest and the smallest channel become the new ones; the middle one keeps its place between them."""
    for i in range(padded(n)):
        low, new_low = work[i + LOW], work[i + NEW_LOW]
        slope = (work[i + NEW_HIGH] - new_low) * work[i + FACTOR]
        work[i + RED] = new_low + (work[i + RED] - low) * slope
        work[i + GREEN] = new_low + (work[i + GREEN] - low) * slope
        work[i + BLUE] = new_low + (work[i + BLUE] - low) * slope


@compiled_loop
def between_encoded(work: Any, places: Any, n: int) -> None:
    """As `between`, and at once to code values of 8 bits on the sRGB curve, into `places`."""
    top = np.float32(255.0)
    for i in range(padded(n)):
        low, new_low = work[i + LOW], work[i + NEW_LOW]
        slope = (work[i + NEW_HIGH] - new_low) * work[i + FACTOR]
        places[i] = np.int32(nearly_displayed(new_low + (work[i + RED] - low) * slope) * top + HALF)
        places[i + P1] = np.int32(nearly_displayed(new_low + (work[i + GREEN] - low) * slope) * top + HALF)
        places[i + P2] = np.int32(nearly_displayed(new_low + (work[i + BLUE] - low) * slope) * top + HALF)


@compiled_loop
def brighten_corners(work: Any, x0: int, y: int, falloff: Any, m: Any, places: Any, n: int) -> None:
    last = np.float32(falloff.shape[0] - 2)
    row = np.float32(y)
    u0, v0, w0 = m[0, 1] * row + m[0, 2], m[1, 1] * row + m[1, 2], m[2, 1] * row + m[2, 2]
    u1, v1, w1 = m[0, 0], m[1, 0], m[2, 0]
    for i in range(padded(n)):
        x = np.float32(x0 + i)
        w = ONE / (w1 * x + w0)
        u, v = (u1 * x + u0) * w, (v1 * x + v0) * w
        place = min(u * u + v * v, ONE) * last
        k = np.int32(place)
        places[i], work[i + W0] = k, place - np.float32(k)
    for i in range(n):
        at = np.uint32(places[i])
        work[i + W0] = falloff[at] + (falloff[at + np.uint32(1)] - falloff[at]) * work[i + W0]
    for i in range(padded(n)):
        work[i + RED] *= work[i + W0]
        work[i + GREEN] *= work[i + W0]
        work[i + BLUE] *= work[i + W0]
