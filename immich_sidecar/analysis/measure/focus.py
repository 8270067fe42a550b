"""Whether the subject is in focus, or what lies around it is.

Measured on the picture that models look at, not on the original: what is blurred by less than a pixel there, some
four in a photo of 24 megapixels, looks sharp. It finds faces that were missed by the focus or by a moving hand, and
ranks photos of one moment; a sharpness of the whole photo at full size is `measure_sharpness`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Box, Face, Focus, FoundObject
from immich_sidecar.analysis.measure.sharpness import measure_sharpness

#: Part of a box beyond each side that is not looked at when its surroundings are: they may belong to the subject.
_MARGIN = 0.15
#: Least side of a box in pixels.
_LEAST_SIDE = 40
#: Certainty from which an object counts.
_SURE = 0.5
#: Part of the picture from which on a box leaves no surroundings.
_WHOLE = 0.8
#: What people photograph before other things.
_ALIVE = frozenset({"person", "dog", "cat", "bird", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"})


def measure_focus(
    display: NDArray[np.uint8], faces: Sequence[Face] = (), objects: Sequence[FoundObject] = ()
) -> Focus | None:
    """How sharp the main subject is; None where there is none, or nothing in it has edges.

    Parameters
    ----------
    display
        (height, width, 3) uint8, sRGB, oriented.
    faces, objects
        What was found; the largest face counts, else the largest that is alive, else the largest.
    """
    box, what = _subject(faces, objects)
    if box is None:
        return None
    luma = cv2.cvtColor(display, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    height, width = luma.shape
    left, top = round(box.x * width), round(box.y * height)
    right, bottom = round((box.x + box.width) * width), round((box.y + box.height) * height)
    if min(right - left, bottom - top) < _LEAST_SIDE:
        return None
    subject = measure_sharpness([luma[top:bottom, left:right]])
    if subject.edge_width is None:
        return None
    around = None
    if box.width * box.height < _WHOLE:
        away_x, away_y = round(_MARGIN * (right - left)), round(_MARGIN * (bottom - top))
        around = measure_sharpness(
            [
                piece
                for piece in (
                    luma[:, : max(0, left - away_x)],
                    luma[:, right + away_x :],
                    luma[: max(0, top - away_y)],
                    luma[bottom + away_y :],
                )
                if min(piece.shape) >= _LEAST_SIDE
            ]
        ).edge_width
    return Focus(what=what, box=box, edge_width=subject.edge_width, score=subject.score, around=around)


def _subject(faces: Sequence[Face], objects: Sequence[FoundObject]) -> tuple[Box | None, str]:
    if faces:
        return max((face.box for face in faces), key=_area), "face"
    sure = [one for one in objects if one.score >= _SURE]
    alive = [one for one in sure if one.label in _ALIVE]
    if not sure:
        return None, ""
    largest = max(alive or sure, key=lambda one: _area(one.box))
    return largest.box, largest.label


def _area(box: Box) -> float:
    return box.width * box.height
