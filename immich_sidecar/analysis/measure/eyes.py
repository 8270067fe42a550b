"""Whether the eyes of a face look open, without a model.

An open eye shows its iris: a dark disc of 12 mm, where the eyes are 63 mm apart (means of adults), of which the lids
leave most to be seen. A closed one shows lashes: a dark line. So the height of what is dark at the eye, as a part of
the distance between the eyes, tells them apart.

It needs the places of both eyes, a face that looks into the camera and some 40 pixels between its eyes. It knows
nothing of glasses that mirror, sunglasses, strong make-up, squinting or a face in deep shadow: it then says nothing,
or something between open and closed. It is good enough to rank photos of one moment, not to judge one of them alone.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

#: Least distance between the eyes, in pixels.
_LEAST_DISTANCE = 36.0
#: Pixels between the eyes of the piece that is measured, and its half width and height.
_DISTANCE, _HALF_WIDTH, _HALF_HEIGHT = 100, 24, 16
#: How far the darkest has to be from the skin: in display values (0..255), and as a part of the skin's own.
_LEAST_CONTRAST, _LEAST_PART = 25.0, 0.35
#: How far from the place of the eye what is dark may lie.
_NEAR = 12
#: Heights, in hundredths of the distance between the eyes, at which eyes count as closed and as open.
_CLOSED, _OPEN = 7.0, 13.0
#: A face turned further aside than this (nose off the middle, as a part of the distance) is not measured.
_MOST_TURNED = 0.45


def eyes_open(display: NDArray[np.uint8], landmarks: Sequence[tuple[float, float]]) -> float | None:
    """0 (closed) .. 1 (open), of the eye that looks more closed; None where it cannot be told.

    Parameters
    ----------
    display
        (height, width, 3) uint8, sRGB, oriented.
    landmarks
        Right eye, left eye and tip of the nose, in fractions of the photo; more are not looked at.
    """
    if len(landmarks) < 3:
        return None
    height, width = display.shape[:2]
    right, left, nose = (np.array([x * width, y * height]) for x, y in landmarks[:3])
    along = left - right
    distance = float(np.hypot(*along))
    if distance < _LEAST_DISTANCE:
        return None
    turned = abs(float((nose - (left + right) / 2) @ along)) / distance**2
    if turned > _MOST_TURNED:
        return None
    heights = [_dark_height(display, place, along) for place in (right, left)]
    told = [value for value in heights if value is not None]
    if len(told) < 2:
        return None
    return round(min(1.0, max(0.0, (min(told) - _CLOSED) / (_OPEN - _CLOSED))), 3)


def _dark_height(display: NDArray[np.uint8], place: NDArray[np.float64], along: NDArray[np.float64]) -> float | None:
    """Height of what is dark at one eye, in hundredths of the distance between the eyes; None without contrast."""
    scale = _DISTANCE / float(np.hypot(*along))
    angle = float(np.degrees(np.arctan2(along[1], along[0])))
    turn = np.asarray(cv2.getRotationMatrix2D((float(place[0]), float(place[1])), angle, scale), np.float64)
    turn[:, 2] += np.array([_HALF_WIDTH, _HALF_HEIGHT]) - place
    size = (2 * _HALF_WIDTH + 1, 2 * _HALF_HEIGHT + 1)
    piece = cv2.warpAffine(display, turn, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    grey = cv2.GaussianBlur(cv2.cvtColor(np.asarray(piece, np.uint8), cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    skin, darkest = (float(np.percentile(grey, p)) for p in (70, 2))
    if skin - darkest < max(_LEAST_CONTRAST, _LEAST_PART * skin):
        return None
    dark = (grey < darkest + 0.45 * (skin - darkest)).astype(np.uint8)
    count, labels = cv2.connectedComponents(dark)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    near = np.hypot(rows - _HALF_HEIGHT, columns - _HALF_WIDTH) <= _NEAR
    seen = [int(((labels == label) & near).sum()) for label in range(1, count)]
    if not seen or max(seen) < 10:
        return None
    at_eye = (labels == 1 + int(np.argmax(seen))) & near
    heights = np.sort(at_eye.sum(axis=0))[::-1]
    # A few columns wide: a lash that stands up is narrower.
    return float(heights[: max(1, 7)].mean())
