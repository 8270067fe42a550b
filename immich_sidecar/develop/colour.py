"""Colour in one pass: code values to linear light, balance, exposure, curves, local light, code values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.curves import black_white_contrast, display_curve, local_gain, scene_to_display
from immich_sidecar.develop.decode import Decoded
from immich_sidecar.develop.kernels import colour_kernel
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.develop.white import balance_in
from immich_sidecar.recipe.plan import ColourPlan, Plan

_LEVELS = 65536
#: Longer side of the map from which `shadows` and `highlights` learn the surroundings of a pixel; the radius
#: of those in its pixels; and how much a surface may vary (display scale, squared) and still be smoothed.
_MAP_EDGE, _MAP_RADIUS, _MAP_VARIANCE = 512, 20, 0.01


def coloured(decoded: Decoded, pixels: NDArray[Any], plan: Plan, *, in_place: bool = False) -> NDArray[np.uint8]:
    """Apply the colour part of a plan to pixels of a decoded file.

    `pixels` are those of `decoded` after geometry, `uint8` or `uint16` (height, width, 3). The result is
    `uint8` in the colour space of the file. Nothing is done, and nothing copied, where nothing is asked;
    `in_place` allows to overwrite `pixels`.
    """
    colour = plan.colour
    if not decoded.is_linear and pixels.dtype == np.uint8 and is_neutral(colour):
        return pixels
    space = decoded.space
    tables = _tables(decoded, pixels.dtype == np.uint16)
    before = np.eye(3)
    if plan.decode is not None and plan.decode.colour_matrix is not None:
        before = np.array(plan.decode.colour_matrix)
    matrix = balance_in(space, colour)
    light = np.linspace(0.0, decoded.headroom, _LEVELS)
    decode = plan.decode if decoded.is_linear else None
    first = scene_to_display(light, colour.ev, decode, decoded.headroom)
    is_local = bool(colour.shadows or colour.highlights)
    even = np.linspace(0.0, 1.0, _LEVELS)
    second = black_white_contrast(even, colour)
    has_second = is_local and bool(colour.black or colour.white or colour.contrast)
    if not is_local:
        first = black_white_contrast(first, colour)
    common = (
        tables,
        before.astype(np.float32),
        plan.decode is not None and plan.decode.colour_matrix is not None,
        (np.eye(3) if matrix is None else matrix).astype(np.float32),
        matrix is not None,
        float(decoded.headroom),
    )
    display = display_curve(even).astype(np.float32)
    nothing = np.zeros((1, 1), np.float32)
    luminance = space.luminance.astype(np.float32)
    gains = local_gain(np.linspace(0.0, 1.0, 1024), colour).astype(np.float32)
    kernel = colour_kernel()
    map_a = map_b = nothing
    if is_local:
        small = np.ascontiguousarray(shrunk(pixels, _MAP_EDGE))
        seen = np.empty(small.shape, np.uint8)
        straight = np.stack([np.round(display * 255.0).astype(np.uint8)] * 3)
        kernel(
            *(small, *common, first.astype(np.float32), False, nothing, nothing, luminance, display, gains),
            *(even.astype(np.float32), False, straight, seen),
        )
        map_a, map_b = (_widened(m, pixels.shape[1]) for m in _surroundings(seen, luminance))
    out = pixels if in_place and pixels.dtype == np.uint8 else np.empty(pixels.shape, np.uint8)
    kernel(
        *(np.ascontiguousarray(pixels), *common, first.astype(np.float32), is_local, map_a, map_b),
        *(luminance, display, gains, second.astype(np.float32), has_second, space.encoding, out),
    )
    return out


def is_neutral(colour: ColourPlan) -> bool:
    """Whether nothing is asked of colour."""
    same = colour.gains is None or set(colour.gains) == {1.0}
    same = same and colour.temperature in (None, 6500.0) and not colour.tint
    rest = (colour.ev, colour.black, colour.white, colour.shadows, colour.highlights, colour.contrast)
    return same and not any(rest)


def _tables(decoded: Decoded, is_deep: bool) -> NDArray[np.float32]:
    if decoded.is_linear:
        line = np.linspace(0.0, decoded.headroom, _LEVELS).astype(np.float32)
        return np.stack([line] * 3)
    return decoded.space.decoding(_LEVELS if is_deep else 256)


def _widened(small: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    import cv2

    wide = cv2.resize(small, (width, small.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(wide, np.float32)


def _surroundings(
    seen: NDArray[np.uint8], luminance: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps a, b with base = a * display + b: a guided filter of the brightness by itself.

    He and Sun, "Fast Guided Filter" (2015): the coefficients come from a small picture and are applied to
    the large one, so edges stay as sharp as they are there.
    """
    import cv2

    linear = ((seen.astype(np.float32) / 255.0 + 0.055) / 1.055) ** 2.4
    value = display_curve((linear @ luminance).astype(np.float64)).astype(np.float32)
    size = (2 * _MAP_RADIUS + 1, 2 * _MAP_RADIUS + 1)

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        blurred: NDArray[Any] = cv2.blur(array, size, borderType=cv2.BORDER_REFLECT_101)
        return blurred

    if min(value.shape) < 2:
        return np.zeros_like(value), value
    average = mean(value)
    variance = np.maximum(mean(value * value) - average * average, 0.0)
    a = variance / (variance + _MAP_VARIANCE)
    b = average * (1.0 - a)
    return np.ascontiguousarray(mean(a), np.float32), np.ascontiguousarray(mean(b), np.float32)
