"""Geometry as one map: lens, orientation, perspective, turn and crop move every pixel once.

Quarter turns and crops alone are exact (slices and transpositions). With more, the encoded pixels are interpolated
bicubically.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.lens import LensMap
from immich_sidecar.develop.orientation import combined, oriented, stored_box
from immich_sidecar.develop.overwriting import Overwritten, moved_up
from immich_sidecar.errors import UnsupportedError
from immich_sidecar.recipe.frame import frame_of, laid, unlevelled
from immich_sidecar.recipe.plan import GeometryPlan, WarpPlan

Array = NDArray[Any]

#: OpenCV's maps hold coordinates of 16 bits.
_LONGEST_TURNED = 32766
#: OpenCV's BORDER_REPLICATE. Reflecting takes a step for every width of the picture that a place lies outside, which
#: for a few pixels under an extreme perspective does not end.
_BORDER = 1
#: Shortest side of a picture that is reflected when it is only turned.
_REFLECTED = 8
#: Degrees up to which two passes are faster than a table of places, and as good.
_SLIGHT = 4.0
#: Pixels between those for which the map of a lens is worked out, by the longer side from which on it is enough.
_STEPS = ((2000, 16), (700, 8), (0, 4))
#: Rows of the result that are made at once (a multiple of those steps), and pixels of the original that are needed
#: around each place for interpolation.
_STRIP, _MARGIN = 128, 4


def frame_size(width: int, height: int, geometry: GeometryPlan) -> tuple[int, int]:
    """Whole pixels of the frame that turns and perspective leave of an upright picture."""
    frame = frame_of((width, height), geometry)
    return max(1, math.floor(frame.width + 1e-6)), max(1, math.floor(frame.height + 1e-6))


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
    left, top, right, bottom = crop_box(frame_size(width, height, geometry), geometry.crop)
    return right - left, bottom - top


def placed(pixels: Array, orientation: int, geometry: GeometryPlan, *, over: bool = False) -> Array:
    """Undo what the lens did to stored pixels (height, width, channels); turn them upright, level, and crop them.

    With `over` the result may lie where `pixels` did, which takes half the memory.
    """
    height, width = pixels.shape[:2]
    size = (height, width) if orientation >= 5 else (width, height)
    frame = frame_size(*size, geometry)
    left, top, right, bottom = crop_box(frame, geometry.crop)
    whole = combined(orientation, geometry.quarter_turns, geometry.mirror)
    if geometry.degrees == 0.0 and geometry.upright is None and geometry.warp is None:
        box = stored_box((left, top, right, bottom), frame, whole)
        if over and whole == 1 and box != (0, 0, width, height):
            return moved_up(np.ascontiguousarray(pixels), box)
        return oriented(pixels[box[1] : box[3], box[0] : box[2]], whole)
    import cv2

    if max(width, height) > _LONGEST_TURNED:
        raise UnsupportedError(f"A picture of {width} x {height} pixels is too large to be turned.")
    if geometry.warp is not None:
        return _remapped(pixels, orientation, geometry, geometry.warp, over)
    way = _to_stored(whole, laid(size, geometry)) @ _from_result(size, geometry)
    if geometry.upright is None and abs(geometry.degrees) <= _SLIGHT and min(width, height) >= _REFLECTED:
        return _straightened(pixels, whole, way, (right - left, bottom - top), over)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    shape = (right - left, bottom - top)
    if geometry.upright is None:
        border = _BORDER if min(width, height) < _REFLECTED else cv2.BORDER_REFLECT_101
        turned = cv2.warpAffine(pixels, way[:2], shape, flags=flags, borderMode=border)
    else:
        turned = cv2.warpPerspective(pixels, way, shape, flags=flags, borderMode=_BORDER)
    placed_pixels: Array = turned
    return placed_pixels


def _straightened(
    pixels: Array, orientation: int, way: NDArray[np.float64], size: tuple[int, int], over: bool
) -> Array:
    """Level stored pixels first, and turn them upright then, so that the way is a small one."""
    from immich_sidecar.develop.straightening import straightened

    stored = way @ np.linalg.inv(_to_stored(orientation, size))
    turned = straightened(pixels, stored[:2], size[::-1] if orientation >= 5 else size, over=over)
    return turned if orientation == 1 else oriented(turned, orientation)


def to_upright(size: tuple[int, int], geometry: GeometryPlan) -> NDArray[np.float64]:
    """Pixel coordinates of the result to points of the upright original, as they are once its lens is undone.

    The centre of the result's first pixel is (0, 0); points are counted from the top left corner of the original,
    whose size this is.
    """
    user = combined(1, geometry.quarter_turns, geometry.mirror)
    return _shift(0.5, 0.5) @ _to_stored(user, laid(size, geometry)) @ _from_result(size, geometry)


def from_stored(orientation: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Pixel coordinates of stored pixels to points of the upright original, whose size this is."""
    whole: NDArray[np.float64] = _shift(0.5, 0.5) @ np.linalg.inv(_to_stored(orientation, size))
    return whole


