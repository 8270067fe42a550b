"""Compiled loops that put light through tables by its root, and make code values of it."""

from typing import Any

import numpy as np

from immich_sidecar.develop.compiled import compiled

# ruff: noqa: PLR0917 -- compiled code takes no keywords

#: Steps of the tables that are indexed by the square root of light, which is even enough to the eye that 4096
#: steps are finer than an eighth of a code value everywhere.
ROOT_STEPS = 4096
ROOT_TOP = np.float32(ROOT_STEPS - 1)
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@compiled
def root_places(light: Any, places: Any) -> None:
    """The nearest places of light in a table by the root of light.

    Loops that compute places and loops that look up are kept apart everywhere, because the former become vector
    instructions only then.
    """
    for i in range(light.shape[0]):
        places[i] = np.int32(np.sqrt(min(max(light[i], ZERO), ONE)) * ROOT_TOP + HALF)


@compiled
def through_table(values: Any, table: Any, places: Any, parts: Any, is_deep: bool) -> None:
    """Put values 0..1 through a table by the root, in place; interpolated where the result has more than 8 bits."""
    n = values.shape[0]
    if not is_deep:
        root_places(values, places)
        for i in range(n):
            values[i] = table[np.uint32(places[i])]
        return
    for i in range(n):
        place = np.sqrt(values[i]) * ROOT_TOP
        k = np.int32(place)
        places[i] = k
        parts[i] = place - np.float32(k)
    for i in range(n):
        at = np.uint32(places[i])
        below = table[at]
        values[i] = below + (table[at + np.uint32(1)] - below) * parts[i]


@compiled
def interpolated(table: Any, value: Any) -> Any:
    """What an even table of `ROOT_STEPS` values and one more says of a value 0..1."""
    place = min(max(value, ZERO), ONE) * ROOT_TOP
    k = np.int32(place)
    return table[k] + (table[k + 1] - table[k]) * (place - np.float32(k))


@compiled
def encode(red: Any, green: Any, blue: Any, encoding: Any, places: Any, out: Any) -> None:
    """Light, cut to 0..1, to code values (pixels, 3), `uint8` or `uint16`; `encoding` as in `Stages`."""
    n = red.shape[0]
    if out.itemsize == 2:
        encode_deep(red, encoding[0], out[:, 0])
        encode_deep(green, encoding[1], out[:, 1])
        encode_deep(blue, encoding[2], out[:, 2])
        return
    root_places(red, places[0])
    root_places(green, places[1])
    root_places(blue, places[2])
    for i in range(n):
        out[i, 0] = encoding[0, np.uint32(places[0, i])]
        out[i, 1] = encoding[1, np.uint32(places[1, i])]
        out[i, 2] = encoding[2, np.uint32(places[2, i])]


@compiled
def encode_deep(light: Any, encoding: Any, out: Any) -> None:
    """One channel of `encode` in 16 bits."""
    for i in range(light.shape[0]):
        place = np.sqrt(min(max(light[i], ZERO), ONE)) * ROOT_TOP
        k = np.int32(place)
        below, above = np.float32(encoding[k]), np.float32(encoding[k + np.int32(1)])
        out[i] = below + (above - below) * (place - np.float32(k)) + HALF
