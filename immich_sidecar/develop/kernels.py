"""The compiled inner loops of colour. Compiled at first use, and kept in numba's cache where one can be written.

The cache lies where NUMBA_CACHE_DIR says, else beside this file, else in the user's cache folder; with none
of them writable they are compiled anew in each process. Importing this module imports numba: import it where
pixels are about to be coloured.

A row is worked on in pieces that fit the first-level cache, stage after stage, each a loop that a compiler turns
into vector instructions; what a plan does not ask for is a stage that is not called. Two front ends read pixels
(code values, or linear light); everything after that is one back half. All of it is in this one file, because
numba's cache notices changes of the file of a function only, not of the files of those it calls.
"""

from typing import Any, NamedTuple

import numpy as np

from immich_sidecar.develop.compiled import compiled as _compiled

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Pixels of a piece of a row.
_PIECE = 1024
#: Steps of the tables that are indexed by the square root of light, which is even enough to the eye that 4096
#: steps are finer than an eighth of a code value everywhere.
ROOT_STEPS = 4096
_ROOT_TOP = np.float32(ROOT_STEPS - 1)
#: Steps of `gains` and of the falloff.
GAIN_STEPS = 4096
#: OKLab chroma from which on vibrance leaves a colour alone.
VIVID = 0.3
#: The hue of skin of all complexions lies about 48 degrees in OKLab: its direction, the cosines between which a hue
#: counts as skin wholly and not at all (25 and 50 degrees away), and how much of vibrance skin is spared.
SKIN_A, SKIN_B, SKIN_NEAR, SKIN_FAR, SKIN_KEPT = 0.669, 0.743, 0.906, 0.643, 0.7
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
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


