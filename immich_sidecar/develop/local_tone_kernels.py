"""Compiled loops for what depends on the brightness of the surroundings of a pixel."""

from typing import Any

import numpy as np

from immich_sidecar.develop import aligned
from immich_sidecar.develop.compiled import compiled, compiled_loop
from immich_sidecar.develop.table_kernels import (
    BLUE,
    FACTOR,
    GREEN,
    HALF,
    LOW,
    MAP_A,
    MAP_B,
    NEW_HIGH,
    NEW_LOW,
    ONE,
    RED,
    W0,
    ZERO,
    padded,
)

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Steps of the factors by brightness of the surroundings.
GAIN_STEPS = 4096


@compiled_loop
def by_surroundings(
    work: Any, around: Any, part: Any, x0: int, luminance: Any, gains: Any, places: Any, n: int
) -> None:
    """A factor that depends on the brightness of the surroundings (shadows and highlights), for the new extremes.

    `around` and `part` as for `maps_of_piece`, which would do this for other loops.
    """
    wr, wg, wb = luminance[0], luminance[1], luminance[2]
    zero, one, two, three, start = np.uintp(0), np.uintp(1), np.uintp(2), np.uintp(3), np.uintp(x0)
    for i in range(padded(n)):
        x = start + np.uintp(i)
        map_a = around[zero, x] + (around[two, x] - around[zero, x]) * part
        map_b = around[one, x] + (around[three, x] - around[one, x]) * part
        low, new_low = work[i + LOW], work[i + NEW_LOW]
        slope = (work[i + NEW_HIGH] - new_low) * work[i + FACTOR]
        grey = wr * work[i + RED] + wg * work[i + GREEN] + wb * work[i + BLUE]
        root = np.sqrt(max(new_low + (grey - low) * slope, ZERO))
        base = min(max(map_a * root + map_b, ZERO), ONE)
        places[i] = np.int32(base * np.float32(GAIN_STEPS - 1) + HALF)
    for i in range(n):
        work[i + W0] = gains[np.uint32(places[i])]
    for i in range(padded(n)):
        work[i + NEW_HIGH] = min(work[i + NEW_HIGH] * work[i + W0], ONE)
        work[i + NEW_LOW] = min(work[i + NEW_LOW] * work[i + W0], ONE)


@compiled
def maps_for_rows(width: int, columns: int, whole: int) -> Any:
    """What `prepare_row` works on: the rows of the two maps above and below a row of the picture.

    Last come, for each of `width` columns of the picture, which has `whole`, the column of the maps (which have
    `columns`) to its left and its share of the one after.
    """
    around = aligned.zeros(6 * padded(width)).reshape(6, padded(width))
    step = columns / whole
    for x in range(width):
        place = min(max((x + 0.5) * step - 0.5, 0.0), columns - 1.0)
        first = min(int(place), max(columns - 2, 0))
        around[4, x], around[5, x] = first, place - first
    return around


@compiled_loop
def prepare_row(y: int, map_a: Any, map_b: Any, height: int, around: Any, held: Any) -> Any:
    """The rows of the maps above and below row `y` of the picture, into `around`, and the share of the latter.

    `held` says which rows of the maps `around` holds.
    """
    rows = map_a.shape[0]
    place = (np.float32(y) + HALF) * np.float32(rows / height) - HALF
    place = min(max(place, ZERO), np.float32(rows - 1))
    first = int(place)
    second = min(first + 1, rows - 1)
    if held[0] != first or held[1] != second:
        if held[1] == first:
            for k in range(2):
                for x in range(around.shape[1]):
                    around[k, x] = around[k + 2, x]
        else:
            widen(map_a[first], around[4], around[5], around[0])
            widen(map_b[first], around[4], around[5], around[1])
        widen(map_a[second], around[4], around[5], around[2])
        widen(map_b[second], around[4], around[5], around[3])
        held[0], held[1] = first, second
    return place - np.float32(first)


@compiled_loop
def maps_of_piece(work: Any, around: Any, part: Any, x0: int, n: int) -> None:
    """The maps of the surroundings at a piece of a row, `part` of the way from the row above to that below."""
    zero, one, two, three, start = np.uintp(0), np.uintp(1), np.uintp(2), np.uintp(3), np.uintp(x0)
    for i in range(padded(n)):
        x = start + np.uintp(i)
        work[i + MAP_A] = around[zero, x] + (around[two, x] - around[zero, x]) * part
        work[i + MAP_B] = around[one, x] + (around[three, x] - around[one, x]) * part


@compiled_loop
def widen(row: Any, firsts: Any, parts: Any, out: Any) -> None:
    """A row of a map, interpolated to pixels of the picture."""
    after = min(1, row.shape[0] - 1)
    for x in range(out.shape[0]):
        first = np.uint32(firsts[x])
        out[x] = row[first] + (row[first + np.uint32(after)] - row[first]) * parts[x]
