"""What all loops of colour share: the memory that they work in, tables by the root of light, and code values.

A row is worked on in pieces of `PIECE` pixels. All numbers of a piece lie in one array, plane after plane, whose
distances compilers know: only so do they see that planes do not overlap, without asking at each call, and make vector
instructions of loops that read and write many of them. Loops that compute run on to a whole number of vectors
(`padded`), over numbers that nobody reads.
"""

from typing import Any

import numpy as np

from immich_sidecar.develop import aligned
from immich_sidecar.develop.compiled import compiled, compiled_loop

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Steps of the tables that are indexed by the square root of light, which is even enough to the eye that 4096
#: steps are finer than an eighth of a code value everywhere.
ROOT_STEPS = 4096
ROOT_TOP = np.float32(ROOT_STEPS - 1)
#: Code values of 8 bits are looked up by the exponent of light and the first bits of its fraction, as floating point
#: numbers (IEEE 754) have them: nothing is computed to find a place. So many powers of two below 1, so many steps each.
_POWERS, _BITS = 24, 10
CODE_STEPS = (_POWERS << _BITS) + 1
_FIRST_CODE, _LAST_CODE, _UNUSED = (127 - _POWERS) << _BITS, 127 << _BITS, 23 - _BITS
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
#: Pixels of a piece of a row: what belongs to them stays in the first-level cache.
PIECE = 512
#: Where the planes of a piece begin: the three channels; the largest (or room for what is not kept) and the smallest of
#: them, and what those become; two numbers of the surroundings; five planes for whoever needs some.
RED, GREEN, BLUE, HIGH, LOW, NEW_HIGH, NEW_LOW, MAP_A, MAP_B, W0, W1, W2, W3, FACTOR = (k * PIECE for k in range(14))
_PLANES = 14
#: The second and the third plane of places in tables.
P1, P2 = PIECE, 2 * PIECE
#: What `padded` makes whole.
_LANES = 16


@compiled
def memory() -> Any:
    """Memory of a piece: its planes, and three planes of places in tables."""
    return aligned.zeros(_PLANES * PIECE), aligned.zeros(3 * PIECE).view(np.int32)


@compiled_loop
def padded(n: int) -> int:
    """The number of pixels that loops without look-ups run over."""
    return (n + (_LANES - 1)) // _LANES * _LANES


@compiled_loop
def root_place(light: Any) -> Any:
    """The nearest place of light in a table by the root of light."""
    return np.int32(np.sqrt(min(max(light, ZERO), ONE)) * ROOT_TOP + HALF)


@compiled_loop
def bit_place(bits: Any) -> Any:
    """The place of light in a table of `CODE_STEPS`; `bits` are those of its floating point number, as an integer.

    Differences of two numbers of 32 bits have 64 in numba, unless they are told not to.
    """
    first, last = np.int32(_FIRST_CODE), np.int32(_LAST_CODE)
    return np.int32(max(min(np.int32(bits >> np.int32(_UNUSED)), last), first) - first)


def code_lights() -> Any:
    """Light in the middle of each of the `CODE_STEPS` places of a table of code values of 8 bits; `float32`."""
    bits = (np.arange(CODE_STEPS, dtype=np.int32) + _FIRST_CODE) << _UNUSED
    lights = (bits + (1 << (_UNUSED - 1))).view(np.float32)
    lights[0], lights[-1] = 0.0, 1.0
    return lights


@compiled_loop
def through_bits(work: Any, table: Any, places: Any, n: int) -> None:
    """Put the new extremes, cut to 0..1, through a table of `CODE_STEPS` values; for results of 8 bits."""
    bits = work.view(np.int32)
    for i in range(padded(n)):
        places[i] = bit_place(bits[i + NEW_HIGH])
        places[i + P1] = bit_place(bits[i + NEW_LOW])
    for i in range(n):
        work[i + NEW_HIGH] = table[np.uint32(places[i])]
        work[i + NEW_LOW] = table[np.uint32(places[i + P1])]


@compiled_loop
def through_table(work: Any, plane: int, table: Any, places: Any, n: int, is_deep: bool) -> None:
    """Put a plane of values 0..1 through a table by the root; interpolated where the result has more than 8 bits.

    Loops that compute places and loops that look up are kept apart everywhere, because the former become vector
    instructions only then.
    """
    values = work[plane : plane + PIECE]
    if not is_deep:
        for i in range(padded(n)):
            places[i] = root_place(values[i])
        for i in range(n):
            values[i] = table[np.uint32(places[i])]
        return
    parts = work[W0 : W0 + PIECE]
    for i in range(padded(n)):
        place = np.sqrt(min(max(values[i], ZERO), ONE)) * ROOT_TOP
        k = np.int32(place)
        places[i] = k
        parts[i] = place - np.float32(k)
    between_steps(values, table, places, parts, n)


