"""EXIF orientation: eight ways to turn and mirror, exact in pixels."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Kinds of numbers that OpenCV turns.
_FAST = (np.uint8, np.uint16, np.float32)

Scalar = TypeVar("Scalar", bound=np.generic)


def oriented(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    """Pixels (height, width, ...) turned upright by an EXIF orientation 1..8 (EXIF 2.32, tag 274)."""
    if orientation == 1 or min(pixels.shape[:2], default=0) == 0:
        return np.ascontiguousarray(_by_strides(pixels, orientation))
    if pixels.dtype not in _FAST or pixels.ndim > 3 or (pixels.ndim == 3 and not 1 < pixels.shape[2] <= 4):
        return np.ascontiguousarray(_by_strides(pixels, orientation))
    import cv2

    # Several times faster than copying by strides.
    found: Any = np.ascontiguousarray(pixels)
    if orientation >= 5:
        found = cv2.transpose(found)
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    turned: NDArray[Scalar] = cv2.flip(found, flips[orientation]) if orientation in flips else found
    return turned


def _by_strides(pixels: NDArray[Scalar], orientation: int) -> NDArray[Scalar]:
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def stored_box(box: tuple[int, int, int, int], size: tuple[int, int], orientation: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in stored pixels of a box in the upright picture, whose size this is."""
    left, top, right, bottom = box
    if orientation in (2, 3, 6, 7):
        left, right = size[0] - right, size[0] - left
    if orientation in (3, 4, 7, 8):
        top, bottom = size[1] - bottom, size[1] - top
    return (top, left, bottom, right) if orientation >= 5 else (left, top, right, bottom)


def combined(orientation: int, quarter_turns: int, mirror: bool) -> int:
    """The one EXIF orientation of an orientation, then mirroring left and right, then clockwise quarter turns."""
    swap, left, top = orientation >= 5, orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    left = left != mirror
    for _ in range(quarter_turns % 4):
        # A clockwise turn exchanges the axes and then left and right.
        swap, left, top = not swap, not top, left
    return _BY_STEPS[swap, left, top]


#: Orientations by whether axes are exchanged first, and left and right, top and bottom then.
_BY_STEPS = {
    (orientation >= 5, orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)): orientation
    for orientation in range(1, 9)
}
