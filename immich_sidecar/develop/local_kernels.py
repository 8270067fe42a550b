"""The compiled loops of changes to parts of a picture, piece by piece as in `kernels`."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled, compiled_loop
from immich_sidecar.develop.local_tone_kernels import maps_for_rows, maps_of_piece, prepare_row
from immich_sidecar.develop.reading_kernels import read
from immich_sidecar.develop.table_kernels import (
    BLUE,
    GREEN,
    HALF,
    MAP_A,
    MAP_B,
    ONE,
    PIECE,
    RED,
    W0,
    W1,
    W2,
    W3,
    ZERO,
    encode,
    memory,
    padded,
)

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Steps of `gains`, and below which part of a mask a pixel is left as it is.
STEPS = 1024
_TOP, _TRACE = np.float32(STEPS - 1), np.float32(1 / 512)
_TINY = np.float32(1e-9)
#: Planes of the root of luminance, how much a pixel belongs to a part, its gain there, and the most that it belongs to
#: any part.
_ROOT, _BELONGS, _GAIN, _MOST = W0, W1, W2, W3


@compiled
def change_rows(
    pixels: Any,
    decoding: Any,
    encoding: Any,
    is_display: bool,
    luminance: Any,
    maps_a: Any,
    maps_b: Any,
    gains: Any,
    saturation: Any,
    out: Any,
) -> None:
    """Change light and colour by how much each pixel belongs to each part.

    `pixels` (height, width, 3) uint16; `decoding` (3, 65536) code value to linear light; `encoding` and `is_display`
    as in `Stages`; `maps_a`, `maps_b` (parts, rows, columns): a pixel's part is a * root of luminance + b; `gains`
    (parts, `STEPS`) factors of light in the dark by how much a pixel belongs to the part, from not at all to wholly;
    `saturation` (parts,). What belongs to no part keeps its code value.
    """
    height, width = pixels.shape[:2]
    parts, _, columns = maps_a.shape
    around = np.zeros((parts, 6, padded(width)), np.float32)
    for part in range(parts):
        around[part] = maps_for_rows(width, columns, width)
    held, shares = np.full((parts, 2), -1), np.zeros(parts, np.float32)
    work, places = memory()
    for y in range(height):
        for part in range(parts):
            shares[part] = prepare_row(y, maps_a[part], maps_b[part], height, around[part], held[part])
        for x0 in range(0, width, PIECE):
            n = min(PIECE, width - x0)
            read(pixels, y, x0, n, decoding, work)
            note_roots(work, luminance, n)
            for part in range(parts):
                maps_of_piece(work, around[part], shares[part], x0, n)
                if belong(work, places, n) == 0:
                    continue
                brighten(work, places, gains[part], n)
                if saturation[part] != ZERO:
                    colour(work, luminance, saturation[part], n)
            encode(work, places, encoding, is_display, out, y, x0, n)
            keep_the_rest(work, pixels, out, y, x0, n)


@compiled_loop
def note_roots(work: Any, luminance: Any, n: int) -> None:
    wr, wg, wb = luminance[0], luminance[1], luminance[2]
    for i in range(padded(n)):
        grey = wr * work[i + RED] + wg * work[i + GREEN] + wb * work[i + BLUE]
        work[i + _ROOT], work[i + _MOST] = np.sqrt(max(grey, ZERO)), ZERO


@compiled_loop
def belong(work: Any, places: Any, n: int) -> Any:
    """How much pixels belong to the part whose maps are in `work`; 0 where no pixel does."""
    least = np.int32(_TRACE * _TOP)
    for i in range(padded(n)):
        share = min(max(work[i + MAP_A] * work[i + _ROOT] + work[i + MAP_B], ZERO), ONE)
        share = share if share >= _TRACE else ZERO
        work[i + _BELONGS], work[i + _MOST] = share, max(work[i + _MOST], share)
        places[i] = np.int32(share * _TOP + HALF)
    largest = np.int32(0)
    for i in range(n):
        largest = max(largest, places[i])
    return largest if largest > least else np.int32(0)


@compiled_loop
def brighten(work: Any, places: Any, gains: Any, n: int) -> None:
    """Light times its gain, which falls to nothing where a channel is full."""
    for i in range(n):
        work[i + _GAIN] = gains[np.uint32(places[i])]
    for i in range(padded(n)):
        r, g, b, gain = work[i + RED], work[i + GREEN], work[i + BLUE], work[i + _GAIN]
        gain /= ONE + (gain - ONE) * max(r, g, b)
        work[i + RED], work[i + GREEN], work[i + BLUE] = r * gain, g * gain, b * gain


@compiled_loop
def colour(work: Any, luminance: Any, saturation: Any, n: int) -> None:
    """Move channels away from luminance, or towards it, as far as none of them leaves 0..1."""
    wr, wg, wb = luminance[0], luminance[1], luminance[2]
    for i in range(padded(n)):
        r, g, b = work[i + RED], work[i + GREEN], work[i + BLUE]
        grey = wr * r + wg * g + wb * b
        above = max(ONE, (ONE - grey) / max(max(r, g, b) - grey, _TINY))
        below = max(ONE, grey / max(grey - min(r, g, b), _TINY))
        factor = min(ONE + saturation * work[i + _BELONGS], above, below)
        work[i + RED] = grey + (r - grey) * factor
        work[i + GREEN] = grey + (g - grey) * factor
        work[i + BLUE] = grey + (b - grey) * factor


@compiled_loop
def keep_the_rest(work: Any, pixels: Any, out: Any, y: int, x0: int, n: int) -> None:
    """Code values of pixels that belong to no part. One of 16 bits and one of 8 stand 257 to 1."""
    before, after = pixels[y, x0 : x0 + n], out[y, x0 : x0 + n]
    for i in range(n):
        if work[i + _MOST] == ZERO:
            for channel in range(3):
                value = np.uint32(before[i, channel])
                # By a number that compilers know they need not divide.
                after[i, channel] = value if out.itemsize == 2 else (value + np.uint32(128)) // np.uint32(257)