@_compiled
def colour_codes(pixels: Any, tables: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour code values.

    `pixels` (rows, width, 3) uint8 or uint16, rows of the picture from `first_row` on; `tables` (3, levels) code
    value to linear light; `out` like `pixels`, uint8 or uint16; may be the same array.
    """
    width = pixels.shape[1]
    light, around, held = np.empty((3, width), np.float32), _surroundings(width, stages), np.full(2, -1)
    for y in range(pixels.shape[0]):
        row = pixels[y]
        for i in range(width):
            light[0, i] = tables[0, row[i, 0]]
            light[1, i] = tables[1, row[i, 1]]
            light[2, i] = tables[2, row[i, 2]]
        _colour_row(light, first_row + y, stages, around, held, out[y])


@_compiled
def colour_light(pixels: Any, scale: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour linear light.

    `pixels` (rows, width, 3) of any number type, rows of the picture from `first_row` on, which times `scale`
    (float32) are linear light; `out` like `pixels`, uint8 or uint16.
    """
    width = pixels.shape[1]
    light, around, held = np.empty((3, width), np.float32), _surroundings(width, stages), np.full(2, -1)
    for y in range(pixels.shape[0]):
        row = pixels[y]
        for i in range(width):
            light[0, i] = np.float32(row[i, 0]) * scale
            light[1, i] = np.float32(row[i, 1]) * scale
            light[2, i] = np.float32(row[i, 2]) * scale
        _colour_row(light, first_row + y, stages, around, held, out[y])


@_compiled
def colour_planes(planes: Any, first_row: int, stages: Any, out: Any) -> None:
    """Colour linear light whose channels lie apart.

    `planes` (3, rows, width) float32, rows of the picture from `first_row` on; `out` (rows, width, 3) uint8.
    """
    width = planes.shape[2]
    light, around, held = np.empty((3, width), np.float32), _surroundings(width, stages), np.full(2, -1)
    for y in range(planes.shape[1]):
        light[:] = planes[:, y]
        _colour_row(light, first_row + y, stages, around, held, out[y])


@_compiled
def _colour_row(light: Any, y: int, stages: Any, around: Any, held: Any, out: Any) -> None:
    """Everything between linear light of the file (3, width), which is overwritten, and a row of code values.

    `stages` is taken apart here, once a row, because handing all of its arrays on for each piece takes a tenth of the
    whole time.
    """
    work, places = np.empty((6, _PIECE), np.float32), np.empty((3, _PIECE), np.int32)
    is_local, has_first, has_second = stages.is_local, stages.has_first, stages.has_second
    first, second, display, gains = stages.first, stages.second, stages.display, stages.gains
    luminance, encoding = stages.luminance, stages.encoding
    scale, is_deep = np.float32(_ONE / np.float32(stages.top)), encoding.itemsize == 4
    if is_local:
        _prepare_row(y, stages.map_a, stages.map_b, stages.height, around, held)
    for x0 in range(0, light.shape[1], _PIECE):
        n = min(_PIECE, light.shape[1] - x0)
        red, green, blue = light[0, x0 : x0 + n], light[1, x0 : x0 + n], light[2, x0 : x0 + n]
        if stages.has_falloff:
            _brighten_corners(red, green, blue, x0, y, stages.falloff, stages.falloff_map, work, places)
        if stages.has_before:
            _mix(red, green, blue, stages.before)
        if stages.has_balance:
            _balance(red, green, blue, stages.balance, scale)
        if is_local or has_first:
            _spread(red, green, blue, scale, work)
        if has_first:
            _through_table(work[2, :n], first, places[0], work[4], is_deep)
            _through_table(work[3, :n], first, places[0], work[4], is_deep)
        if is_local:
            map_a, map_b = around[0, x0 : x0 + n], around[1, x0 : x0 + n]
            _by_surroundings(red, green, blue, luminance, display, gains, map_a, map_b, work, places[0])
            if has_second:
                _through_table(work[2, :n], second, places[0], work[4], is_deep)
                _through_table(work[3, :n], second, places[0], work[4], is_deep)
        if is_local or has_first:
            _between(red, green, blue, work)
        if stages.has_saturation:
            saturation, vibrance = np.float32(stages.saturation), np.float32(stages.vibrance)
            _saturate(red, green, blue, stages.to_cones, stages.from_cones, saturation, vibrance, work)
        if stages.is_monochrome:
            _to_grey(red, green, blue, stages.weights, stages.toning, np.float32(stages.grey_amount), work, places)
        if stages.has_lut:
            _look_up(red, green, blue, stages)
        _encode(red, green, blue, encoding, places, out[x0 : x0 + n])


@_compiled
def _encode(red: Any, green: Any, blue: Any, encoding: Any, places: Any, out: Any) -> None:
    n = red.shape[0]
    if out.itemsize == 2:
        _encode_deep(red, encoding[0], out[:, 0])
        _encode_deep(green, encoding[1], out[:, 1])
        _encode_deep(blue, encoding[2], out[:, 2])
        return
    _root_places(red, places[0])
    _root_places(green, places[1])
    _root_places(blue, places[2])
    for i in range(n):
        out[i, 0] = encoding[0, np.uint32(places[0, i])]
        out[i, 1] = encoding[1, np.uint32(places[1, i])]
        out[i, 2] = encoding[2, np.uint32(places[2, i])]


@_compiled
def _encode_deep(light: Any, encoding: Any, out: Any) -> None:
    for i in range(light.shape[0]):
        place = np.sqrt(min(max(light[i], _ZERO), _ONE)) * _ROOT_TOP
        k = np.int32(place)
        below, above = np.float32(encoding[k]), np.float32(encoding[k + np.int32(1)])
        out[i] = below + (above - below) * (place - np.float32(k)) + _HALF


@_compiled
def _root_places(light: Any, places: Any) -> None:
    """The nearest places of light in a table by the root of light.

    Loops that compute places and loops that look up are kept apart everywhere, because the former become vector
    instructions only then.
    """
    for i in range(light.shape[0]):
        places[i] = np.int32(np.sqrt(min(max(light[i], _ZERO), _ONE)) * _ROOT_TOP + _HALF)


@_compiled
def _through_table(values: Any, table: Any, places: Any, parts: Any, is_deep: bool) -> None:
    """Put values 0..1 through a table by the root, in place; interpolated where the result has more than 8 bits."""
    n = values.shape[0]
    if not is_deep:
        _root_places(values, places)
        for i in range(n):
            values[i] = table[np.uint32(places[i])]
        return
    for i in range(n):
        place = np.sqrt(values[i]) * _ROOT_TOP
        k = np.int32(place)
        places[i] = k
        parts[i] = place - np.float32(k)
    for i in range(n):
        at = np.uint32(places[i])
        below = table[at]
        values[i] = below + (table[at + np.uint32(1)] - below) * parts[i]


@_compiled
def _mix(red: Any, green: Any, blue: Any, m: Any) -> None:
    for i in range(red.shape[0]):
        r, g, b = red[i], green[i], blue[i]
        red[i] = m[0, 0] * r + m[0, 1] * g + m[0, 2] * b
        green[i] = m[1, 0] * r + m[1, 1] * g + m[1, 2] * b
        blue[i] = m[2, 0] * r + m[2, 1] * g + m[2, 2] * b


@_compiled
def _balance(red: Any, green: Any, blue: Any, m: Any, scale: Any) -> None:
    for i in range(red.shape[0]):
        r, g, b = red[i], green[i], blue[i]
        # White that is clipped stays white: between 0.9 and 1 the change fades out.
        keep = (min(r, g, b) * scale - np.float32(0.9)) * np.float32(10.0)
        keep = min(max(keep, _ZERO), _ONE)
        keep = keep * keep * (np.float32(3.0) - np.float32(2.0) * keep)
        r2 = m[0, 0] * r + m[0, 1] * g + m[0, 2] * b
        g2 = m[1, 0] * r + m[1, 1] * g + m[1, 2] * b
        b2 = m[2, 0] * r + m[2, 1] * g + m[2, 2] * b
        # A channel that was cut off was brighter than it shows: it is not drawn beneath the other two.
        cut = np.float32(16.0) * scale
        r3 = r2 + min(max(r * cut - _CUT, _ZERO), _ONE) * max((g2 + b2) * _HALF - r2, _ZERO)
        g3 = g2 + min(max(g * cut - _CUT, _ZERO), _ONE) * max((r2 + b2) * _HALF - g2, _ZERO)
        b3 = b2 + min(max(b * cut - _CUT, _ZERO), _ONE) * max((r2 + g2) * _HALF - b2, _ZERO)
        red[i] = r3 + keep * (r - r3)
        green[i] = g3 + keep * (g - g3)
        blue[i] = b3 + keep * (b - b3)


@_compiled
def _spread(red: Any, green: Any, blue: Any, scale: Any, work: Any) -> None:
    """Cut light to 0..1; the largest and the smallest channel into the first two rows of `work` and the next two."""
    n = red.shape[0]
    high, low, new_high, new_low = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    for i in range(n):
        r = min(max(red[i] * scale, _ZERO), _ONE)
        g = min(max(green[i] * scale, _ZERO), _ONE)
        b = min(max(blue[i] * scale, _ZERO), _ONE)
        red[i], green[i], blue[i] = r, g, b
        high[i], low[i] = max(r, g, b), min(r, g, b)
        new_high[i], new_low[i] = max(r, g, b), min(r, g, b)


@_compiled
def _between(red: Any, green: Any, blue: Any, work: Any) -> None:
    """The largest and the smallest channel become the new ones; the middle one keeps its place between them."""
    n = red.shape[0]
    high, low, new_high, new_low = work[0, :n], work[1, :n], work[2, :n], work[3, :n]
    for i in range(n):
        base = low[i]
        slope = (new_high[i] - new_low[i]) / max(high[i] - base, np.float32(1e-9))
        red[i] = new_low[i] + (red[i] - base) * slope
        green[i] = new_low[i] + (green[i] - base) * slope
        blue[i] = new_low[i] + (blue[i] - base) * slope


@_compiled
def _by_surroundings(
    red: Any,
    green: Any,
    blue: Any,
    luminance: Any,
    display: Any,
    gains: Any,
    map_a: Any,
    map_b: Any,
    work: Any,
    place: Any,
) -> None:
    """A factor that depends on the brightness of the surroundings (shadows and highlights), for the new extremes."""
    n = red.shape[0]
    wr, wg, wb = luminance[0], luminance[1], luminance[2]
    high, low, new_high, new_low, value = work[0, :n], work[1, :n], work[2, :n], work[3, :n], work[5, :n]
    for i in range(n):
        base = low[i]
        slope = (new_high[i] - new_low[i]) / max(high[i] - base, np.float32(1e-9))
        light = new_low[i] + (wr * red[i] + wg * green[i] + wb * blue[i] - base) * slope
        place[i] = np.int32(np.sqrt(min(max(light, _ZERO), _ONE)) * _ROOT_TOP + _HALF)
    for i in range(n):
        value[i] = display[np.uint32(place[i])]
    for i in range(n):
        base = min(max(map_a[i] * value[i] + map_b[i], _ZERO), _ONE)
        place[i] = np.int32(base * np.float32(GAIN_STEPS - 1) + _HALF)
    for i in range(n):
        value[i] = gains[np.uint32(place[i])]
    for i in range(n):
        new_high[i] = min(new_high[i] * value[i], _ONE)
        new_low[i] = min(new_low[i] * value[i], _ONE)


@_compiled
def _surroundings(width: int, stages: Any) -> Any:
    """What `_prepare_row` works on: the maps at a row, and the rows of the two maps above and below it.

    Last come, for each column of the picture, the column of the maps to its left and its share of the one after.
    """
    if not stages.is_local:
        return np.empty((8, 1), np.float32)
    around = np.empty((8, width), np.float32)
    columns = stages.map_a.shape[1]
    step = columns / stages.width
    for x in range(width):
        place = min(max((x + 0.5) * step - 0.5, 0.0), columns - 1.0)
        first = min(int(place), max(columns - 2, 0))
        around[6, x], around[7, x] = first, place - first
    return around


@_compiled
def _prepare_row(y: int, map_a: Any, map_b: Any, height: int, around: Any, held: Any) -> None:
    """The maps of the surroundings at a row of the picture, into the first two rows of `around`.

    `held` says which rows of the maps the next four rows come from.
    """
    rows = map_a.shape[0]
    place = (np.float32(y) + _HALF) * np.float32(rows / height) - _HALF
    place = min(max(place, _ZERO), np.float32(rows - 1))
    first = int(place)
    second = min(first + 1, rows - 1)
    if held[0] != first or held[1] != second:
        if held[1] == first:
            around[2:4] = around[4:6]
        else:
            _widen(map_a[first], around[6], around[7], around[2])
            _widen(map_b[first], around[6], around[7], around[3])
        _widen(map_a[second], around[6], around[7], around[4])
        _widen(map_b[second], around[6], around[7], around[5])
        held[0], held[1] = first, second
    part = place - np.float32(first)
    for x in range(around.shape[1]):
        around[0, x] = around[2, x] + (around[4, x] - around[2, x]) * part
        around[1, x] = around[3, x] + (around[5, x] - around[3, x]) * part


@_compiled
def _widen(row: Any, firsts: Any, parts: Any, out: Any) -> None:
    """A row of a map, interpolated to pixels of the picture."""
    after = min(1, row.shape[0] - 1)
    for x in range(out.shape[0]):
        first = np.uint32(firsts[x])
        out[x] = row[first] + (row[first + np.uint32(after)] - row[first]) * parts[x]


@_compiled
def _brighten_corners(
    red: Any, green: Any, blue: Any, x0: int, y: int, falloff: Any, m: Any, work: Any, places: Any
) -> None:
    n = red.shape[0]
    last = np.float32(falloff.shape[0] - 2)
    row = np.float32(y)
    u0, v0, w0 = m[0, 1] * row + m[0, 2], m[1, 1] * row + m[1, 2], m[2, 1] * row + m[2, 2]
    for i in range(n):
        x = np.float32(x0 + i)
        w = _ONE / (m[2, 0] * x + w0)
        u, v = (m[0, 0] * x + u0) * w, (m[1, 0] * x + v0) * w
        place = min(u * u + v * v, _ONE) * last
        k = np.int32(place)
        places[0, i], work[0, i] = k, place - np.float32(k)
    for i in range(n):
        at = np.uint32(places[0, i])
        work[0, i] = falloff[at] + (falloff[at + np.uint32(1)] - falloff[at]) * work[0, i]
    for i in range(n):
        red[i] *= work[0, i]
        green[i] *= work[0, i]
        blue[i] *= work[0, i]


@_compiled
def _to_grey(red: Any, green: Any, blue: Any, weights: Any, toning: Any, amount: Any, work: Any, places: Any) -> None:
    n = red.shape[0]
    grey = work[0, :n]
    for i in range(n):
        grey[i] = weights[0] * red[i] + weights[1] * green[i] + weights[2] * blue[i]
    _root_places(grey, places[0])
    for i in range(n):
        at = np.uint32(places[0, i])
        red[i] += (toning[0, at] - red[i]) * amount
        green[i] += (toning[1, at] - green[i]) * amount
        blue[i] += (toning[2, at] - blue[i]) * amount


@_compiled
def _saturate(
    red: Any, green: Any, blue: Any, to_cones: Any, back: Any, saturation: Any, vibrance: Any, work: Any
) -> None:
    """Saturation and vibrance: OKLab chroma times a factor, hue and lightness kept, held inside the space.

    With the lightness kept, a factor t of chroma moves the cube root of each cone response away from the lightness
    by t, and each channel is a polynomial of degree 3 in t. Where that would leave 0..1 the factor is bent so that
    it ends at the border of the space and no two different colours become one.
    """
    n = red.shape[0]
    for i in range(n):
        r, g, b = red[i], green[i], blue[i]
        for k in range(3):
            work[k, i] = max(to_cones[k, 0] * r + to_cones[k, 1] * g + to_cones[k, 2] * b, np.float32(1e-9))
    for k in range(3):
        _cube_roots(work[k, :n])
    for i in range(n):
        long, middle, short = work[0, i], work[1, i], work[2, i]
        light = np.float32(0.2104542553) * long + np.float32(0.7936177850) * middle + np.float32(-0.0040720403) * short
        a = np.float32(1.9779984951) * long - np.float32(2.4285922050) * middle + np.float32(0.4505937099) * short
        b = np.float32(0.0259040371) * long + np.float32(0.7827717662) * middle - np.float32(0.8086758033) * short
        chroma = np.sqrt(a * a + b * b) + np.float32(1e-9)
        # Vibrance: none for what is vivid already, little for the hues of skin.
        muted = max(_ONE - chroma * np.float32(1.0 / VIVID), _ZERO)
        skin = (a * np.float32(SKIN_A) + b * np.float32(SKIN_B)) / chroma
        skin = min(max((skin - np.float32(SKIN_FAR)) * np.float32(1.0 / (SKIN_NEAR - SKIN_FAR)), _ZERO), _ONE)
        skin = skin * skin * (np.float32(3.0) - np.float32(2.0) * skin)
        factor = saturation * (_ONE + vibrance * muted * muted * (_ONE - np.float32(SKIN_KEPT) * skin))
        work[0, i], work[1, i], work[2, i] = long - light, middle - light, short - light
        work[3, i], work[4, i] = light, factor
    for i in range(n):
        light, factor = work[3, i], work[4, i]
        p, q, s = work[0, i], work[1, i], work[2, i]
        l3, l2, l1 = light * light * light, np.float32(3.0) * light * light, np.float32(3.0) * light
        r1 = l2 * (back[0, 0] * p + back[0, 1] * q + back[0, 2] * s)
        g1 = l2 * (back[1, 0] * p + back[1, 1] * q + back[1, 2] * s)
        b1 = l2 * (back[2, 0] * p + back[2, 1] * q + back[2, 2] * s)
        p2, q2, s2 = p * p, q * q, s * s
        r2 = l1 * (back[0, 0] * p2 + back[0, 1] * q2 + back[0, 2] * s2)
        g2 = l1 * (back[1, 0] * p2 + back[1, 1] * q2 + back[1, 2] * s2)
        b2 = l1 * (back[2, 0] * p2 + back[2, 1] * q2 + back[2, 2] * s2)
        p2, q2, s2 = p2 * p, q2 * q, s2 * s
        r3 = back[0, 0] * p2 + back[0, 1] * q2 + back[0, 2] * s2
        g3 = back[1, 0] * p2 + back[1, 1] * q2 + back[1, 2] * s2
        b3 = back[2, 0] * p2 + back[2, 1] * q2 + back[2, 2] * s2
        # How far chroma may grow, between none and twice of what is asked.
        wanted = max(factor - _ONE, np.float32(1e-6))
        room, step = _ZERO, np.float32(2.0) * wanted
        for _ in range(9):
            t = _ONE + room + step
            r = l3 + t * (r1 + t * (r2 + t * r3))
            g = l3 + t * (g1 + t * (g2 + t * g3))
            b = l3 + t * (b1 + t * (b2 + t * b3))
            fits = min(r, g, b) >= np.float32(-1e-4) and max(r, g, b) <= np.float32(1.0001)
            room = room + step if fits else room
            step *= _HALF
        room = min(room, np.float32(2.0) * wanted)
        t = _ONE + room * (_ONE - room / (np.float32(4.0) * wanted)) if factor > _ONE else factor
        red[i] = l3 + t * (r1 + t * (r2 + t * r3))
        green[i] = l3 + t * (g1 + t * (g2 + t * g3))
        blue[i] = l3 + t * (b1 + t * (b2 + t * b3))


@_compiled
def _cube_roots(values: Any) -> None:
    """Cube roots in place: a third of the exponent as a first guess, then twice Halley's method."""
    bits = values.view(np.int32)
    for i in range(values.shape[0]):
        bits_of_guess = bits[i] // np.int32(3) + np.int32(709921077)
        x = values[i]
        bits[i] = bits_of_guess
        y = values[i]
        for _ in range(2):
            cube = y * y * y
            y = y * (cube + np.float32(2.0) * x) / (np.float32(2.0) * cube + x)
        values[i] = y


@_compiled
def _look_up(red: Any, green: Any, blue: Any, stages: Any) -> None:
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
        r0, g0, b0 = min(max(r, _ZERO), _ONE), min(max(g, _ZERO), _ONE), min(max(b, _ZERO), _ONE)
        # What lies outside sRGB is not in the table; it goes as the strength of the table grows.
        r_over, g_over, b_over = r - r0, g - g0, b - b0
        r = display[np.int32(np.sqrt(r0) * _ROOT_TOP + _HALF)]
        g = display[np.int32(np.sqrt(g0) * _ROOT_TOP + _HALF)]
        b = display[np.int32(np.sqrt(b0) * _ROOT_TOP + _HALF)]
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
        w0, wa, wb, w1 = _ONE - high, high - middle, middle - low, low
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
        left = _ONE - strength
        r = _interpolated(undisplay, r * left + new[0] * strength) + r_over * left
        g = _interpolated(undisplay, g * left + new[1] * strength) + g_over * left
        b = _interpolated(undisplay, b * left + new[2] * strength) + b_over * left
        red[i] = back[0, 0] * r + back[0, 1] * g + back[0, 2] * b
        green[i] = back[1, 0] * r + back[1, 1] * g + back[1, 2] * b
        blue[i] = back[2, 0] * r + back[2, 1] * g + back[2, 2] * b


@_compiled
def _interpolated(table: Any, value: Any) -> Any:
    place = min(max(value, _ZERO), _ONE) * _ROOT_TOP
    k = np.int32(place)
    return table[k] + (table[k + 1] - table[k]) * (place - np.float32(k))


@_compiled
def sharpen_rows(pixels: Any, luma: Any, soft: Any, light: Any, dark: Any, amount: Any, spared: Any) -> None:
    """Add to all three channels what sharpening adds to luma, in place.

    `pixels` (rows, width, 3) uint8; `luma`, its blur `soft`, and the lightest and darkest of its neighbours, uint8 of
    the same rows. `amount` (float32) is the factor of the difference between luma and blur, of which half is left at
    a difference whose fourth power is `spared` (float32, more than 0). A sixteenth of the neighbours' distance and
    one code value is what luma may pass them by.
    """
    width = pixels.shape[1]
    changes = np.empty(width, np.int16)
    triple = np.empty(3 * width, np.int16)
    black, white = np.int16(0), np.int16(255)
    for y in range(pixels.shape[0]):
        for x in range(width):
            difference = np.float32(luma[y, x]) - np.float32(soft[y, x])
            power = difference * difference
            power *= power
            change = amount * difference * power / (power + spared)
            here, high, low = np.float32(luma[y, x]), np.float32(light[y, x]), np.float32(dark[y, x])
            more = (high - low) * np.float32(0.0625) + _ONE
            new = min(max(here + change, low - more), high + more)
            changes[x] = np.int16(np.floor(new - here + _HALF))
        for x in range(width):
            triple[3 * x] = changes[x]
            triple[3 * x + 1] = changes[x]
            triple[3 * x + 2] = changes[x]
        row = pixels[y].reshape(3 * width)
        for x in range(3 * width):
            row[x] = min(max(np.int16(row[x]) + triple[x], black), white)