def _remapped(pixels: Array, orientation: int, geometry: GeometryPlan, warp: WarpPlan, over: bool) -> Array:
    """The whole way for a picture whose lens bent or dispersed it, in strips.

    The map is worked out for some pixels and interpolated between; for a barrel of 3 % that errs by a hundredth of a
    pixel at most.
    """
    import cv2

    height, width = pixels.shape[:2]
    size = (height, width) if orientation >= 5 else (width, height)
    left, top, right, bottom = crop_box(frame_size(*size, geometry), geometry.crop)
    columns, rows = right - left, bottom - top
    step = next(step for longest, step in _STEPS if max(size) >= longest)
    across, down = (np.arange(-1, length // step + 2) * step + (step - 1) / 2.0 for length in (columns, rows))
    nodes = np.stack([*np.meshgrid(across, down), np.ones((len(down), len(across)))], axis=-1)
    corrected = nodes @ to_upright(size, geometry).T
    lens = LensMap(warp, size)
    points = corrected[..., :2] / corrected[..., 2:]
    # A picture without colour, as a gain map may be, goes the way of green.
    apart = warp.has_fringes and pixels.shape[2] == 3
    sources = lens.sources(points) if apart else (lens.source(points),)
    to_stored = _to_stored(orientation, size) @ _shift(-0.5, -0.5)
    grids = [(one @ to_stored[:2, :2].T + to_stored[:2, 2]).astype(np.float32) for one in sources]
    no_second_map: Any = None
    shape = (rows, columns, pixels.shape[2])
    over = over and int(np.prod(shape)) <= pixels.size and pixels.flags.c_contiguous
    out = np.empty((0 if over else rows, *shape[1:]), pixels.dtype)
    whole = Overwritten(pixels, shape) if over else None
    windows = []
    for first in range(0, rows, _STRIP):
        parts = [grid[first // step : -(-min(first + _STRIP, rows) // step) + 2] for grid in grids]
        low = np.floor(np.min([part.min(axis=(0, 1)) for part in parts], axis=0)).astype(int) - _MARGIN
        high = np.ceil(np.max([part.max(axis=(0, 1)) for part in parts], axis=0)).astype(int) + _MARGIN
        low, high = np.clip(low, 0, (width - 1, height - 1)), np.clip(high, 1, (width, height))
        windows.append((parts, low, high))
    for number, (parts, low, high) in enumerate(windows):
        first, last = number * _STRIP, min((number + 1) * _STRIP, rows)
        window = pixels[low[1] : high[1], low[0] : high[0]]
        target = np.empty((last - first, *shape[1:]), pixels.dtype) if over else out[first:last]
        for channel, part in enumerate(parts):
            size = (step * part.shape[1], step * part.shape[0])
            places = cv2.resize(part - low.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
            places = places[step : step + last - first, step : step + columns]
            source = np.ascontiguousarray(window[..., channel]) if apart else window
            strip = cv2.remap(source, places, no_second_map, cv2.INTER_CUBIC, borderMode=_BORDER)
            if apart:
                target[..., channel] = strip
            else:
                target[...] = strip.reshape(target.shape)
        if whole is not None:
            whole.add(target, min((int(one[1]) for _, one, _ in windows[number + 1 :]), default=height))
    return out if whole is None else whole.finished()


def _from_result(size: tuple[int, int], geometry: GeometryPlan) -> NDArray[np.float64]:
    """Pixel coordinates of the result to those of the picture after quarter turns."""
    frame, middle = frame_size(*size, geometry), frame_of(size, geometry)
    left, top, _, _ = crop_box(frame, geometry.crop)
    levelled = _shift(left + 0.5 - frame[0] / 2.0 + middle.x, top + 0.5 - frame[1] / 2.0 + middle.y)
    width, height = laid(size, geometry)
    whole: NDArray[np.float64] = (
        _shift(width / 2.0 - 0.5, height / 2.0 - 0.5) @ np.array(unlevelled(size, geometry)) @ levelled
    )
    return whole


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _to_stored(orientation: int, upright: tuple[float, float]) -> NDArray[np.float64]:
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