@compiled_loop
def between_steps(values: Any, table: Any, places: Any, parts: Any, n: int) -> None:
    """What a table says at `places` and `parts` of the step that follows."""
    for i in range(n):
        at = np.uint32(places[i])
        below = table[at]
        values[i] = below + (table[at + np.uint32(1)] - below) * parts[i]


@compiled_loop
def through_even_table(work: Any, plane: int, table: Any, places: Any, n: int) -> None:
    """Put a plane of values, cut to 0..1, through an even table of `ROOT_STEPS` values and one more; interpolated."""
    values, parts = work[plane : plane + PIECE], work[W0 : W0 + PIECE]
    for i in range(padded(n)):
        place = min(max(values[i], ZERO), ONE) * ROOT_TOP
        k = np.int32(place)
        places[i] = k
        parts[i] = place - np.float32(k)
    between_steps(values, table, places, parts, n)


@compiled_loop
def mix(work: Any, m: Any, n: int) -> None:
    """The three channels times a 3x3 matrix."""
    m00, m01, m02 = m[0, 0], m[0, 1], m[0, 2]
    m10, m11, m12 = m[1, 0], m[1, 1], m[1, 2]
    m20, m21, m22 = m[2, 0], m[2, 1], m[2, 2]
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        work[i + RED] = m00 * r + m01 * g + m02 * b
        work[i + GREEN] = m10 * r + m11 * g + m12 * b
        work[i + BLUE] = m20 * r + m21 * g + m22 * b


@compiled_loop
def nearly_displayed(light: Any) -> Any:
    """The sRGB curve (IEC 61966-2-1) to a 26th of a code value of 8 bits: a polynomial of the root of light.

    Its coefficients are those whose largest error is least.
    """
    light = min(max(light, ZERO), ONE)
    root = np.sqrt(light)
    curve = (np.float32(-0.94769193) * root + np.float32(3.41875307)) * root - np.float32(5.00324925)
    curve = (curve * root + np.float32(3.89848894)) * root - np.float32(1.89949067)
    curve = (curve * root + np.float32(1.57527289)) * root - np.float32(0.04223204)
    return curve if light > np.float32(0.0031308) else np.float32(12.92) * light


@compiled_loop
def encode(work: Any, places: Any, encoding: Any, is_display: bool, out: Any, y: int, x0: int, n: int) -> None:
    """Light, cut to 0..1, to code values (rows, width, 3), `uint8` or `uint16`; `encoding` as in `Stages`."""
    if out.itemsize == 2:
        row = out[y, x0 : x0 + n]
        for k in range(3):
            through_table(work, k * PIECE, encoding[min(k, encoding.shape[0] - 1)], places, n, True)
        for i in range(n):
            row[i, 0], row[i, 1], row[i, 2] = work[i] + HALF, work[i + GREEN] + HALF, work[i + BLUE] + HALF
        return
    codes, begin = out[y].reshape(3 * out.shape[1]), np.uintp(3 * x0)
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    if is_display:
        for i in range(3 * PIECE):
            places[i] = np.int32(nearly_displayed(work[i]) * np.float32(255.0) + HALF)
        lay_codes(places, out, y, x0, n)
        return
    bits = work.view(np.int32)
    for i in range(padded(n)):
        places[i] = bit_place(bits[i])
        places[i + P1] = bit_place(bits[i + GREEN])
        places[i + P2] = bit_place(bits[i + BLUE])
    red, green, blue = np.uintp(0), np.uintp(encoding.shape[0] // 2), np.uintp(encoding.shape[0] - 1)
    for i in range(n):
        at = begin + np.uintp(i) * three
        codes[at] = encoding[red, np.uintp(places[i])]
        codes[at + one] = encoding[green, np.uintp(places[i + P1])]
        codes[at + two] = encoding[blue, np.uintp(places[i + P2])]


@compiled_loop
def lay_codes(places: Any, out: Any, y: int, x0: int, n: int) -> None:
    """Code values of 8 bits, plane after plane, side by side."""
    codes, begin = out[y].reshape(3 * out.shape[1]), np.uintp(3 * x0)
    one, two, three = np.uintp(1), np.uintp(2), np.uintp(3)
    for i in range(n):
        at = begin + np.uintp(i) * three
        codes[at] = np.uint8(places[i])
        codes[at + one] = np.uint8(places[i + P1])
        codes[at + two] = np.uint8(places[i + P2])
