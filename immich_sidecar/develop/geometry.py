"""Geometry as one map: orientation, turn and crop move every pixel once.

Without a turn the map is exact (slices and transpositions). With one, the encoded pixels are interpolated
bicubically.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.orientation import oriented
from immich_sidecar.errors import UnsupportedError
from immich_sidecar.recipe.frame import inner_rectangle
from immich_sidecar.recipe.plan import GeometryPlan

Array = NDArray[Any]

#: OpenCV's maps hold coordinates of 16 bits.
_LONGEST_TURNED = 32766


def frame_size(width: int, height: int, degrees: float) -> tuple[int, int]:
    """Whole pixels of the frame that a turn leaves of an upright picture."""
    if degrees == 0.0:
        return width, height
    inner_width, inner_height = inner_rectangle(width, height, degrees)
    return max(1, math.floor(inner_width + 1e-6)), max(1, math.floor(inner_height + 1e-6))


def crop_box(size: tuple[int, int], crop: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in whole pixels of a crop in fractions; never empty."""
    edges = []
    for length, start, part in ((size[0], crop[0], crop[2]), (size[1], crop[1], crop[3])):
        first = min(round(start * length), length - 1)
        edges.append((first, min(max(round((start + part) * length), first + 1), length)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def output_size(width: int, height: int, geometry: GeometryPlan) -> tuple[int, int]:
    """Width and height of what the geometry leaves of an upright picture."""
    left, top, right, bottom = crop_box(frame_size(width, height, geometry.degrees), geometry.crop)
    return right - left, bottom - top


def placed(pixels: Array, orientation: int, geometry: GeometryPlan) -> Array:
    """Turn stored pixels (height, width, 3) upright, level and cropped."""
    height, width = pixels.shape[:2]
    upright = (height, width) if orientation >= 5 else (width, height)
    frame = frame_size(*upright, geometry.degrees)
    left, top, right, bottom = crop_box(frame, geometry.crop)
    if geometry.degrees == 0.0:
        turned = oriented_view(pixels, orientation)
        return np.ascontiguousarray(turned[top:bottom, left:right])
    import cv2

    if max(width, height) > _LONGEST_TURNED:
        raise UnsupportedError(f"A picture of {width} x {height} pixels is too large to be turned.")
    # Pixel of the result -> place in the upright picture, both counted from the frame's centre ...
    angle = math.radians(geometry.degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    from_result = _shift(left + 0.5 - frame[0] / 2.0, top + 0.5 - frame[1] / 2.0)
    to_upright = _shift(upright[0] / 2.0 - 0.5, upright[1] / 2.0 - 0.5)
    # ... and from there to the stored one.
    whole = _to_stored(orientation, upright) @ to_upright @ turn @ from_result
    placed_pixels: Array = cv2.warpAffine(
        pixels,
        whole[:2],
        (right - left, bottom - top),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return placed_pixels


def oriented_view(pixels: Array, orientation: int) -> Array:
    """The pixels turned upright."""
    return pixels if orientation == 1 else oriented(pixels, orientation)


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _to_stored(orientation: int, upright: tuple[int, int]) -> NDArray[np.float64]:
    """Pixel coordinates of the upright picture to those of the stored one; the inverse of `oriented`."""
    width, height = upright
    mirror_x = np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    mirror_y = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, height - 1.0], [0.0, 0.0, 1.0]])
    swap = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    matrix = np.eye(3)
    if orientation in (2, 3, 6, 7):
        matrix = mirror_x @ matrix
    if orientation in (3, 4, 7, 8):
        matrix = mirror_y @ matrix
    return swap @ matrix if orientation >= 5 else matrix
