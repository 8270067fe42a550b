"""Compiled loops for what depends on the brightness of the surroundings of a pixel."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled
from immich_sidecar.develop.table_kernels import HALF, ONE, ROOT_TOP, ZERO

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Steps of the factors by brightness of the surroundings.
GAIN_STEPS = 4096


@compiled
def by_surroundings(
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
        place[i] = np.int32(np.sqrt(min(max(light, ZERO), ONE)) * ROOT_TOP + HALF)
    for i in range(n):
        value[i] = display[np.uint32(place[i])]
    for i in range(n):
        base = min(max(map_a[i] * value[i] + map_b[i], ZERO), ONE)
        place[i] = np.int32(base * np.float32(GAIN_STEPS - 1) + HALF)
    for i in range(n):
        value[i] = gains[np.uint32(place[i])]
    for i in range(n):
        new_high[i] = min(new_high[i] * value[i], ONE)
        new_low[i] = min(new_low[i] * value[i], ONE)


@compiled
def maps_for_rows(width: int, stages: Any) -> Any:
    """What `prepare_row` works on: the maps at a row, and the rows of the two maps above and below it.

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


@compiled
def prepare_row(y: int, map_a: Any, map_b: Any, height: int, around: Any, held: Any) -> None:
    """The maps of the surroundings at a row of the picture, into the first two rows of `around`.

    `held` says which rows of the maps the next four rows come from.
    """
    rows = map_a.shape[0]
    place = (np.float32(y) + HALF) * np.float32(rows / height) - HALF
    place = min(max(place, ZERO), np.float32(rows - 1))
    first = int(place)
    second = min(first + 1, rows - 1)
    if held[0] != first or held[1] != second:
        if held[1] == first:
            around[2:4] = around[4:6]
        else:
            widen(map_a[first], around[6], around[7], around[2])
            widen(map_b[first], around[6], around[7], around[3])
        widen(map_a[second], around[6], around[7], around[4])
        widen(map_b[second], around[6], around[7], around[5])
        held[0], held[1] = first, second
    part = place - np.float32(first)
    for x in range(around.shape[1]):
        around[0, x] = around[2, x] + (around[4, x] - around[2, x]) * part
        around[1, x] = around[3, x] + (around[5, x] - around[3, x]) * part


@compiled
def widen(row: Any, firsts: Any, parts: Any, out: Any) -> None:
    """A row of a map, interpolated to pixels of the picture."""
    after = min(1, row.shape[0] - 1)
    for x in range(out.shape[0]):
        first = np.uint32(firsts[x])
        out[x] = row[first] + (row[first + np.uint32(after)] - row[first]) * parts[x]
