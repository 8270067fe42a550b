"""The network asked several times about one picture: as it is, mirrored, and turned to both sides.

What a picture tells by its own stays the same in all of these, what the grid of squares or a chance brings does not.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.maps import LEVELS, UPRIGHTS, Display, Maps, looked_at, maps
from immich_sidecar.analysis.measure.tilt.weighing import LEANS, log_likelihood, seen
from immich_sidecar.develop.averaging import averaged
from immich_sidecar.recipe.frame import inner_rectangle

Floats = NDArray[np.float64]

#: By how many degrees the picture is turned, to either side.
_TURN = 3.3
#: Longer edge, in pixels, of the picture that is turned.
_EDGE = 560


def answers(display: Display) -> Floats:
    """How likely each of `LEANS` is for the picture, by each view of it (natural logarithm); shape (views, LEANS)."""
    straight = maps(looked_at(display))
    told = [log_likelihood(straight), log_likelihood(mirrored(straight))[::-1]]
    small = _shrunk(display)
    for degrees in (-_TURN, _TURN):
        view = log_likelihood(maps(looked_at(turned_inside(small, degrees))))
        told.append(np.interp(LEANS + degrees, LEANS, view))
    return np.stack(told)


def evidence(degrees: list[float], told: Floats) -> list[dict[str, float]]:
    """What the views say together about each of some leans, and how far they differ."""
    together = told.mean(axis=0)
    together -= together.max()
    together -= np.log(np.exp(together).sum())
    each = np.array([[np.interp(lean, LEANS, view) for view in told] for lean in degrees])
    said = seen(degrees, together)
    for one, views in zip(said, each, strict=True):
        one.update(seen_varies=float(views.std()), seen_least=float(views.min()))
    return said


def mirrored(some: Maps) -> Maps:
    """The maps of the mirrored picture."""
    parts = some[:LEVELS][::-1], some[LEVELS : LEVELS + UPRIGHTS][::-1], some[LEVELS + UPRIGHTS :]
    return np.ascontiguousarray(np.concatenate(parts)[..., ::-1])


def turned_inside(picture: Display, degrees: float) -> Display:
    """The middle of a picture that is turned counterclockwise, nothing beyond its borders."""
    height, width = picture.shape[:2]
    columns, rows = (max(1, int(edge) - 2) for edge in inner_rectangle(width, height, degrees))
    angle = np.radians(degrees)
    way = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2]) - way @ [(columns - 1) / 2, (rows - 1) / 2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = np.column_stack([way, middle])
    turned = cv2.warpAffine(picture, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(turned, np.uint8)


def _shrunk(display: Display) -> Display:
    scale = _EDGE / max(display.shape)
    if scale >= 1:
        return display
    size = (max(1, round(display.shape[1] * scale)), max(1, round(display.shape[0] * scale)))
    return averaged(display, size, factor=1 / scale)
